"""What a viewer costs a writer at full speed, in turns of seconds: for machines where other work goes on.

Owns the stopping of a viewer: server and browser are halted by signal and go on again, in the order A B B A,
while one process writes. A turn with the viewer also pays for what has come up while it was halted.
"""

import os
import signal
import subprocess
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.executions import below
from benchmarks.viewer_live import looking, starts_of, tell_to_go, writer
from benchmarks.viewer_page import view_server

ORDER = (True, False, False, True)  # whether the viewer goes on


@dataclass(frozen=True)
class Turn:
    """One turn: the steps that were started in it, and the writer's processor seconds."""

    is_viewed: bool
    wall_s: float
    steps: int
    writer_s: float


def turns_of(browser: Browser, *, seconds: float, turn_s: float) -> list[Turn]:
    """Return the turns of one run of so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.db"
        with writer(journal, 0, seconds) as process, view_server(journal) as server:
            viewer = looking(browser, server)
            halted = [server.pid, *_browsers()]
            tell_to_go(process)
            try:
                marks = _take_turns(process, halted, seconds, turn_s)
            finally:
                _signal(halted, signal.SIGCONT)
                viewer.close()
        starts = starts_of(journal)
    return [
        Turn(is_viewed, end - begin, bisect_left(starts, end) - bisect_left(starts, begin), cpu)
        for begin, end, is_viewed, cpu in marks
    ]


def rate_of(turns: Sequence[Turn], *, is_viewed: bool) -> float:
    """Return the steps a second of all turns of one sort."""
    some = [turn for turn in turns if turn.is_viewed is is_viewed]
    return sum(turn.steps for turn in some) / sum(turn.wall_s for turn in some)


def step_us_of(turns: Sequence[Turn], *, is_viewed: bool) -> float:
    """Return the writer's processor time for a step in all turns of one sort."""
    some = [turn for turn in turns if turn.is_viewed is is_viewed]
    return 1e6 * sum(turn.writer_s for turn in some) / sum(turn.steps for turn in some)


def ratios_of(turns: Sequence[Turn]) -> list[float]:
    """Return for each round of four turns the rate with a viewer over that without."""
    rounds = [turns[first : first + len(ORDER)] for first in range(0, len(turns), len(ORDER))]
    return [
        rate_of(some, is_viewed=True) / rate_of(some, is_viewed=False)
        for some in rounds
        if len(some) == len(ORDER)
    ]


def _take_turns(
    process: subprocess.Popen[str], halted: list[int], seconds: float, turn_s: float
) -> list[tuple[float, float, bool, float]]:
    """Halt and go on in turns, as long as the writer writes for sure."""
    marks = []
    until = time.time() + seconds - turn_s
    for number in range(int(seconds / turn_s)):
        is_viewed = ORDER[number % len(ORDER)]
        _signal(halted, signal.SIGCONT if is_viewed else signal.SIGSTOP)
        begin, used_s = time.time(), _used_s(process.pid)
        if begin > until or process.poll() is not None:
            break
        time.sleep(turn_s)
        marks.append((begin, time.time(), is_viewed, _used_s(process.pid) - used_s))
    return marks


def _used_s(pid: int) -> float:
    """Return the processor seconds of a process, finer than in ticks; threads that ended do not count."""
    spent = (path.read_text().split()[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(map(int, spent)) / 1e9


def _browsers() -> list[int]:
    """Return the processes of the browsers that this process has started."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below()}
    return [pid for pid, command in commands.items() if b"chromium/" in command.split(b"\0")[0]]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # of a browser's, some come and go
            os.kill(pid, number)
