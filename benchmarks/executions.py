"""Measure how fast generated functions are executed: confined by ours, unconfined by a bare subprocess.

    python -m benchmarks.executions --seconds 5

A checked execution loads a candidate in a fresh process, makes 10 calls, and compares what they
returned. The peer starts `python -I -S` for each candidate and is not confined at all. CPU is that of this
process and of all its children.
"""

import argparse
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from agentflow.errors import SandboxUnavailableError
from agentflow.sandbox.workers.interpreter import find_interpreter
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers
from agentflow.sandbox.workers.protocol import Trial

SOURCE = '''
from collections import Counter
from typing import List

def most_common(words: List[str], count: int) -> List[str]:
    """Return the `count` most common words, ties in alphabetic order."""
    seen = Counter(words)
    return sorted(seen, key=lambda word: (-seen[word], word))[:count]
'''
CALLS = tuple(
    f"most_common({[f'w{index % step}' for index in range(12)]!r}, {step})" for step in range(1, 11)
)
BATCH = 2_000  # calls in one fork
PEER = f"""
import json, sys
namespace = {{}}
exec(sys.stdin.read(), namespace)
print(json.dumps([eval(call, namespace) for call in {list(CALLS)!r}]))
"""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many of something were done, in what wall time and processor time."""

    name: str
    done: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """How many in a second."""
        return self.done / self.wall_s


def expected() -> list[list[str]]:
    """Return what the calls return: computed here, in this process."""
    namespace: dict[str, object] = {}
    exec(SOURCE, namespace)
    return [eval(call, namespace) for call in CALLS]


def cpu_of(pids: list[int]) -> float:
    """Return the processor seconds of this process, of `pids`, and of all their ended children."""
    ticks = 0
    for pid in (Path(f"/proc/{pid}/stat") for pid in ["self", *pids]):
        fields = pid.read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / 100


def below() -> list[int]:
    """Return the processes that this one has started, and those that they have."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [int(Path("/proc/self").resolve().name)]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


async def measure(
    name: str, seconds: float, many: int, each: int, work: Callable[[], Awaitable[None]]
) -> Rate:
    """Return how fast `work` is done, `many` at a time; it counts as `each` executions."""
    async with anyio.create_task_group() as group:  # so that every jail is there
        for _ in range(many):
            group.start_soon(work)
    pids = below()
    began, cpu, done = time.perf_counter(), cpu_of(pids), 0

    async def go_on() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await work()
            done += each

    async with anyio.create_task_group() as group:
        for _ in range(many):
            group.start_soon(go_on)
    wall_s = time.perf_counter() - began
    return Rate(name=name, done=done, wall_s=wall_s, cpu_s=cpu_of(pids) - cpu)


async def ours(workers: TrialWorkers, seconds: float) -> list[Rate]:
    """Measure one launcher: checked executions, then calls in batches."""
    single, batch = (
        Trial(source=SOURCE, calls=CALLS),
        Trial(source=SOURCE, calls=CALLS * (BATCH // 10)),
    )
    right = [{"list": words} for words in expected()]

    async def check() -> None:
        observed = await workers.observe(single)
        assert [seen.value for seen in observed.observations] == right, observed

    async def check_batch() -> None:
        observed = await workers.observe(batch)
        assert len(observed.observations) == BATCH, observed.failure

    name = workers.launcher
    return [
        await measure(f"{name}, checked executions", seconds, 4, 1, check),
        await measure(f"{name}, calls in batches", seconds, 4, BATCH, check_batch),
    ]


async def bare(seconds: float) -> Rate:
    """Measure the peer: a fresh, unconfined interpreter for each candidate."""
    command = [find_interpreter().executable, "-I", "-S", "-c", PEER]
    right = expected()

    async def check() -> None:
        done = await anyio.run_process(command, input=SOURCE.encode())
        assert json.loads(done.stdout) == right

    return await measure("bare subprocess, checked executions", seconds, 2, 1, check)


async def main(seconds: float) -> None:
    """Measure and print a table."""
    rates = []
    for launcher in ("bubblewrap", "landlock"):
        try:
            workers = await open_workers(launcher=launcher, jails=2)
        except SandboxUnavailableError as error:
            print(f"{launcher} left out: {error}", file=sys.stderr)
            continue
        rates += await ours(workers, seconds)
        await workers.aclose()
    rates.append(await bare(seconds))
    print(f"{'':40}{'per s':>10}{'wall ms':>10}{'CPU ms':>10}{'x bare':>10}")
    for rate in rates:
        ms = 1000 / rate.done
        print(
            f"{rate.name:40}{rate.per_s:10,.0f}{rate.wall_s * ms:10.3f}{rate.cpu_s * ms:10.3f}"
            f"{rate.per_s / rates[-1].per_s:10.1f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each row takes")
    anyio.run(main, parser.parse_args().seconds)
