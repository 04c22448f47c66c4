"""Finding steps, and links that lead back to what was looked at."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.browser.conftest import Opener, Site
from tests.web.browser.runs import MIDDLE
from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("kind:model", 5),
        ("kind:model,flow", 10),
        ("is:failed", 2),
        ("error kind:tool", 1),
        ("weigh", 20),
        ("name:look", 3),
        ('"there is no Atlantis"', 2),
        ("model:wire <1h", 5),
        ("model:wire >1h", 0),
        (">$0.01", 5),
        (">15tok", 5),
        ("is:retried", 1),
        ("is:effect", 1),
        ("under:3 kind:model", 2),
        ("step:7", 1),
    ],
)
def test_a_query_finds_by_kind_state_time_cost_name_and_place(
    viewer: Viewer, query: str, hits: int
) -> None:
    viewer.open("trip")
    viewer.page.keyboard.press("/")
    viewer.page.keyboard.type(query)
    said = viewer.page.locator("#find-says")
    expect(said).to_have_text(re.compile(rf"^\s*{hits} hits?\b"))


def test_a_query_that_cannot_be_understood_says_why(viewer: Viewer) -> None:
    viewer.open("trip")
    viewer.page.get_by_role("searchbox").fill("colour:red")
    expect(viewer.page.locator("#find-says")).to_contain_text("no field colour: there are kind")


def test_contents_are_looked_into_when_asked(viewer: Viewer) -> None:
    viewer.open("trip")
    box, said = viewer.page.get_by_role("searchbox"), viewer.page.locator("#find-says")
    box.fill('"rome opens"')
    expect(said).to_contain_text("0 hits, Enter: contents too")
    box.press("Enter")
    expect(said).to_have_text(re.compile(r"^\s*[1-9]\d* hits"))
    viewer.page.get_by_role("button", name="next hit").click()
    expect(viewer.panel.get_by_role("heading", level=2)).to_contain_text(re.compile("#[34]$"))
    expect(viewer.row("pack")).to_have_count(0)


def test_hits_and_errors_are_gone_through_by_keys(viewer: Viewer) -> None:
    viewer.open("trip")
    page, title = viewer.page, viewer.panel.get_by_role("heading", level=2)
    page.get_by_role("searchbox").fill("name:visit")
    for number in ("#3", "#5", "#7", "#3"):
        page.keyboard.press("ArrowDown")
        expect(title).to_contain_text(f"visit {number}")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(title).to_contain_text("visit #5")
    page.keyboard.press("n")
    expect(title).to_contain_text("look_up #6")
    page.keyboard.press("p")
    expect(title).to_contain_text("look_up #8")
    page.keyboard.press("e")
    expect(viewer.rows).to_have_count(3)
    viewer.wait_param("errors", "1")


def test_a_link_restores_step_moment_view_and_query(viewer: Viewer) -> None:
    viewer.open(MIDDLE)
    page = viewer.page
    page.get_by_role("searchbox").fill("is:failed")
    page.get_by_role("button", name="next hit").click()
    step = viewer.selected
    page.get_by_role("group", name="time").get_by_role("button", name="step back").click()
    viewer.show("Table")
    viewer.wait_param("v", "table")
    before = viewer.params()
    assert set(before) >= {"s", "e", "q", "v"}
    page.reload()
    viewer.wait_loaded()
    expect(page.get_by_role("grid", name="steps")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("is:failed")
    expect(viewer.playhead).to_have_value(before["e"])
    expect(viewer.panel.get_by_role("heading", level=2)).to_contain_text(f"#{before['s']}")
    assert step
    assert viewer.params() == before


def test_the_selected_row_of_a_link_is_in_sight(viewer: Viewer) -> None:
    viewer.open(MIDDLE, s=1400)
    row = viewer.page.locator("[role=treegrid] [role=row][aria-selected=true]")
    expect(row).to_be_in_viewport()
    expect(row).to_have_attribute("data-step", "1400")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_colours_follow_the_system_until_they_are_chosen(
    open_viewer: Opener, site: Site, system: str
) -> None:
    with open_viewer(site.origin, site.token, color_scheme=system) as viewer:
        viewer.open()
        page = viewer.page
        paper = "getComputedStyle(document.body).backgroundColor"
        shown = {"system": page.evaluate(paper)}
        for theme in ("light", "dark"):
            page.get_by_role("button", name=re.compile("^colours")).click()
            page.get_by_role("button", name=f"colours: {theme}").wait_for()
            shown[theme] = page.evaluate(paper)
        assert shown["light"] != shown["dark"]
        assert shown["system"] == shown[system]
        page.reload()
        page.get_by_role("button", name="colours: dark").wait_for()
        assert page.evaluate(paper) == shown["dark"]
