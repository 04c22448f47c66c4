"""Every page, view and dialog by axe's rules, in light and dark; the structure a screen reader meets."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser.conftest import Opener, Site
from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
GRAVE = ("serious", "critical")


def grave(page: Page) -> list[str]:
    """Return what axe finds that is serious or critical, with where it is."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE)  # evaluated, not inserted: the page's policy allows no other script
    found: dict[str, Any] = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    assert found["passes"], "axe has looked"
    return [
        f"{rule['impact']} {rule['id']}: {node['html'][:300]} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"][:3]
    ]


def runs(viewer: Viewer) -> None:
    viewer.open()
    expect(viewer.page.locator("#run-trip")).to_be_visible()


def compared(viewer: Viewer) -> None:
    viewer.open_compared("trip", "trip-forked")
    expect(viewer.page.locator(".diff").first).to_be_visible()


def past(viewer: Viewer) -> None:
    viewer.open("trip", s=3, e=9, q="kind:tool,flow")
    expect(viewer.row("visit")).to_be_visible()


def nothing_found(viewer: Viewer) -> None:
    viewer.open("trip", s=3, q="step:999")
    expect(viewer.page.get_by_text("no step fits the query")).to_be_visible()


def view(name: str, run: str = "trip", step: int = 3) -> Callable[[Viewer], None]:
    def show(viewer: Viewer) -> None:
        viewer.open(run, s=step, v=name)
        expect(viewer.panel.get_by_role("heading", level=2)).to_be_visible()
        viewer.page.wait_for_load_state("networkidle")

    return show


def every_tab(viewer: Viewer) -> None:
    viewer.open("trip", s=6)
    for name in ("Input", "Error", "Events", "Details", "Notes"):
        expect(viewer.tab(name)).to_be_visible()
        assert grave(viewer.page) == []


def dialog(button: str) -> Callable[[Viewer], None]:
    def show(viewer: Viewer) -> None:
        viewer.open("trip", s=2)
        expect(viewer.panel.get_by_role("heading", level=2)).to_be_visible()
        viewer.page.get_by_role("button", name=button).first.click()
        expect(viewer.dialog.get_by_role("heading", level=2)).to_be_visible()
        viewer.page.wait_for_load_state("networkidle")

    return show


SHOWN = {
    "runs": runs,
    "compare": compared,
    "tree": view("tree"),
    "question": view("tree", "asks", 1),
    "past": past,
    "nothing": nothing_found,
    "flame": view("flame"),
    "graph": view("graph"),
    "transcript": view("transcript", step=1),
    "program": view("transcript", "recoded", 1),
    "table": view("table"),
    "tabs": every_tab,
    "fork": dialog("Fork from here…"),
    "prune": dialog("Prune…"),
    "regrow": dialog("Re-grow…"),
    "annotate": dialog("Annotate…"),
    "share": dialog("Share"),
    "keys": dialog("keys"),
}


@pytest.mark.parametrize("colours", ["light", pytest.param("dark", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", SHOWN)
def test_nothing_serious_stands_in_anybodys_way(
    open_viewer: Opener, site: Site, name: str, colours: str
) -> None:
    with open_viewer(site.origin, site.token, color_scheme=colours) as viewer:
        SHOWN[name](viewer)
        assert grave(viewer.page) == []


def test_a_grave_fault_would_be_found(viewer: Viewer) -> None:
    runs(viewer)
    viewer.page.evaluate("document.querySelector('h1').after(document.createElement('button'))")
    assert any("button-name" in fault for fault in grave(viewer.page))


@pytest.mark.parametrize("view_name", ["tree", "graph", "table"])
def test_a_view_of_many_steps_is_one_tab_stop(viewer: Viewer, view_name: str) -> None:
    viewer.open("trip", s=13, v=view_name)
    role = {"tree": "treegrid", "graph": "tree", "table": "grid"}[view_name]
    region = viewer.page.get_by_role(role)  # type: ignore[arg-type]
    expect(region).to_be_visible()
    stops = region.evaluate(
        """region => [region, ...region.querySelectorAll('*')].filter(
            (one) => one.tabIndex >= 0 && one.checkVisibility()).length"""
    )
    assert stops == 1


def test_the_rows_say_where_they_are_even_when_scrolled_away(viewer: Viewer) -> None:
    viewer.open("big-1500-0", s=1)
    grid = viewer.page.get_by_role("treegrid")
    expect(grid).to_have_attribute("aria-activedescendant", "row-1")
    grid.evaluate("grid => (grid.scrollTop = grid.scrollHeight)")
    expect(viewer.page.locator("#row-1")).to_be_attached()
    expect(viewer.page.locator("#row-1")).not_to_be_in_viewport()
    assert int(grid.get_attribute("aria-rowcount") or 0) > 100
    grid.focus()
    for _ in range(3):
        viewer.page.keyboard.press("ArrowDown")
    active = grid.get_attribute("aria-activedescendant")
    expect(viewer.page.locator(f"#{active}")).to_have_attribute("aria-rowindex", "4")
    expect(viewer.page.locator(f"#{active}")).to_be_in_viewport()
