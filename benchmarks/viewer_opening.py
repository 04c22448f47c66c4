"""How soon a long run is in the page, what that takes, and how the page bears being moved about.

Owns the run that is opened, the scripted movements and the peer: the same facts as a plain JSON list of
one object a step, the way a page is usually given its rows.
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.pages import page as page_of
from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from agentflow.journal.store import Store
from benchmarks.viewer_page import OpenPage, Server, view_server

PAGE_EVENTS = 60_000  # as the page asks
LEVEL = 6
FRAMES = 120
NOTCH_PX = 120
LONG_MS = 50
SETTLE_MS = 500
FRESH, HAS_READ, AGAIN = "fresh server", "server has read it", "again, same browser"
MARKS = "[window.bench.rows, window.bench.whole]"
EXPORT = "from agentflow_web.cli.export import export; export()"
TRANSFERRED = """performance.getEntriesByType('resource')
    .concat(performance.getEntriesByType('navigation'))
    .map((entry) => [entry.name.includes('/api/'), entry.transferSize])"""
SCROLL = """async (frames) => {
    const rows = document.querySelector('[role=treegrid]');
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    let most = 0;
    for (let i = 0; i <= frames; i++) {
        rows.scrollTop = ((rows.scrollHeight - rows.clientHeight) * i) / frames;
        await frame();
        most = Math.max(most, rows.querySelectorAll('[role=row]').length);
    }
    return most;
}"""
IDLE = """async (frames) => {
    const before = window.agentflowDraws;
    for (let i = 0; i < frames; i++) await new Promise((done) => requestAnimationFrame(done));
    return window.agentflowDraws - before;
}"""
PARSE = """(text) => {
    const began = performance.now();
    JSON.parse(text);
    return performance.now() - began;
}"""


@dataclass(frozen=True)
class LongRun:
    """A run of about `steps` steps in a journal of its own."""

    journal: Path
    run: str
    steps: int


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One opening of the run; milliseconds since the navigation began."""

    rows_ms: float
    whole_ms: float
    app_bytes: int
    data_bytes: int
    requests: int


@contextmanager
def long_run(steps: int) -> Iterator[LongRun]:
    """Write a lifelike run of about so many steps; in a process, as the browser's driver has our loop."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.db"
        command = [sys.executable, "-m", "tests.web.big_run", str(journal), str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        yield LongRun(journal, done.stdout.strip(), steps)


def measure_opening(console: Console, browser: Browser, long: LongRun, repeats: int) -> None:
    """Open a long run with a fresh server, with one that has read it, and again in the same browser."""
    found: dict[str, list[Opening]] = {FRESH: [], HAS_READ: [], AGAIN: []}
    for _repeat in range(repeats):
        with view_server(long.journal) as server:
            for name in (FRESH, HAS_READ):
                looked = OpenPage(browser, server)
                found[name].append(_opened(looked, server, long.run))
                if name == HAS_READ:
                    looked.page.goto("about:blank")
                    found[AGAIN].append(_opened(looked, server, long.run))
                looked.close()
    _print_openings(console, long.steps, found)
    with view_server(long.journal) as server:
        looked = OpenPage(browser, server)
        looked.open(server.address_of(long.run))
        _move(console, browser, looked)
        _print_bytes(console, looked, long)
        looked.close()


def measure_sharing(console: Console, browser: Browser, long: LongRun) -> None:
    """Export a long run and open the file from disk."""
    if find_spec("agentflow_web.sharing") is None:
        console.print("sharing left out: agentflow_web.sharing is not there")
        return
    file = long.journal.with_name("run.html")
    began = time.perf_counter()
    command = [sys.executable, "-c", EXPORT, long.run, "--journal", str(long.journal)]
    done = subprocess.run([*command, "-o", str(file)], capture_output=True, text=True)
    took_s = time.perf_counter() - began
    if done.returncode:
        console.print(f"sharing left out: {done.stderr.strip()[-300:]}", markup=False)
        return
    looked = OpenPage(browser)
    looked.open(f"{file.as_uri()}#/run/{long.run}")
    rows_ms, whole_ms = looked.told(MARKS)
    looked.close()
    console.print(
        f"sharing {long.steps:,} steps: exported in {took_s:.1f} s, {file.stat().st_size / 1e6:.1f} MB "
        f"(journal {long.journal.stat().st_size / 1e6:.1f} MB); from disk rows after {rows_ms:,.0f} ms, "
        f"all after {whole_ms:,.0f} ms; load {os.getloadavg()[0]:.1f}"
    )


def _opened(looked: OpenPage, server: Server, run: str) -> Opening:
    looked.open(server.address_of(run))
    rows_ms, whole_ms = looked.told(MARKS)
    replies = looked.told(TRANSFERRED)
    data = [size for is_data, size in replies if is_data]
    return Opening(
        rows_ms=rows_ms,
        whole_ms=whole_ms,
        app_bytes=sum(size for is_data, size in replies if not is_data),
        data_bytes=sum(data),
        requests=len(replies),
    )


def _print_openings(console: Console, steps: int, found: dict[str, list[Opening]]) -> None:
    table = Table(title=f"opening {steps:,} steps; load {os.getloadavg()[0]:.1f}")
    for name in ("", "rows ms", "best", "all ms", "best", "app kB", "data kB", "requests"):
        table.add_column(name, justify="right")
    for name, openings in found.items():
        rows, whole = (
            [getattr(one, field) for one in openings] for field in ("rows_ms", "whole_ms")
        )
        last = openings[-1]
        table.add_row(
            name,
            f"{statistics.median(rows):,.0f}",
            f"{min(rows):,.0f}",
            f"{statistics.median(whole):,.0f}",
            f"{min(whole):,.0f}",
            f"{last.app_bytes / 1e3:,.0f}",
            f"{last.data_bytes / 1e3:,.0f}",
            f"{last.requests}",
        )
    console.print(table)


def _move(console: Console, browser: Browser, looked: OpenPage) -> None:
    """Scroll and scrub by script, then do nothing; long tasks by the wall's clock and the processor's."""
    table = Table(title=f"moving, {FRAMES} frames each; load {os.getloadavg()[0]:.1f}")
    for name in ("", "> 50 ms", "longest", "> 50 ms of CPU", "longest", "CPU ms a frame", ""):
        table.add_column(name, justify="right")
    count, longest = _seen_tasks(looked)
    table.add_row("loading", f"{count}", f"{longest:.0f}", "", "", "", "")
    movements: dict[str, Callable[[], str]] = {
        "scrolling by the wheel": lambda: _wheel(looked),
        "scrolling top to end": lambda: f"at most {looked.page.evaluate(SCROLL, FRAMES)} rows",
        "scrubbing": lambda: _scrub(looked),
        "idle": lambda: f"{looked.page.evaluate(IDLE, FRAMES)} draws",
    }
    for name, move in movements.items():
        browser.start_tracing(page=looked.page, categories=["toplevel"])
        what = move()
        tasks_ms = _task_times(browser.stop_tracing())
        count, longest = _seen_tasks(looked)
        table.add_row(
            name,
            f"{count}",
            f"{longest:.0f}",
            f"{sum(ms > LONG_MS for ms in tasks_ms)}",
            f"{max(tasks_ms, default=0):.0f}",
            f"{sum(tasks_ms) / FRAMES:.1f}",
            what,
        )
    console.print(table)


def _seen_tasks(looked: OpenPage) -> tuple[int, float]:
    """Return number and longest of the long tasks since the last call, in ms by the wall's clock."""
    looked.page.wait_for_timeout(SETTLE_MS)  # the browser tells of them a little later
    found = looked.told("window.bench.tasks.splice(0)")
    return len(found), max(found, default=0)


def _task_times(trace: bytes) -> list[float]:
    """Return the processor ms of each task of the page's thread: load beside it does not count."""
    events = json.loads(trace)["traceEvents"]
    pages = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return [
        event.get("tdur", 0) / 1e3
        for event in events
        if event["name"] == "ThreadControllerImpl::RunTask"
        and (event["pid"], event["tid"]) in pages
    ]


def _wheel(looked: OpenPage) -> str:
    looked.told("document.querySelector('[role=treegrid]').scrollTop = 0")
    box = looked.page.locator("[role=treegrid]").bounding_box()
    assert box is not None
    looked.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _frame in range(FRAMES):
        looked.page.mouse.wheel(0, NOTCH_PX)
    return f"{FRAMES * NOTCH_PX:,} px"


def _scrub(looked: OpenPage) -> str:
    strip = looked.page.locator(".strip canvas").bounding_box()
    assert strip is not None
    y, mouse = strip["y"] + strip["height"] / 2, looked.page.mouse
    mouse.move(strip["x"] + strip["width"] - 2, y)
    mouse.down()
    mouse.move(strip["x"] + 2, y, steps=FRAMES)
    mouse.up()
    looked.page.wait_for_timeout(SETTLE_MS)
    return ""


def _print_bytes(console: Console, looked: OpenPage, long: LongRun) -> None:
    """Compare pages of columns with a list of objects: bytes, and how long the browser parses them."""
    store = Store(str(long.journal), create=False)
    index = RunIndex(store, long.run)
    pages: list[dict[str, Any]] = []
    after = 0
    while not pages or after < index.known.last:
        pages.append(page_of(index, after, PAGE_EVENTS))
        after = pages[-1]["to"]
    store.close()
    table = Table(title="the same facts, as they are sent")
    for name in ("", "kB", "kB gzipped", "parse ms"):
        table.add_column(name, justify="right")
    sizes = []
    for name, texts in (
        ("pages of columns", [_json(page) for page in pages]),
        ("a list of objects", [_json(_rows(index))]),
    ):
        sizes.append(sum(len(gzip.compress(text.encode(), LEVEL)) for text in texts))
        parsed = [sum(looked.page.evaluate(PARSE, text) for text in texts) for _repeat in range(5)]
        plain = sum(map(len, texts))
        table.add_row(name, f"{plain / 1e3:,.0f}", f"{sizes[-1] / 1e3:,.0f}", f"{min(parsed):.0f}")
    console.print(table, f"columns / objects, gzipped: {sizes[0] / sizes[1]:.2f}")


def _rows(index: RunIndex) -> list[dict[str, Any]]:
    """Return one object a step, without what it does not have."""
    known = index.known.columns
    rows = []
    for step in range(1, known.steps + 1):
        start, end, (name, kind) = (
            known.start_event[step],
            known.end_event[step],
            known.names[known.name[step]],
        )
        model = max(known.model_begun[step], known.model_ended[step])
        row = {
            "step": step,
            "parent": known.parent[step],
            "name": name,
            "kind": kind,
            "started": known.at_us[start] / 1e6,
            "start_event": start,
            "ended": known.at_us[end] / 1e6 if end else None,
            "end_event": end or None,
            "end": chr(known.types[end]) if end else None,
            "model": known.models[model] if model >= 0 else None,
            "input_tokens": known.tokens_in[step] or None,
            "output_tokens": known.tokens_out[step] or None,
            "cost": known.cost[step] if known.cost[step] > 0 else None,
            "attempts": known.attempts.get(step),
            "error": known.errors.get(step),
            "flags": known.flags[step] or None,
            "links": known.links.get(step),
        }
        rows.append({key: value for key, value in row.items() if value is not None})
    return rows


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
