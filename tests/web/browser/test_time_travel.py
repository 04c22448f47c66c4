"""The run as it was at any moment, and the ways from one moment to another."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.browser.runs import MIDDLE
from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow


def test_the_scrubber_spans_the_run_and_everything_is_as_it_was(viewer: Viewer) -> None:
    viewer.open("trip", s=2)
    page = viewer.page
    expect(viewer.tab("Output")).to_contain_text("First Rome.")
    viewer.playhead.focus()
    page.keyboard.press("Home")
    expect(viewer.playhead).to_have_attribute("aria-valuetext", re.compile("^event 1 of "))
    expect(page.locator("footer")).to_contain_text(re.compile("at this moment: +0 done"))
    expect(viewer.panel).to_contain_text("This step had not begun at this moment.")
    expect(viewer.rows.nth(1)).to_have_class(re.compile("ahead"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("footer")).to_contain_text(re.compile("at this moment: +1 running"))
    page.keyboard.press("ArrowRight")
    expect(viewer.panel.get_by_role("tabpanel")).to_contain_text("Not finished at this moment.")
    expect(viewer.row("generate")).to_contain_text("running")
    page.keyboard.press("End")
    expect(page.locator("footer")).to_contain_text("34 done · 85 tokens")
    expect(viewer.panel.get_by_role("tabpanel")).to_contain_text("First Rome.")


def test_an_error_is_not_known_before_it_happened(viewer: Viewer) -> None:
    viewer.open("trip", s=6)
    expect(viewer.page.locator("footer")).to_contain_text("2 errors")
    ended = viewer.tab("Events").get_by_role("button").last
    ended.click()
    expect(viewer.page.locator("footer")).to_contain_text("1 error")
    viewer.page.keyboard.press("[")
    expect(viewer.page.locator("footer")).to_contain_text("0 errors")
    expect(viewer.panel.get_by_role("tab", name="Error")).to_have_count(0)
    expect(viewer.row("trip")).not_to_have_attribute("aria-label", re.compile("error"))


def test_what_lies_ahead_can_be_hidden(viewer: Viewer) -> None:
    viewer.open("trip", e=2)
    expect(viewer.row("book")).to_have_class(re.compile("ahead"))
    viewer.page.get_by_label("hide future").check()
    expect(viewer.rows).to_have_count(1)
    viewer.page.keyboard.press("l")
    expect(viewer.row("book")).to_be_attached()


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        ("any event", ["trip #1", "generate #2"]),
        ("selected branch", ["look_up #4", "visit #3"]),
        ("same name", ["visit #3", "visit #5"]),
        ("errors", ["look_up #6", "visit #5"]),
        ("root and its steps", ["generate #2", "visit #3"]),
    ],
)
def test_a_step_of_the_playhead_is_what_was_chosen(
    viewer: Viewer, unit: str, names: list[str]
) -> None:
    viewer.open("trip", s=3 if unit in ("selected branch", "same name") else 1, e=1)
    page = viewer.page
    page.get_by_label("by").select_option(unit)
    seen: list[str] = []
    expect(viewer.playhead).to_have_attribute("aria-valuetext", re.compile("^event 1 of"))
    for event in range(12):
        before = viewer.playhead.input_value()
        page.get_by_role("button", name="step forward").click()
        expect(viewer.playhead).not_to_have_value(before)
        said = viewer.playhead.get_attribute("aria-valuetext") or ""
        seen.append(said.rpartition(", ")[2].replace(" ", " #"))
        if set(names) <= set(seen) or event > 10:
            break
    assert set(names) <= set(seen), seen
    if unit == "errors":
        assert seen == names
    last = viewer.playhead.input_value()
    page.get_by_role("button", name="step back").click()
    expect(viewer.playhead).not_to_have_value(last)


def test_playing_moves_the_playhead_until_it_is_paused(viewer: Viewer) -> None:
    viewer.open(MIDDLE, e=3)
    page = viewer.page
    page.locator("body").press(".")
    for _ in range(4):
        page.keyboard.press(".")
    expect(page.get_by_label("speed")).to_have_value("100")
    page.keyboard.press("Space")
    page.get_by_role("button", name="pause", exact=True).wait_for()
    page.wait_for_function(
        "() => Number(document.querySelector('input[aria-label=moment]').value) > 3"
    )
    page.keyboard.press("Space")
    page.get_by_role("button", name="play", exact=True).wait_for()
    stopped = viewer.playhead.input_value()
    viewer.wait_param("e", stopped)
    page.keyboard.press(",")
    expect(page.get_by_label("speed")).to_have_value("30")


def test_playing_ends_at_the_end_of_the_run(viewer: Viewer) -> None:
    viewer.open("recoded", e=1)
    viewer.page.get_by_role("button", name="play", exact=True).click()
    expect(viewer.page.locator("footer")).to_contain_text("at the end:")
    viewer.page.get_by_role("button", name="play", exact=True).wait_for()
    viewer.wait_param("e", None)


def test_every_view_is_at_the_same_moment(viewer: Viewer) -> None:
    viewer.open("trip", e=4, s=1)
    for view in ("Flame", "Graph", "Table", "Transcript"):
        viewer.show(view)
        expect(viewer.playhead).to_have_value("4")
    expect(viewer.page.locator(".entries")).not_to_contain_text("booked")
    viewer.show("Table")
    booked = viewer.page.get_by_role("grid").get_by_role("row").filter(has_text="book")
    expect(booked).to_contain_text("later")
