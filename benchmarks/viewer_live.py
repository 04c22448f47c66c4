"""What a viewer costs the process whose run it follows, and how far it is behind.

Owns the phases: the same writer, each time a fresh process with a fresh journal, without a viewer and with
one, in the order A B B A so that a drift of the machine falls on both alike.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from agentflow.journal.events import StepStarted
from agentflow.journal.journal import Journal
from benchmarks.viewer_page import OpenPage, PollingClient, Server, Viewer, cpu_s, view_server
from benchmarks.viewer_writer import RUN


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One run of the writer. Processor seconds are those while it wrote; delays in seconds, one a step."""

    is_viewed: bool
    steps: int
    wall_s: float
    writer_s: float
    server_s: float = 0.0
    page_s: float = 0.0
    delays: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.wall_s

    @property
    def step_us(self) -> float:
        """The writer's processor time for a step."""
        return self.writer_s / self.steps * 1e6


def live_phases(
    browser: Browser | None, *, rate: float, seconds: float, rounds: int
) -> Iterator[Phase]:
    """Yield the phases of `rounds` alternations."""
    for _round in range(rounds):
        for is_viewed in (False, True, True, False):
            with tempfile.TemporaryDirectory() as folder:
                journal = Path(folder) / "journal.db"
                yield _phase(journal, browser, is_viewed=is_viewed, rate=rate, seconds=seconds)


def _phase(
    journal: Path, browser: Browser | None, *, is_viewed: bool, rate: float, seconds: float
) -> Phase:
    with writer(journal, rate, seconds) as process, ExitStack() as open_:
        if not is_viewed:
            tell_to_go(process)
            return _found(process, is_viewed=False)
        server = open_.enter_context(view_server(journal))
        viewer = looking(browser, server)
        open_.callback(viewer.close)
        served_s, looked_s = cpu_s(server.pid), viewer.cpu_s()
        tell_to_go(process)
        found = _found(process, is_viewed=True)
        served_s, looked_s = cpu_s(server.pid) - served_s, viewer.cpu_s() - looked_s
        starts = starts_of(journal)
        delays = _delays(viewer.wait_seen(len(starts)), starts)
        return Phase(
            is_viewed=True,
            steps=found.steps,
            wall_s=found.wall_s,
            writer_s=found.writer_s,
            server_s=served_s,
            page_s=looked_s,
            delays=delays,
        )


@contextmanager
def writer(journal: Path, rate: float, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Start a writer; its run has begun, and it waits for `tell_to_go`."""
    command = [sys.executable, "-m", "benchmarks.viewer_writer", str(journal)]
    pace = ["--rate", str(rate), "--seconds", str(seconds)]
    with subprocess.Popen(
        command + pace, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.wait() == 0


def tell_to_go(process: subprocess.Popen[str]) -> None:
    """Have a writer begin."""
    assert process.stdin is not None
    print("go", file=process.stdin, flush=True)


def _found(process: subprocess.Popen[str], *, is_viewed: bool) -> Phase:
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    return Phase(
        is_viewed=is_viewed, steps=int(told["steps"]), wall_s=told["wall_s"], writer_s=told["cpu_s"]
    )


def looking(browser: Browser | None, server: Server) -> Viewer:
    """Open the run of the writer."""
    if browser is None:
        client = PollingClient(server, RUN)
        client.wait_seen(1)
        return client
    page = OpenPage(browser, server)
    page.open(server.address_of(RUN))
    return page


def starts_of(journal: Path) -> list[float]:
    """Return when each step started, in order, by the writer's clock."""
    with Journal(journal) as opened:
        events = opened.events(RUN)
    return [event.at for event in events if isinstance(event, StepStarted)]


def _delays(seen: list[tuple[float, int]], starts: list[float]) -> tuple[float, ...]:
    """Return for each step how long after its start it was counted; those before the viewer came, not."""
    counts = [count for _at, count in seen]
    before = counts[0]
    return tuple(
        seen[bisect_right(counts, place)][0] - at
        for place, at in enumerate(starts)
        if place >= before
    )


def quantiles(values: list[float]) -> tuple[float, float, float]:
    """Return median, 95th percentile and maximum."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]
