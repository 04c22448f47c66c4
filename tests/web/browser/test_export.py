"""An exported file in a real browser: opened from disk, without any network, it is the viewer."""

import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from agentflow_web.sharing.build import build_folder
from agentflow_web.sharing.bundle import Options, export_file
from playwright.sync_api import Browser, expect

from agentflow import Journal, Runner, flow, generate
from agentflow.journal.store import Store
from tests.parts import Scripted
from tests.web.big_run import write_big_run
from tests.web.browser.conftest import in_thread
from tests.web.browser.viewer import PATIENCE_MS, SIZE, Viewer, Watch

pytestmark = pytest.mark.slow
HOSTILE = "</script><!--<script>window.ran=1</script>\u2028<img src=x onerror='window.ran=1'>"
RUN = "shared-run"
BIG = "big-1500-0"
LONG = "long " * 30_000


@flow
async def talks(topics: list[str]) -> str:
    """Have a model say something long."""
    replies = [await generate(topic) for topic in topics]
    return replies[-1].text


async def _write(journal: str) -> None:
    model = Scripted(lambda prompt: f"{prompt} {LONG} the end")
    await Runner(journal=journal, model=model).run_as(RUN, talks, [HOSTILE, "ships"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a hostile run, of a large one, and of a branch of that."""
    if not (build_folder() / "app.js").is_file():
        pytest.skip("needs the viewer's build: `npm run build` in web/frontend")
    folder = tmp_path_factory.mktemp("exported")
    journal = str(folder / "journal.db")
    in_thread(anyio.run, _write, journal)
    in_thread(write_big_run, journal, 1500)
    with Journal(journal) as opened:
        opened.annotate(RUN, f"look: {HOSTILE}", step=2)
    store = Store(journal)
    export_file(store, RUN, folder / "hostile.html")
    export_file(store, BIG, folder / "big.html")
    export_file(store, BIG, folder / "branch.html", Options(under=3))
    export_file(store, BIG, folder / "bare.html", Options(contents=False))
    store.close()
    return folder


@pytest.fixture
def file(browser: Browser, folder: Path) -> Iterator[Viewer]:
    """A page of a browser that is offline; nothing may be asked for but the file itself."""
    context = browser.new_context(viewport=SIZE, offline=True)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch(folder.as_uri())
    watch.over(context)
    yield Viewer(context.new_page(), folder.as_uri(), "", watch)
    context.close()
    watch.check()
    assert len(set(watch.asked)) == 1, "one file, and nothing else"


def open_file(file: Viewer, name: str, route: str = "") -> None:
    file.page.goto(f"{file.origin}/{name}.html{route}")
    file.wait_loaded()


def test_a_file_opens_its_run_and_shows_what_is_in_a_step(file: Viewer) -> None:
    open_file(file, "hostile")
    assert f"#/run/{RUN}" in file.page.url
    expect(file.row("talks")).to_be_visible()
    file.choose("generate")
    expect(file.panel).to_contain_text("window.ran=1")
    expect(file.tab("Notes")).to_contain_text("look: </script>")
    assert file.page.evaluate("window.ran") is None
    assert file.page.locator("img").count() == 0


def test_a_long_content_is_whole_in_the_file(file: Viewer) -> None:
    open_file(file, "hostile", f"#/run/{RUN}?s=2")
    output = file.tab("Output")
    expect(output).not_to_contain_text("the end")
    output.get_by_role("button", name=re.compile("^Show all")).click()
    expect(output).to_contain_text("the end")


def test_an_address_leads_to_its_step_and_moment(file: Viewer) -> None:
    open_file(file, "big", f"#/run/{BIG}?s=700&v=table")
    expect(file.panel.get_by_role("heading", level=2)).to_contain_text("#700")
    file.show("Tree")
    assert file.selected == 700
    file.wait_param("v", None)
    file.page.reload()
    expect(file.panel.get_by_role("heading", level=2)).to_contain_text("#700")


def test_contents_are_searched_without_a_server(file: Viewer) -> None:
    open_file(file, "hostile")
    find = file.page.get_by_role("searchbox")
    find.fill('"the end" ships')
    find.press("Enter")
    expect(file.page.locator("#find-says")).to_contain_text("hit")
    expect(file.rows).to_have_count(2)
    expect(file.row("talks")).to_be_visible()


def test_a_branch_shows_the_path_above_it_and_nothing_beside(file: Viewer) -> None:
    open_file(file, "branch")
    expect(file.rows.first).to_be_visible()
    assert file.page.locator("[role=treegrid] [role=row][aria-level='1']").count() == 1
    file.page.goto(f"{file.origin}/branch.html#/run/{BIG}?s=1")
    expect(file.panel).to_contain_text("left out of this file")
    file.page.goto(f"{file.origin}/branch.html#/run/{BIG}?s=2")
    expect(file.tab("Details")).to_contain_text("number in the run")


def test_a_file_without_contents_says_so(file: Viewer) -> None:
    open_file(file, "bare", f"#/run/{BIG}?s=2")
    expect(file.panel).to_contain_text("left out of this file")
    expect(file.panel.get_by_role("button", name="Fork from here…")).to_have_count(0)


def test_another_run_is_not_in_the_file_and_it_says_so(file: Viewer) -> None:
    file.page.goto(f"{file.origin}/hostile.html#/run/other")
    expect(file.page.locator("body")).to_contain_text(f"holds run {RUN} and not run other")
