"""What does the harness itself cost? The same samples with and without it, in turns.

    python -m benchmarks.harness
    python -m benchmarks.harness --samples 1000 --at-once 1,4,16

`client` asks the server with the bare openai client. `runs` runs each sample as a task of its own with
`Runner`, journal included: what anyone pays who wants these runs. `harness` is `agentflow eval`'s way: the
same runs, and the evaluation around them. The harness's own overhead is the difference of the last two.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import anyio
from agentflow_evals.opening import OpenSuite, open_suite
from agentflow_evals.plan import Contender, Entrant, plan_for
from agentflow_evals.running.evaluator import Evaluator
from agentflow_evals.suite import Sample, Suite
from openai import AsyncOpenAI
from rich.console import Console
from rich.table import Table

from agentflow import ModelSpec, Runner, Task
from agentflow.journal.store import Store
from agentflow.resources import Resources
from agentflow.solving import Named, solve_task
from benchmarks.model_server import Pace, model_server

LATENCY_S = 0.050
DIRECT = Named(name="direct")


class Words(Suite):
    """Samples that any answer solves."""

    def __init__(self, count: int) -> None:
        self.count = count

    def samples(self) -> Iterable[Sample]:
        check = Named(name="contains", options={"all": ["word"]})
        for number in range(self.count):
            yield Sample(id=f"{number}", task=Task(goal=f"Say word {number}."), checks=(check,))


Way = Callable[[OpenSuite, str, int, str], Awaitable[None]]


async def client(suite: OpenSuite, url: str, at_once: int, _journal: str) -> None:
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as openai:

        async def one(sample: Sample) -> None:
            message = {"role": "user", "content": sample.task.goal}
            stream = await openai.chat.completions.create(
                model="timed",
                messages=[message],  # type: ignore[list-item]
                stream=True,
            )
            async for _chunk in stream:
                pass

        await _all(suite, at_once, one)


async def runs(suite: OpenSuite, url: str, at_once: int, journal: str) -> None:
    async with Resources() as resources:
        kept = Store(journal)  # open all the while, as an evaluation keeps it
        runner = Runner(model=_spec(url), journal=journal, resources=resources)

        async def one(sample: Sample) -> None:
            await runner.run_async(solve_task, sample.task, DIRECT, sample.checks)

        await _all(suite, at_once, one)
        kept.close()


async def harness(suite: OpenSuite, url: str, at_once: int, journal: str) -> None:
    plan = plan_for(
        suite,
        planners=[Contender(label="direct", planner=DIRECT)],
        models=[Entrant(label="timed", spec=_spec(url))],
    )
    found = await Evaluator(journal=journal, at_once=at_once).run(plan, suite)
    assert not found.missing


WAYS: dict[str, Way] = {"client": client, "runs": runs, "harness": harness}


async def _all(suite: OpenSuite, at_once: int, one: Callable[[Sample], Awaitable[None]]) -> None:
    left = iter(suite.samples)

    async def worker() -> None:
        for sample in left:
            await one(sample)

    async with asyncio.TaskGroup() as group:
        for _number in range(at_once):
            group.create_task(worker())


def _spec(url: str) -> ModelSpec:
    return ModelSpec(provider="openai", name="timed", base_url=url, retries=0)


def measure(way: Way, suite: OpenSuite, url: str, at_once: int) -> tuple[float, float]:
    """Return wall and CPU seconds of all samples in an empty journal."""
    with tempfile.TemporaryDirectory() as folder:
        wall, used = time.perf_counter(), time.process_time()
        anyio.run(way, suite, url, at_once, str(Path(folder) / "journal.db"))
        return time.perf_counter() - wall, time.process_time() - used


def main() -> None:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--at-once", default="1,4,16")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    os.environ.setdefault("OPENAI_API_KEY", "none")
    suite = open_suite("benchmarks.harness:Words", {"count": given.samples})
    table = Table("at once", "way", "wall s", "CPU ms a sample", "harness / runs", "least wait s")
    with model_server(Pace(fixed_s=LATENCY_S)) as url:
        few = open_suite("benchmarks.harness:Words", {"count": 20})
        for way in WAYS.values():  # imports what is imported on first use
            measure(way, few, url, 4)
        for at_once in map(int, given.at_once.split(",")):
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
            for _repeat in range(given.repeats):
                for name, way in WAYS.items():
                    found[name].append(measure(way, suite, url, at_once))
            walls = {name: statistics.median(wall for wall, _cpu in found[name]) for name in WAYS}
            for name in WAYS:
                cpu = statistics.median(cpu for _wall, cpu in found[name])
                share = f"{walls['harness'] / walls['runs']:.3f}" if name == "harness" else ""
                least = f"{given.samples * LATENCY_S / at_once:.1f}"
                table.add_row(
                    f"{at_once}",
                    name,
                    f"{walls[name]:.2f}",
                    f"{1000 * cpu / given.samples:.2f}",
                    share,
                    least,
                )
    Console().print(table, f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
