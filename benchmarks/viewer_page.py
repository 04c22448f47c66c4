"""A viewer that is looked at: the real server as a process of its own, and a page open on one run.

Owns what is watched in the page, from outside of it: how many steps its header counts and when, when rows
are there, long tasks, draws. Where there is no Chromium, a client asks as the page does; it draws nothing.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, BrowserContext, CDPSession, Error, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
POLL_S = 0.4  # as the page does
WAIT_S = 120.0
# The commands themselves, whether or not this checkout has been installed anew since they were written.
VIEW = "from agentflow_web.cli.view import view; view()"
WATCHING = """() => {
    const bench = (window.bench = { seen: [], tasks: [], rows: 0, whole: 0 });
    const steps = /([\\d,]+)(?: of [\\d,]+)? steps?( …)?/;
    const look = () => {
        const row = document.querySelector('[role=treegrid] [role=row][data-step]');
        if (row && !bench.rows) requestAnimationFrame(() => (bench.rows ||= performance.now()));
        const found = steps.exec(document.querySelector('header .facts')?.textContent ?? '');
        const count = found ? Number(found[1].replaceAll(',', '')) : 0;
        if (count && !found[2] && !bench.whole) {
            requestAnimationFrame(() => (bench.whole ||= performance.now()));
        }
        if (!count || count === bench.count) return;
        bench.count = count;
        requestAnimationFrame(() => bench.seen.push([Date.now() / 1000, count]));
    };
    new MutationObserver(look).observe(document, {
        childList: true, subtree: true, characterData: true,
    });
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) bench.tasks.push(task.duration);
    }).observe({ type: 'longtask', buffered: true });
}"""


@dataclass(frozen=True)
class Server:
    """A viewer's server: where it is, its token, its process."""

    origin: str
    token: str = field(repr=False)
    pid: int

    def address_of(self, run: str) -> str:
        """Return the address of one run, without the token."""
        return f"{self.origin}/#/run/{run}"


@contextmanager
def view_server(journal: Path) -> Iterator[Server]:
    """Run `agentflow view` on a journal."""
    command = [sys.executable, "-c", VIEW, str(journal), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            origin, _, token = process.stdout.readline().strip().partition("/#t=")
            yield Server(origin, token, process.pid)
        finally:
            process.terminate()


@contextmanager
def chromium() -> Iterator[Browser | None]:
    """Start the machine's Chromium; None where there is none."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        except Error:
            browser = None
        yield browser
        if browser:
            browser.close()


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process that is running, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Viewer(Protocol):
    """Somebody who looks at a run: what was seen, as pairs of Unix seconds and the count of steps."""

    def wait_seen(self, steps: int) -> list[tuple[float, int]]:
        """Wait until so many steps have been seen, and return all that was."""

    def cpu_s(self) -> float:
        """Return the processor seconds of looking so far."""

    def close(self) -> None:
        """Look away."""


class OpenPage:
    """A page of Chromium, with the token in its storage, as after the first visit."""

    def __init__(self, browser: Browser, server: Server | None = None) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport={"width": 1400, "height": 900}, reduced_motion="reduce"
        )
        self.context.add_init_script(f"({WATCHING})()")
        if server:
            token = json.dumps(server.token)
            script = f"location.protocol === 'http:' && sessionStorage.setItem('agentflow-token', {token})"
            self.context.add_init_script(script)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT_S * 1000)
        self._cdp: CDPSession = self.context.new_cdp_session(self.page)
        self._cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

    def open(self, address: str) -> None:
        """Go there and wait until every step is loaded."""
        self.page.goto(address)
        self._wait("window.bench.rows && window.bench.whole")

    def told(self, expression: str) -> Any:
        """Evaluate something in the page."""
        return self.page.evaluate(expression)

    def wait_seen(self, steps: int) -> list[tuple[float, int]]:
        """See `Viewer`."""
        self._wait(f"window.bench.seen.at(-1)?.[1] >= {steps}")
        return [(at, count) for at, count in self.told("window.bench.seen")]

    def _wait(self, condition: str) -> None:
        """Wait in the page itself: its security policy refuses what Playwright would evaluate there."""
        self.told(f"""async () => {{
            const began = performance.now();
            while (!({condition})) {{
                if (performance.now() - began > {WAIT_S * 1000}) throw new Error('never: {condition}');
                await new Promise((done) => setTimeout(done, 20));
            }}
        }}""")

    def cpu_s(self) -> float:
        """Return the processor seconds of the page's main thread."""
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        found = {metric["name"]: float(metric["value"]) for metric in metrics}
        return found["TaskDuration"]

    def close(self) -> None:
        """Close the page with all it has kept."""
        self.context.close()


class PollingClient:
    """Asks for what is new as the page does, and counts steps."""

    def __init__(self, server: Server, run: str) -> None:
        self._address = f"{server.origin}/api/runs/{run}/changes?limit=60000&after="
        self._headers = {"Authorization": f"Bearer {server.token}", "Accept-Encoding": "gzip"}
        self._seen: list[tuple[float, int]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._began = time.thread_time()
        self._thread.start()

    def _poll(self) -> None:
        after = steps = 0
        while not self._is_over.wait(POLL_S):
            request = Request(self._address + str(after), headers=self._headers)
            with urlopen(request, timeout=WAIT_S) as reply:
                page = json.loads(gzip.decompress(reply.read()))
            after, steps = page["to"], steps + page["types"].count("S")
            self._seen.append((time.time(), steps))

    def wait_seen(self, steps: int) -> list[tuple[float, int]]:
        """See `Viewer`."""
        deadline = time.monotonic() + WAIT_S
        while not self._seen or self._seen[-1][1] < steps:
            assert time.monotonic() < deadline, f"{steps} steps were never seen"
            time.sleep(POLL_S / 10)
        return list(self._seen)

    def cpu_s(self) -> float:
        """Nothing that is worth counting."""
        return 0.0

    def close(self) -> None:
        """See `Viewer`."""
        self._is_over.set()
        self._thread.join()
