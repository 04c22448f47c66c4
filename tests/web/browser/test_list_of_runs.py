"""All runs of a journal, and two of them compared."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.browser.runs import MIDDLE
from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow
RUNS = ["trip-forked", "asked", "asks", "recoded", "lost", "trip", MIDDLE]


def ids(page: Page) -> Locator:
    """The ids of the runs that are listed."""
    return page.locator("table[aria-label=runs] tbody tr td:nth-child(4) code")


def test_every_run_is_listed_newest_first_with_its_state_and_figures(viewer: Viewer) -> None:
    viewer.open()
    expect(ids(viewer.page)).to_have_text(RUNS)
    trip = viewer.page.locator("#run-trip")
    for said in ("✓ succeeded", "trip", "season=summer", "34", "85", "$0.11"):
        expect(trip).to_contain_text(said)
    expect(viewer.page.locator("#run-asks")).to_contain_text("paused")
    expect(viewer.page.locator("#run-lost")).to_contain_text("✗ failed")
    expect(viewer.page.locator("#run-trip-forked")).to_contain_text("fork of trip")


def test_runs_are_found_by_words_and_state_and_the_address_keeps_both(viewer: Viewer) -> None:
    viewer.open()
    viewer.page.keyboard.press("/")
    viewer.page.keyboard.type("summer tr")
    expect(ids(viewer.page)).to_have_text(["trip"])
    viewer.page.get_by_role("searchbox").fill("choose")
    expect(ids(viewer.page)).to_have_text(["asked", "asks"])
    viewer.page.get_by_label("state").select_option("paused")
    expect(ids(viewer.page)).to_have_text(["asks"])
    viewer.page.reload()
    expect(ids(viewer.page)).to_have_text(["asks"])
    expect(viewer.page.get_by_role("searchbox")).to_have_value("choose")
    viewer.page.get_by_role("searchbox").fill("no such run")
    expect(viewer.page.get_by_role("heading", name="No run is like that.")).to_be_visible()
    viewer.page.get_by_role("button", name="Show all runs").click()
    expect(ids(viewer.page)).to_have_count(len(RUNS))


def test_a_run_opens_and_back_returns_to_the_list(viewer: Viewer) -> None:
    viewer.open()
    viewer.page.locator("#run-trip .flow").click()
    expect(viewer.page.get_by_role("heading", level=1)).to_contain_text("trip trip")
    viewer.wait_loaded()
    viewer.page.go_back()
    expect(ids(viewer.page)).to_have_count(len(RUNS))


def test_two_runs_that_are_marked_are_compared(viewer: Viewer) -> None:
    viewer.open()
    page = viewer.page
    page.get_by_label("compare trip", exact=True).check()
    page.get_by_label("compare trip-forked", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("trip compared")
    expect(page.get_by_text("B is a fork of A at step 4")).to_be_visible()
    bar = page.get_by_role("toolbar", name="differences")
    expect(bar.get_by_role("status")).to_contain_text("where they differ")
    chosen = page.locator("[role=treegrid] [role=row][aria-selected=true]")
    expect(chosen).to_contain_text("look_up")
    panel = page.get_by_role("complementary", name="selected step")
    expect(panel).to_contain_text("Rome is closed")
    expect(panel.locator(".removed")).to_contain_text("Rome opens at nine")
    page.keyboard.press("d")
    expect(chosen).not_to_contain_text("look_up")
    page.keyboard.press("Shift+D")
    expect(chosen).to_contain_text("look_up")


def test_only_differences_can_be_shown_and_the_two_swapped(viewer: Viewer) -> None:
    viewer.open_compared("trip", "trip-forked")
    rows = viewer.page.locator("[role=treegrid] [role=rowgroup] [role=row]")
    packs = rows.filter(has_text=re.compile(r"\bbook\b"))
    viewer.page.get_by_role("button", name="Unfold all").click()
    expect(packs).to_have_count(1)
    viewer.page.get_by_label("differences only").check()
    expect(packs).to_have_count(0)
    expect(rows.filter(has_text="look_up").first).to_be_visible()
    viewer.page.get_by_role("button", name="Swap A and B").click()
    expect(viewer.page.get_by_text("A is a fork of B at step 4")).to_be_visible()
