"""Everything without a mouse: one walk through every function, with the focus always in sight."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow
MOST_TABS = 80
FOCUS = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const { width, height, bottom, right } = one.getBoundingClientRect();
    const active = document.getElementById(one.getAttribute('aria-activedescendant'));
    const box = one.querySelector(':scope .box');
    const stroke = box ? parseFloat(getComputedStyle(box).strokeWidth) : 0;
    const isMarked = (part) => {
        const style = part && getComputedStyle(part);
        return style && (style.outlineStyle !== 'none' || style.boxShadow !== 'none'
            || !/^rgba\\(.*, 0\\)$/.test(style.backgroundColor));
    };
    return {
        name: one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent ?? one.textContent ?? '',
        role: one.getAttribute('role') ?? one.localName,
        isSeen: one.checkVisibility({ visibilityProperty: true, opacityProperty: true })
            && width > 0 && height > 0 && bottom > 0 && right > 0,
        isMarked: one.matches(':focus-visible')
            && (isMarked(one) || isMarked(active) || stroke > 2),
    };
}"""


class Walker:
    """Somebody with a keyboard and nothing else."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer, self.page = viewer, viewer.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def focus(self) -> tuple[str, str]:
        """Return role and name of what has the focus, which must be seen and marked."""
        found = self.page.evaluate(FOCUS)
        assert found, "the focus is nowhere"
        assert found["isSeen"], found
        assert found["isMarked"], found
        return found["role"], " ".join(found["name"].split())

    def tab_to(self, role: str, name: str, key: str = "Tab") -> None:
        """Press Tab until something of this role and name has the focus."""
        met = []
        for _ in range(MOST_TABS):
            self.press(key)
            if self.page.evaluate("document.activeElement === document.body"):
                continue  # past the last one, where the browser's own controls are
            met.append(self.focus())
            if met[-1][0] == role and re.search(name, met[-1][1]):
                return
        raise AssertionError(f"no tab stop {role} {name}, only {met}")


@pytest.fixture
def walker(viewer: Viewer) -> Walker:
    viewer.open()
    expect(viewer.page.locator("#run-trip")).to_be_visible()
    return Walker(viewer)


def test_the_whole_page_is_walked_by_keys_alone(walker: Walker) -> None:
    viewer, page = walker.viewer, walker.page
    title = viewer.panel.get_by_role("heading", level=2)
    # The list of runs, and one of them.
    walker.press("/")
    page.keyboard.type("summer")
    expect(page.locator("tbody tr")).to_have_count(1)
    walker.tab_to("grid", "runs")
    walker.press("Home", "Enter")
    viewer.wait_loaded()
    # Rows: to them, down, into a branch and out of it.
    walker.tab_to("treegrid", "steps")
    walker.press("Home", "ArrowDown")
    expect(title).to_contain_text("generate #2")
    walker.press("ArrowDown")
    expect(title).to_contain_text("visit #3")
    walker.press("ArrowRight")
    expect(title).to_contain_text("look_up #4")
    walker.press("ArrowLeft", "ArrowLeft")
    expect(viewer.row("visit")).to_have_attribute("aria-expanded", "false")
    walker.press("Enter")
    expect(viewer.row("visit")).to_have_attribute("aria-expanded", "true")
    walker.press("1")
    expect(viewer.rows).to_have_count(1)
    walker.press("0")
    expect(viewer.row("book")).to_be_attached()
    walker.press("End")
    expect(title).to_contain_text("book #34")
    # The axis, time, and playing.
    walker.press("f", "w", "d", "Shift+F")
    walker.press("[")
    expect(viewer.playhead).not_to_have_value(viewer.playhead.get_attribute("max") or "")
    walker.press("l")
    walker.tab_to("input", "moment", "Shift+Tab")
    walker.press("Home")
    expect(viewer.playhead).to_have_value("1")
    walker.press("ArrowRight")
    expect(viewer.playhead).to_have_value("2")
    for _ in range(4):
        walker.press(".")
    expect(page.get_by_label("speed")).to_have_value("100")
    walker.tab_to("button", "^play$", "Shift+Tab")
    walker.press("Enter")
    expect(page.locator("footer")).to_contain_text("at the end:")
    # Finding.
    walker.press("/")
    page.keyboard.type("name:visit is:failed")
    expect(page.locator("#find-says")).to_contain_text("1 hit")
    walker.press("ArrowDown")
    expect(title).to_contain_text("visit #5")
    walker.press("Escape", "Escape")
    walker.tab_to("button", "^tool$")
    walker.press("Enter")
    expect(page.locator("#find-says")).to_contain_text("24 hits")
    walker.press("Enter")
    # The panel: its tabs and what is in them.
    walker.tab_to("tab", "^Transcript")
    walker.press("ArrowRight")
    expect(viewer.panel.get_by_role("tabpanel")).to_contain_text("Atlantis")
    walker.press("End")
    assert walker.focus()[1].startswith("Notes")
    walker.press("Home", "Tab")
    assert walker.focus()[0] == "tabpanel"


@pytest.mark.parametrize(
    ("view", "region", "name"),
    [
        ("Flame", "application", "flame of the run"),
        ("Graph", "treeitem", "trip"),
        ("Transcript", "region", "Entries"),
        ("Table", "grid", "steps"),
    ],
)
def test_every_view_is_chosen_and_entered_by_keys(
    viewer: Viewer, view: str, region: str, name: str
) -> None:
    viewer.open("trip", s=1)
    walker = Walker(viewer)
    walker.tab_to("tab", "^Tree$")
    while walker.focus()[1] != view:
        walker.press("ArrowRight")
    expect(viewer.page.get_by_role("tab", name=view, selected=True).last).to_be_visible()
    walker.press("/")
    walker.tab_to(region, name)
    walker.press("Home" if view == "Table" else "ArrowDown")
    walker.focus()


def test_dialogs_are_opened_and_left_by_keys_and_give_the_focus_back(viewer: Viewer) -> None:
    viewer.open("trip", s=4)
    walker = Walker(viewer)
    walker.tab_to("treegrid", "steps")
    for key, heading in (("x", "Fork at step 4"), ("?", "Keys")):
        walker.press(key)
        expect(viewer.dialog.get_by_role("heading", level=2)).to_contain_text(heading)
        for _ in range(12):
            walker.press("Tab")
            inside = viewer.page.evaluate(
                "document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
            )
            assert inside, "the focus has left the dialog"
        walker.press("Escape")
        expect(viewer.dialog).to_have_count(0)
        assert walker.focus() == ("treegrid", "steps")
    for button, heading in (
        ("^Share$", "Share this run"),
        ("^Prune", "Prune the branch"),
        ("^Re-grow", "Re-grow the branch"),
        ("^Annotate", "Write a note"),
    ):
        walker.tab_to("button", button)
        walker.press("Enter")
        expect(viewer.dialog.get_by_role("heading", level=2)).to_contain_text(heading)
        walker.press("Escape")
        expect(viewer.dialog).to_have_count(0)
        assert re.search(button, walker.focus()[1])


def test_a_note_is_written_and_a_share_prepared_by_keys(viewer: Viewer) -> None:
    viewer.open("trip", s=4)
    walker = Walker(viewer)
    walker.tab_to("button", "^Annotate")
    walker.press("Enter")
    expect(viewer.dialog.get_by_role("textbox", name="Note")).to_be_focused()
    viewer.page.keyboard.type("look again")
    walker.tab_to("button", "^Save$")
    walker.press("Escape")
    walker.tab_to("button", "^Share$")
    walker.press("Enter")
    expect(viewer.dialog.get_by_role("radio").first).to_be_focused()
    walker.tab_to("button", "^Preview$")
    walker.press("Enter")
    expect(viewer.dialog.get_by_role("region", name="preview")).to_contain_text("34 steps")


def test_the_page_is_left_step_by_step_with_escape(viewer: Viewer) -> None:
    viewer.open("trip", q="kind:tool")
    viewer.page.keyboard.press("Escape")
    expect(viewer.page.get_by_role("searchbox")).to_have_value("")
    viewer.page.keyboard.press("Escape")
    expect(
        viewer.page.get_by_role("table", name="runs").or_(
            viewer.page.get_by_role("grid", name="runs")
        )
    ).to_be_visible()


def test_two_runs_are_marked_and_compared_by_keys(walker: Walker) -> None:
    page = walker.page
    walker.tab_to("grid", "runs")
    walker.press("Home", "Space")
    expect(page.get_by_text("1 of 2 marked")).to_be_visible()
    walker.press("End", "ArrowUp", "Space", "c")
    expect(page.get_by_role("toolbar", name="differences")).to_be_visible()
    walker.tab_to("treegrid", "steps of both runs")
    chosen = page.locator("[role=treegrid] [role=row][aria-selected=true]")
    walker.press("Home")
    expect(chosen).to_have_attribute("aria-rowindex", "2")
    walker.press("ArrowDown")
    expect(chosen).to_have_attribute("aria-rowindex", "3")
    walker.press("Escape")
    expect(page.get_by_role("treegrid", name="steps", exact=True)).to_be_visible()
