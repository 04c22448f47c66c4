"""One measurement, in a process of its own: `python -m benchmarks.scale.cell JSON` prints JSON.

Owns what is done: run, go on with, read, view. How many and which is `__main__.py`'s business.
"""

import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from agentflow import Journal, Runner
from agentflow.engine.run import Durability
from agentflow.journal.store import Store
from agentflow.resources import Resources
from benchmarks.scale import clock, meters, tree, world

RUN = "scale"
Do = Literal["run", "resume", "read", "view", "profile"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What to measure. `kill` is the share of the work after which the process kills itself."""

    do: Do = "run"
    journal: str
    steps: int = 2_000
    workers: int = 100
    calls: int = 200
    per_minute: float | None = None
    latency_s: float = 1.0
    seed: int = 7
    time: clock.Clock = "wall"
    groups: int = 100  # open at once; 0 for all
    chars: int = 1000
    durability: Durability = "results"
    kill: float = 0.0
    lost: float = 0.002  # of the pieces of work lose their worker
    collect: int = 700  # new objects before Python looks for garbage


async def simulate(cell: Cell, marks: list[Callable[[int], None]]) -> dict[str, Any]:
    """Run the task, or go on with it, and return what happened in the simulated world."""
    random.seed(cell.seed)  # the waits between retries
    tree.Room.chars = cell.chars
    tree.Room.groups = asyncio.Semaphore(cell.groups) if cell.groups else None
    leaves = tree.counts_of(cell.steps, cell.seed).leaves
    around = world.World(
        cell.seed, cell.latency_s, cell.lost, end_at=int(cell.kill * leaves), marks=list(marks)
    )
    model = world.SimulatedModel(around, cell.calls, cell.per_minute)
    place = world.SimulatedPlace(around, cell.workers)
    middle = _Middle(place, leaves)
    around.marks.append(middle.mark)
    async with Resources({str(model.spec): model}, place) as resources:
        runner = Runner(
            model=model, journal=cell.journal, resources=resources, durability=cell.durability
        )
        began_s = clock.now_s()
        if cell.do == "resume":
            made = (await runner.resume(tree.solve, RUN)).output
        else:
            arguments = ("0", cell.steps, cell.steps + 1, cell.seed)
            made = (await runner.run_as(RUN, tree.solve, *arguments)).output
        took_s = clock.now_s() - began_s
    assert made == cell.steps, made
    busy = place.busy_until_now_s / (took_s * cell.workers)
    return {
        "simulated_s": took_s,
        "utilisation": busy,
        "middle": middle.utilisation(cell.workers),
    } | world.facts(around, model, place)


class _Middle:
    """How busy the workers were while the second to the eighth tenth of the work was done."""

    def __init__(self, place: world.SimulatedPlace, leaves: int) -> None:
        self._place, self._at = place, (leaves // 5, leaves * 4 // 5)
        self._looks: list[tuple[float, float]] = []

    def mark(self, done: int) -> None:
        if done in self._at:
            self._looks.append((clock.now_s(), self._place.busy_until_now_s))

    def utilisation(self, workers: int) -> float:
        if len(self._looks) < 2:
            return 0.0
        (from_s, before), (to_s, after) = self._looks
        return (after - before) / ((to_s - from_s) * workers)


def run(cell: Cell) -> dict[str, Any]:
    """Measure a run, or its going on."""
    commits, leaves = meters.Commits(), tree.counts_of(cell.steps, cell.seed).leaves
    commits.watch()
    collections = meters.Collections()
    collections.watch()
    gc.set_threshold(cell.collect, 10, 10)
    whole = int(leaves * (1 - cell.kill)) if cell.do == "resume" else leaves
    progress = meters.Progress(whole)
    idle_mb, wall_s, cpu_s, main_s = (
        meters.rss_mb(),
        time.perf_counter(),
        time.process_time(),
        time.thread_time(),
    )
    first: list[float] = []

    def first_one(_done: int) -> None:
        if not first:
            first.append(time.perf_counter() - wall_s)

    seen = clock.run(lambda: simulate(cell, [progress.mark, first_one]), cell.time)
    return seen | {
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "main_s": time.thread_time() - main_s,
        "first_s": first[0] if first else None,
        "idle_mb": idle_mb,
        "peak_mb": meters.peak_mb(),
        "commits": asdict(commits),
        "collections": {"count": collections.count, "wall_s": collections.wall_s},
        "progress": progress.looks,
        **_size(cell.journal),
    }


def _size(journal: str) -> dict[str, Any]:
    return {} if "://" in journal else {"bytes": meters.size_bytes(journal)}


def read(cell: Cell) -> dict[str, Any]:
    """Read the run as a record."""
    began_s, idle_mb = time.perf_counter(), meters.rss_mb()
    with Journal(cell.journal) as journal:
        record = journal.run(RUN)
    wall_s = time.perf_counter() - began_s
    kept_mb = meters.rss_mb() - idle_mb
    done = [step for step in record.steps.values() if step.status == "succeeded"]
    return {
        "wall_s": wall_s,
        "peak_mb": meters.peak_mb(),
        "kept_mb": kept_mb,
        "steps": len(record.steps),
        "keys": len({step.key for step in done}),
        "succeeded": len(done),
        "status": record.status,
        "attempts": sum(step.details.get("attempts", 1) - 1 for step in done),
    }


def view(cell: Cell) -> dict[str, Any]:
    """Read the run as the viewer's server does: the first page, then all of them."""
    from agentflow_web.reading.index import RunIndex
    from agentflow_web.reading.pages import page

    began_s, idle_mb, sizes, after = time.perf_counter(), meters.rss_mb(), 0, 0
    store = Store(cell.journal, create=False)
    index = RunIndex(store, RUN)
    page(index, 0, 5_000)
    first_s = time.perf_counter() - began_s
    while True:
        found = page(index, after, 60_000)
        sizes += len(json.dumps(found))
        if index.known.last <= after + 60_000:
            break
        after += 60_000
    wall_s = time.perf_counter() - began_s
    kept_mb = meters.rss_mb() - idle_mb
    store.close()
    return {"first_s": first_s, "wall_s": wall_s, "peak_mb": meters.peak_mb(),
            "kept_mb": kept_mb, "json_bytes": sizes}  # fmt: skip


def profile(cell: Cell) -> dict[str, Any]:
    """Run under a profiler, and return the seconds of each part."""
    from benchmarks.scale.parts import seconds_by_part

    return seconds_by_part(lambda: clock.run(lambda: simulate(cell, []), cell.time))


DOING: dict[Do, Callable[[Cell], dict[str, Any]]] = {
    "run": run,
    "resume": run,
    "read": read,
    "view": view,
    "profile": profile,
}


if __name__ == "__main__":
    asked = Cell(**json.loads(sys.argv[1]))
    load = os.getloadavg()[0]
    print(json.dumps(DOING[asked.do](asked) | {"load": load}))
