"""A run that goes on in another process while its page is open."""

import os
import re
import signal
import textwrap
from pathlib import Path

import pytest
from agentflow_web.server.serving import serve_in_thread
from playwright.sync_api import expect

from tests.web.browser.conftest import Opener
from tests.web.browser.processes import AGENTFLOW, GROWING, RUN, address_in, started
from tests.wire import WireServer, says

pytestmark = pytest.mark.slow
TASK = """
    agentflow: 1
    name: story
    goal: Say something.
    planner: direct
    model: openai:wire-1
    journal: j.db
"""


def test_a_run_grows_on_the_page_until_its_writer_is_gone(
    open_viewer: Opener, tmp_path: Path
) -> None:
    journal = str(tmp_path / "journal.db")
    with started([*GROWING, journal], os.environ) as writer:
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write("one\n")
        assert writer.stdout.readline() == "one\n"
        with (
            serve_in_thread(journal) as serving,
            open_viewer(serving.origin, serving.token) as viewer,
        ):
            viewer.open(RUN)
            page, rows = viewer.page, viewer.rows
            facts = page.locator("header .facts")
            expect(facts).to_contain_text("running")
            expect(viewer.row("heard")).to_have_count(1)
            time = viewer.row("grow").locator(".time")
            before = time.inner_text()
            draws = page.evaluate("window.agentflowDraws")
            expect(time).not_to_have_text(before)
            while page.evaluate("window.agentflowDraws") <= draws:
                pass  # its bar grows too, a frame later on a busy machine
            writer.stdin.write("two\n")
            expect(rows).to_have_count(3)
            pause = page.get_by_role("button", name="pause updates")
            pause.click()
            writer.stdin.write("three\n")
            assert writer.stdout.readline() == "two\n"
            assert writer.stdout.readline() == "three\n"
            expect(rows).to_have_count(3)
            page.get_by_role("button", name="updates paused").click()
            expect(rows).to_have_count(4)
            viewer.playhead.press("Home")
            writer.stdin.write("four\n")
            expect(rows).to_have_count(5)
            expect(viewer.playhead).to_have_value("1")
            page.get_by_role("button", name="follow live").click()
            writer.send_signal(signal.SIGKILL)
            expect(facts).to_contain_text("stopped")
            expect(page.get_by_text("the process that wrote it is gone")).to_be_visible()
            expect(page.get_by_role("button", name="Resume")).to_be_visible()
            expect(viewer.row("grow")).to_contain_text("cut off")
            expect(page.locator("p[role=status].unseen")).to_contain_text("run stopped")
            stands = time.inner_text()
            expect(page.locator("footer")).to_contain_text("at the end: 1 not finished")
            assert time.inner_text() == stands


def test_a_models_text_is_seen_as_it_is_written(open_viewer: Opener, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(textwrap.dedent(TASK))
    with WireServer([says("Once upon", " a time", fault="hang"), says("The end.")]) as server:
        keys = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "none"}
        words = [*AGENTFLOW, "run", "task.yaml", "--view"]
        with started(words, os.environ | keys, tmp_path) as process:
            origin, token, run = address_in(process.stderr)
            server.wait_in_flight(1)
            with open_viewer(origin, token) as viewer:
                viewer.watch.allowed.append("ERR_CONNECTION_REFUSED|Failed to load resource")
                viewer.open(run)
                expect(viewer.page.locator("header .facts")).to_contain_text("running")
                viewer.choose("generate")
                live = viewer.panel.get_by_role("article", name="Text as it is written")
                expect(live).to_contain_text("assistant, writing…")
                expect(live).to_contain_text("Once upon a time")
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 130
                expect(viewer.page.locator("header .facts")).to_contain_text(
                    re.compile("not reachable|interrupted")
                )


def test_the_command_opens_the_page_and_the_token_leaves_the_address(
    open_viewer: Opener, journal: str
) -> None:
    words = [*AGENTFLOW, "view", journal, "--no-browser", "--run", "trip"]
    with started(words, os.environ) as process:
        origin, token, run = address_in(process.stdout)
        with open_viewer(origin, "") as viewer:
            viewer.page.goto(f"{origin}/#t={token}&run={run}")
            viewer.wait_loaded()
            expect(viewer.page.get_by_role("heading", level=1)).to_contain_text("trip trip")
            assert token not in viewer.page.url
            viewer.page.reload()
            viewer.wait_loaded()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_without_the_token_nothing_is_shown(open_viewer: Opener, journal: str) -> None:
    with (
        serve_in_thread(journal) as serving,
        open_viewer(serving.origin, "wrong") as viewer,
    ):
        viewer.watch.allowed.append("401")
        viewer.open()
        expect(viewer.page.get_by_role("alert")).to_contain_text("lacks the token of the viewer")
