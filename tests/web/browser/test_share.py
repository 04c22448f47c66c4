"""A run saved as one file, and what is in it seen before."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.web.browser.conftest import Opener
from tests.web.browser.runs import SECRET
from tests.web.browser.viewer import Viewer

pytestmark = pytest.mark.slow


def saved(viewer: Viewer, folder: Path) -> Path:
    """Save the file of the open dialog."""
    with viewer.page.expect_download() as begun:
        viewer.dialog.get_by_role("button", name="Save file").click()
    path = folder / begun.value.suggested_filename
    begun.value.save_as(path)
    return path


def test_what_would_be_shared_is_seen_first_and_secrets_stay(
    viewer: Viewer, open_viewer: Opener, tmp_path: Path
) -> None:
    viewer.open("trip-forked", s=4)
    expect(viewer.tab("Output")).to_contain_text(SECRET)
    viewer.page.get_by_role("button", name="Share").click()
    dialog = viewer.dialog
    expect(dialog.locator("pre")).to_contain_text("agentflow export trip-forked -o")
    dialog.get_by_role("button", name="Preview").click()
    seen = dialog.get_by_role("region", name="preview")
    expect(seen.get_by_role("row").nth(1)).to_be_visible()
    expect(seen).not_to_contain_text(SECRET)
    dialog.get_by_role("textbox").fill("Oslo")
    expect(seen).to_contain_text("of an earlier choice")
    dialog.get_by_role("button", name="Preview").click()
    expect(seen).to_contain_text("Oslo")
    path = saved(viewer, tmp_path)
    expect(dialog.get_by_role("status").last).to_contain_text(f"Saved as {path.name}")
    assert SECRET not in path.read_text()
    with open_viewer(f"file://{tmp_path}", "") as file:
        file.page.goto(path.as_uri())
        file.wait_loaded()
        expect(file.row("trip")).to_be_visible()
        file.choose("look_up")
        expect(file.tab("Output")).to_contain_text("Rome is closed")
        expect(file.tab("Output")).not_to_contain_text(SECRET)
        expect(file.page.get_by_role("button", name="Share")).to_have_count(0)
        expect(file.page.get_by_role("button", name="Fork from here…")).to_have_count(0)


def test_a_branch_can_be_shared_alone_and_without_contents(
    viewer: Viewer, open_viewer: Opener, tmp_path: Path
) -> None:
    viewer.open("trip", s=3)
    viewer.page.get_by_role("button", name="Share").click()
    viewer.dialog.get_by_role("radio").nth(1).check()
    viewer.dialog.get_by_role("checkbox").uncheck()
    expect(viewer.dialog.locator("pre")).to_contain_text("--under 3 --no-contents")
    path = saved(viewer, tmp_path)
    with open_viewer(f"file://{tmp_path}", "") as file:
        file.page.goto(path.as_uri())
        file.wait_loaded()
        expect(file.row("visit")).to_have_count(1)
        expect(file.row("book")).to_have_count(0)
        file.choose("look_up")
        expect(file.panel).not_to_contain_text("opens at nine")
