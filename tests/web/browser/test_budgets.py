"""What a run of 100,000 steps costs the page: counted, never timed."""

import gzip
import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.resources import files
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.web.browser.conftest import BIG_STEPS, Opener, Site
from tests.web.browser.viewer import Viewer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
RUN = f"big-{BIG_STEPS}-0"
MOST_ROWS = 60
MOST_APP_BYTES = 120_000
MOST_PAGE_BYTES = 1_300_000
MOST_REQUESTS = 12
MOST_BARS = 10_000
PAGE_EVENTS = 60_000  # what the page asks for at a time
COUNTED = """
    const { fillRect, rect, roundRect } = CanvasRenderingContext2D.prototype;
    window.barsDrawn = 0;
    for (const [name, method] of Object.entries({ fillRect, rect, roundRect }))
        CanvasRenderingContext2D.prototype[name] = function (...given) {
            window.barsDrawn += 1;
            return method.apply(this, given);
        };
"""
AFTER_FRAMES = """count => new Promise((resolve) => {
    const go = () => (count-- ? requestAnimationFrame(go) : resolve(window.agentflowDraws));
    go();
})"""


@pytest.fixture
def viewer(open_viewer: Opener, big_site: Site) -> Iterator[Viewer]:
    with open_viewer(big_site.origin, big_site.token) as found:
        found.page.add_init_script(COUNTED)
        yield found


def rows(viewer: Viewer) -> int:
    """Return how many rows are in the document."""
    return viewer.page.locator("main [role=row]").count()


def test_the_app_is_small() -> None:
    static = files("agentflow_web") / "static"
    names = ("index.html", "app.js", "app.css")
    sizes = {name: len(gzip.compress((static / name).read_bytes(), 9)) for name in names}
    assert sum(sizes.values()) <= MOST_APP_BYTES, sizes


def test_all_pages_of_the_run_are_small(big_site: Site) -> None:
    connection = HTTPConnection(urlsplit(big_site.origin).netloc)
    headers = {"Authorization": f"Bearer {big_site.token}", "Accept-Encoding": "gzip"}
    after, last, sent, steps = 0, 1, 0, 0
    while after < last:
        path = f"/api/runs/{RUN}/changes?after={after}&limit={PAGE_EVENTS}"
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        assert reply.getheader("content-encoding") == "gzip"
        data = reply.read()
        sent += len(data)
        page = json.loads(gzip.decompress(data))
        after, last, steps = page["to"], page["last"], steps + page["types"].count("S")
    connection.close()
    assert steps >= 100_000
    assert sent <= MOST_PAGE_BYTES


def test_few_rows_are_in_the_document_wherever_one_scrolls(viewer: Viewer) -> None:
    viewer.open(RUN)
    expect(viewer.rows.nth(20)).to_be_visible()
    assert 20 < rows(viewer) <= MOST_ROWS
    grid = viewer.page.get_by_role("treegrid")
    count = int(grid.get_attribute("aria-rowcount") or 0)
    assert count > 1000
    for share in (0.5, 1.0):
        grid.evaluate("(grid, share) => (grid.scrollTop = grid.scrollHeight * share)", share)
        least = round((count - MOST_ROWS) * share)
        viewer.page.wait_for_function(
            """least => [...document.querySelectorAll('main [role=row]')]
                .some((row) => Number(row.getAttribute('aria-rowindex')) > least)""",
            arg=least,
        )
        assert rows(viewer) <= MOST_ROWS
    viewer.page.keyboard.press("0")
    viewer.page.get_by_role("treegrid").press("End")
    expect(viewer.page.locator("main [role=row][aria-selected=true]")).to_be_in_viewport()
    assert rows(viewer) <= MOST_ROWS


def test_the_table_has_few_rows_too(viewer: Viewer) -> None:
    viewer.open(RUN, v="table")
    grid = viewer.page.get_by_role("grid", name="steps")
    expect(grid).to_have_attribute("aria-rowcount", re.compile(r"^\d{6,}$"))  # all are there
    assert rows(viewer) <= MOST_ROWS
    grid.press("End")
    expect(grid.locator(f"[aria-rowindex='{grid.get_attribute('aria-rowcount')}']")).to_be_visible()
    assert rows(viewer) <= MOST_ROWS


def test_a_run_is_opened_with_few_requests(viewer: Viewer) -> None:
    viewer.open(RUN)
    expect(viewer.panel.get_by_role("heading", level=2)).to_be_visible()
    viewer.page.wait_for_load_state("networkidle")
    asked = [url for url in viewer.watch.asked if url.startswith("http")]
    assert len(asked) <= MOST_REQUESTS, asked
    assert len(asked) == len(set(asked)), "nothing is asked for twice"


@pytest.mark.parametrize(
    "view",
    ["tree", *(pytest.param(name, marks=pytest.mark.long) for name in ("flame", "graph", "table"))],
)
def test_an_idle_page_draws_nothing(viewer: Viewer, view: str) -> None:
    viewer.open(RUN, v=view)
    expect(viewer.panel.get_by_role("heading", level=2)).to_be_visible()
    viewer.page.wait_for_load_state("networkidle")
    before = viewer.page.evaluate(AFTER_FRAMES, 20)
    assert before
    assert viewer.page.evaluate(AFTER_FRAMES, 60) == before


@pytest.mark.parametrize("view", ["tree", "flame"])
def test_what_is_drawn_at_once_has_a_bound(viewer: Viewer, view: str) -> None:
    viewer.open(RUN, v=view)
    viewer.page.wait_for_load_state("networkidle")
    draws = viewer.page.evaluate(AFTER_FRAMES, 10)
    viewer.page.evaluate("window.barsDrawn = 0")
    viewer.playhead.press("Home")
    viewer.page.wait_for_function("draws => window.agentflowDraws > draws", arg=draws)
    viewer.page.evaluate(AFTER_FRAMES, 10)
    assert 0 < viewer.page.evaluate("window.barsDrawn") <= MOST_BARS


def test_the_graph_has_a_bound(viewer: Viewer) -> None:
    viewer.open(RUN, v="graph", s=1)
    nodes = viewer.page.get_by_role("treeitem")
    expect(nodes.first).to_be_visible()
    more = viewer.page.get_by_role("button", name="More nodes")
    while more.is_enabled():
        more.click()
    assert nodes.count() <= 300


def test_the_transcript_has_a_bound(viewer: Viewer) -> None:
    viewer.open(RUN, v="transcript", s=1)
    entries = viewer.page.locator(".entries .entry")
    expect(entries.first).to_be_visible()
    viewer.page.get_by_role("button", name="Last", exact=True).click()
    expect(viewer.page.get_by_role("button", name="Last", exact=True)).to_be_disabled()
    assert entries.count() <= 60
