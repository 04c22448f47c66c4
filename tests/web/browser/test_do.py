"""What the page does to runs: answer, go on, fork, prune, re-grow, and write notes."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from agentflow import Journal
from tests.web.browser.conftest import Opener, Site
from tests.web.browser.processes import AGENTFLOW, address_in, started
from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow
OFFERED = ("Prompt", "Input", "Model", "Output instead")


@pytest.fixture(scope="module")
def workshop(journal: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`agentflow view` on a copy of the journal, in the folder where the flows can be imported."""
    folder = tmp_path_factory.mktemp("workshop")
    with Journal(journal) as opened:  # closing it puts the log into the file
        opened.heads()
    path = shutil.copy(journal, folder / "journal.db")
    for more in Path(journal).parent.glob("journal.db-*"):
        shutil.copy(more, folder / more.name)
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    words = [*AGENTFLOW, "view", str(path), "--no-browser"]
    with started(words, environment) as process:
        origin, token, _ = address_in(process.stdout)
        yield Site(origin, token, str(path))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.fixture
def viewer(open_viewer: Opener, workshop: Site) -> Iterator[Viewer]:
    """A page on the runs that may be changed."""
    with open_viewer(workshop.origin, workshop.token) as found:
        yield found


def planned(viewer: Viewer) -> Locator:
    """Do the dry run of the open dialog; return what it says."""
    viewer.dialog.get_by_role("button", name="Dry run").click()
    plan = viewer.dialog.get_by_role("region", name="dry run")
    expect(plan.get_by_role("row").first).to_be_visible()
    return plan


def begun(viewer: Viewer) -> str:
    """Start the fork of the open dialog and open the new run; return the command that was printed."""
    viewer.dialog.get_by_role("button", name=re.compile("^Start")).click()
    expect(viewer.dialog.get_by_text("has begun.")).to_be_visible()
    command = viewer.dialog.locator("pre").inner_text()
    viewer.dialog.get_by_role("link", name="Open the new run").click()
    viewer.wait_loaded()
    expect(viewer.page.locator("header .facts")).to_contain_text("succeeded")
    return command


def test_a_question_is_answered_and_the_run_goes_on(viewer: Viewer) -> None:
    viewer.open("asks")
    asked = viewer.page.get_by_role("region", name="questions of the run")
    expect(asked).to_contain_text("Which one? Rome opens at nine; Oslo opens at nine")
    asked.get_by_role("button", name="Rome").click()
    expect(asked.locator("code").first).to_have_text(re.compile("^agentflow answer asks Rome"))
    asked.get_by_role("button", name="Go on with the run").click()
    expect(asked.get_by_text("sent on:")).to_contain_text("agentflow resume asks")
    expect(viewer.page.locator("header .facts")).to_contain_text("succeeded")
    viewer.choose("book")
    expect(viewer.tab("Output")).to_contain_text("booked Rome for 1")


def test_a_fork_with_another_input_says_first_what_it_would_do(viewer: Viewer) -> None:
    viewer.open("trip", s=4)
    viewer.panel.get_by_role("button", name="Fork from here…").click()
    start = viewer.dialog.get_by_role("button", name=re.compile("^Start"))
    expect(start).to_be_disabled()
    viewer.dialog.get_by_role("textbox", name="place").fill("Naples")
    expect(viewer.dialog.locator(".diff").first).to_contain_text("Naples")
    plan = planned(viewer)
    expect(plan.get_by_role("row", name=re.compile("^reused"))).to_contain_text("taken over")
    expect(plan.get_by_role("row", name=re.compile("^runs again"))).to_contain_text("look_up")
    viewer.dialog.get_by_role("textbox", name="place").fill("Turin")
    expect(start).to_be_disabled()
    planned(viewer)
    assert "input.place" in begun(viewer)
    viewer.choose("look_up")
    expect(viewer.tab("Output")).to_contain_text("Turin opens at nine")


def test_a_fork_with_another_prompt_or_model_is_offered_for_a_call_of_a_model(
    viewer: Viewer,
) -> None:
    viewer.open("trip", s=2)
    viewer.page.keyboard.press("x")
    tabs = viewer.dialog.get_by_role("tablist", name="what to change").get_by_role("tab")
    expect(tabs).to_have_text([re.compile(name) for name in OFFERED])
    viewer.dialog.get_by_role("textbox").fill("Which is the warmest?")
    plan = planned(viewer)
    expect(plan).to_contain_text("generate")
    expect(plan.get_by_role("row", name=re.compile("^last cost"))).to_contain_text("about $0.")
    expect(viewer.dialog.locator("pre")).to_contain_text("agentflow fork trip --at 2 --set")
    viewer.page.keyboard.press("Escape")
    expect(viewer.dialog).to_have_count(0)


def test_a_branch_is_pruned_by_giving_its_result(viewer: Viewer) -> None:
    viewer.open("trip", s=7)
    viewer.panel.get_by_role("button", name="Prune…").click()
    viewer.dialog.get_by_role("textbox", name="output").fill("Oslo is far")
    planned(viewer)
    assert "--set output=" in begun(viewer).replace("'", "")
    visits = viewer.row("visit", 2)
    visits.click()
    expect(viewer.panel).to_contain_text("given in a fork")
    expect(viewer.tab("Output")).to_contain_text("Oslo is far")


def test_a_branch_is_grown_again(viewer: Viewer) -> None:
    viewer.open("trip", s=34)
    viewer.panel.get_by_role("button", name="Re-grow…").click()
    plan = planned(viewer)
    expect(plan).to_contain_text("book: they would happen again")
    expect(viewer.dialog.get_by_role("button", name="Start, with effects outside")).to_be_enabled()
    assert begun(viewer).startswith("agentflow fork trip --at 34")
    viewer.choose("book")
    expect(viewer.tab("Output")).to_contain_text("booked Rome for 1")


def test_what_cannot_be_forked_says_why(viewer: Viewer) -> None:
    viewer.watch.allowed.append("400")
    viewer.open("big-1500-0", s=1)
    viewer.page.keyboard.press("x")
    viewer.dialog.get_by_role("button", name="Dry run").click()
    expect(viewer.dialog.get_by_role("alert")).to_be_visible()
    expect(viewer.dialog.get_by_role("button", name=re.compile("^Start"))).to_be_disabled()


def test_a_note_is_written_kept_and_deleted(viewer: Viewer) -> None:
    viewer.open("trip", s=3)
    viewer.panel.get_by_role("button", name="Annotate…").click()
    viewer.dialog.get_by_role("textbox", name="Note").fill("<b>too slow</b>")
    viewer.dialog.get_by_role("button", name="todo").click()
    expect(viewer.dialog.locator("pre")).to_contain_text("agentflow note")
    viewer.dialog.get_by_role("button", name="Save").click()
    expect(viewer.dialog).to_have_count(0)
    viewer.page.reload()
    viewer.wait_loaded()
    notes = viewer.tab("Notes")
    expect(notes).to_contain_text("<b>too slow</b>")
    expect(notes).to_contain_text("todo")
    notes.get_by_role("button", name=re.compile("^Delete the note")).click()
    expect(notes).to_contain_text("Nobody has written a note on this step.")
    viewer.page.reload()
    viewer.wait_loaded()
    expect(viewer.panel.get_by_role("tab", name="Notes")).to_have_text("Notes")
