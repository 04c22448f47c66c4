"""What a process uses: memory, CPU, commits.

Owns the reading of meters; knows nothing of what is measured.
"""

import gc
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentflow.journal.commits import Committer

PAGE = os.sysconf("SC_PAGE_SIZE")
MB = 1e6


def rss_mb() -> float:
    """Return the memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / MB


def peak_mb() -> float:
    """Return the most memory this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / MB


@dataclass
class Commits:
    """How many commits there were, and what they took."""

    count: int = 0
    in_thread: int = 0
    events: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def watch(self) -> None:
        """Time every commit of this process from now on."""
        inner, meter = Committer.commit, self

        def commit(self: Committer, batch: Any, *, must_sync: bool, wait: bool = True) -> None:
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            inner(self, batch, must_sync=must_sync, wait=wait)
            meter.count += 1
            meter.in_thread += threading.current_thread() is not threading.main_thread()
            meter.events += len(batch)
            meter.wall_s += time.perf_counter() - wall_s
            meter.cpu_s += time.thread_time() - cpu_s

        Committer.commit = commit  # type: ignore[method-assign]


@dataclass
class Collections:
    """What Python's collections of garbage took, by generation."""

    count: list[int] = field(default_factory=lambda: [0, 0, 0])
    wall_s: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _began_s: float = 0.0

    def watch(self) -> None:
        """Time every collection of this process from now on."""
        gc.callbacks.append(self._hear)

    def _hear(self, phase: str, facts: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = time.perf_counter()
            return
        self.count[facts["generation"]] += 1
        self.wall_s[facts["generation"]] += time.perf_counter() - self._began_s


@dataclass
class Progress:
    """A look at the meters at each tenth of the work."""

    whole: int
    began_s: float = field(default_factory=time.perf_counter)
    looks: list[dict[str, float]] = field(default_factory=list)

    def mark(self, done: int) -> None:
        """Look, if another tenth is done."""
        if done * 10 >= self.whole * (len(self.looks) + 1):
            wall_s = round(time.perf_counter() - self.began_s, 2)
            cpu_s = round(time.process_time(), 2)
            look = {"done": done, "wall_s": wall_s, "cpu_s": cpu_s, "rss_mb": round(rss_mb(), 1)}
            self.looks.append(look)
            print(json.dumps(look), file=sys.stderr, flush=True)  # outlives a kill


def size_bytes(journal: str) -> int:
    """Return the size of a journal in a file with all that belongs to it."""
    return sum(path.stat().st_size for path in Path(journal).parent.glob(f"{Path(journal).name}*"))
