"""What do workers on nodes give to flows that compute, and what does a call of a model cost from there?

    python -m benchmarks.shipping
    python -m benchmarks.shipping --runs 24 --work-ms 500 --repeats 3

Starts a Ray cluster of two nodes with one core each on this machine. `runs`: whole runs whose flow computes in plain
Python, in this process, with the workers of one node, then of both; their start is not in it. `call`: one attempt
of a model that answers at once, one after the other, in this process and through a worker.
"""

import argparse
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # as what it is measured beside

from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from agentflow import Budget, Reply, Runner, flow, generate, parallel
from agentflow.cluster.shipping.fleet import Fleet
from agentflow.cluster.shipping.wire import Setup
from agentflow.cluster.shipping.worker import Bench
from agentflow.engine.ledger import Ledger
from agentflow.models.protocol import ModelSpec, OnText, Price, Request
from agentflow.resources import Resources

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}
SPEC = ModelSpec(provider="instant", name="model")


class Instant:
    """A model that answers at once."""

    spec = SPEC
    concurrency: int | None = None

    @property
    def price(self) -> Price | None:
        return None

    async def complete(self, request: Request, on_text: OnText) -> Reply:  # noqa: ARG002
        return Reply(text="yes")

    async def aclose(self) -> None:
        """Nothing to close."""


@flow
async def computing(seconds: float) -> str:
    """Compute for a while, then ask."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return (await generate("really?")).text


@flow
async def calling(count: int) -> float:
    """Ask one after the other; return the seconds of one."""
    await generate("ready?")
    began = time.perf_counter()
    for number in range(count):
        await generate(f"question {number}")
    return (time.perf_counter() - began) / count


async def open_bench(_given: object, bench: Bench) -> Callable[[tuple[str, Any]], Awaitable[Any]]:
    runner = Runner(journal=":memory:", model=SPEC, resources=bench.resources, within=bench.within)

    async def work(given: tuple[str, Any]) -> Any:
        name, argument = given
        if name == "call":
            return (await runner.run_async(calling, argument)).output
        return (await runner.run_async(computing, argument)).output

    return work


Work = Callable[[tuple[str, Any]], Awaitable[Any]]


async def seconds_of(work: Work, runs: int, seconds: float) -> float:
    began = time.perf_counter()
    await parallel(work(("run", seconds)) for _ in range(runs))
    return time.perf_counter() - began


async def measured(cluster: Cluster, given: argparse.Namespace, nodes: int) -> tuple[float, float]:
    setup = Setup(
        opener="benchmarks.shipping:open_bench", given=None, packages=("agentflow.cluster",)
    )
    async with (
        Resources({str(SPEC): Instant()}) as resources,
        Fleet(cluster.address, setup, resources, Ledger(Budget())) as fleet,
    ):
        fleet.limit(given.runs)

        async def work(task: tuple[str, Any]) -> Any:
            return await fleet.done("work", task, task)

        while len(fleet.workers()) < nodes:
            await work(("call", 1))
            await anyio.sleep(0.1)
        spent = [
            await seconds_of(work, given.runs, given.work_ms / 1e3) for _ in range(given.repeats)
        ]
        calls = [await work(("call", given.calls)) for _ in range(given.repeats)]
        return statistics.median(spent), statistics.median(calls)


async def here(given: argparse.Namespace) -> tuple[float, float]:
    async with Resources({str(SPEC): Instant()}) as resources:
        work = await open_bench(None, Bench(resources, Ledger(Budget())))
        spent = [
            await seconds_of(work, given.runs, given.work_ms / 1e3) for _ in range(given.repeats)
        ]
        calls = [await work(("call", given.calls)) for _ in range(given.repeats)]
        return statistics.median(spent), statistics.median(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--work-ms", type=float, default=500)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    table = Table("where", "runs, s", "speed-up", "call, ms")
    alone, call = anyio.run(here, given)
    table.add_row("this process", f"{alone:.2f}", "1.00", f"{call * 1e3:.2f}")
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **NODE})
    try:
        for nodes in (1, 2):
            if nodes > 1:
                cluster.add_node(**NODE)
            spent, call = anyio.run(measured, cluster, given, nodes)
            name = f"{nodes} node{'s' * (nodes > 1)}"
            table.add_row(name, f"{spent:.2f}", f"{alone / spent:.2f}", f"{call * 1e3:.2f}")
    finally:
        cluster.shutdown()
    Console().print(table)


if __name__ == "__main__":
    main()
