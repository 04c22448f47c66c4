"""What does a cluster give, and what does a remote step cost? Beside bare Ray, in the same run.

    python -m benchmarks.cluster
    python -m benchmarks.cluster --steps 400 --work-ms 0,10,100 --repeats 3

Starts a Ray cluster of two nodes with one core each on this machine. `overhead`: the same function as bare Ray
tasks (all submitted at once, one `ray.get`) and as steps (journal on disk, results durable), in turns; `tool` is a remote tool, `trial` the function in
a jail, for which the bare task keeps one warm, too. `speed-up`: the trials on one node, then on both.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # as what it is measured beside

import ray
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from agentflow import Runner, Trial, flow, observe, parallel, tool
from agentflow.cluster.placement import RayPlacement
from agentflow.resources import Resources
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers
from agentflow.sandbox.workers.protocol import TrialLimits

PATIENT = TrialLimits(call_s=60.0, total_s=120.0)  # a busy machine is no failure
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}
SPIN = """
import time
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return 1
"""


def spin(seconds: float) -> int:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return 1


def trial_of(seconds: float) -> Trial:
    return Trial(source=SPIN, calls=(f"spin({seconds})",), limits=PATIENT)


@tool(remote=True)
def spinning(seconds: float) -> int:
    """Compute for a while."""
    return spin(seconds)


@flow
async def by_tool(steps: int, seconds: float) -> int:
    """Compute in as many remote tools."""
    return sum(await parallel(spinning(seconds) for _ in range(steps)))


@flow
async def by_trial(steps: int, seconds: float) -> int:
    """Compute in as many jails."""
    seen = await parallel(observe(trial_of(seconds)) for _ in range(steps))
    assert all(one.observations[0].value == 1 for one in seen), seen[0]
    return steps


class Warm:
    """A jail in the process of a bare task, kept from one task to the next."""

    loop: asyncio.AbstractEventLoop | None = None
    workers: TrialWorkers | None = None

    @classmethod
    def observe(cls, seconds: float) -> int:
        if cls.loop is None:
            cls.loop = asyncio.new_event_loop()
            threading.Thread(target=cls.loop.run_forever, daemon=True).start()
            cls.workers = cls._done(open_workers(jails=1))
        assert cls.workers is not None
        seen = cls._done(cls.workers.observe(trial_of(seconds)))
        return int(seen.observations[0].value)

    @classmethod
    def _done(cls, work: Any) -> Any:
        assert cls.loop is not None
        return asyncio.run_coroutine_threadsafe(work, cls.loop).result()


def in_warm_jail(seconds: float) -> int:
    from benchmarks.cluster import Warm  # by name: of what is pickled, every task has its own

    return Warm.observe(seconds)


def bare_tool(steps: int, seconds: float) -> None:
    task = ray.remote(spin).options(num_cpus=1, scheduling_strategy="SPREAD")
    assert sum(ray.get([task.remote(seconds) for _ in range(steps)])) == steps


def bare_trial(steps: int, seconds: float) -> None:
    task = ray.remote(in_warm_jail).options(num_cpus=1, scheduling_strategy="SPREAD")
    assert sum(ray.get([task.remote(seconds) for _ in range(steps)])) == steps


Bare = Callable[[int, float], None]
KINDS: dict[str, tuple[Any, Bare]] = {"tool": (by_tool, bare_tool), "trial": (by_trial, bare_trial)}


@contextmanager
def cluster() -> Iterator[Cluster]:
    started = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **NODE})
    ray.init(address=started.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield started
    finally:
        ray.shutdown()
        started.shutdown()


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def runner_on(resources: Resources, folder: str) -> Runner:
    runner = Runner(journal=f"{folder}/journal.db", resources=resources)
    for made, _bare in KINDS.values():  # starts what is started on first use
        await runner.run_async(made, 4, 0.0)
    return runner


async def overheads(runner: Runner, steps: int, work_ms: list[float], repeats: int) -> None:
    ratios: list[str] = []
    table = Table("kind", "work ms", "bare ms", "step ms", "step - bare", "step / bare")
    for bare in (bare_tool, bare_trial):
        bare(4, 0.0)
    for kind, (made, bare) in KINDS.items():
        for ms in work_ms:
            ours, theirs = [], []
            for _repeat in range(repeats):
                began = time.perf_counter()
                await anyio.to_thread.run_sync(bare, steps, ms / 1000)
                theirs.append(1000 * (time.perf_counter() - began) / steps)
                took = await timed(lambda: runner.run_async(made, steps, ms / 1000))  # noqa: B023
                ours.append(1000 * took / steps)
            step, task = statistics.median(ours), statistics.median(theirs)
            ratios.append(f"{kind} {ms:g} ms {step / task:.2f}x")
            table.add_row(
                kind,
                f"{ms:g}",
                f"{task:.2f}",
                f"{step:.2f}",
                f"{step - task:.2f}",
                f"{step / task:.2f}",
            )
    Console().print(table)
    load = os.getloadavg()[0]
    print(f"overhead, a step beside a bare Ray task: {', '.join(ratios)} (load {load:.1f})")


async def speed(runner: Runner, steps: int, ms: float, repeats: int) -> float:
    took = [
        await timed(lambda: runner.run_async(by_trial, steps, ms / 1000)) for _ in range(repeats)
    ]
    return statistics.median(took)


async def main(given: argparse.Namespace) -> None:
    work_ms = [float(ms) for ms in given.work_ms.split(",")]
    with cluster() as started, tempfile.TemporaryDirectory() as folder:
        walls = []
        for nodes in (1, 2):
            if nodes == 2:
                started.add_node(**NODE)
            async with Resources(placement=RayPlacement(started.address)) as resources:
                runner = await runner_on(resources, folder)
                walls.append(await speed(runner, given.trials, given.trial_ms, given.repeats))
                print(
                    f"{nodes} node(s), {given.trials} trials of {given.trial_ms:g} ms: {walls[-1]:.2f} s, "
                    f"speed-up {walls[0] / walls[-1]:.2f}, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                if nodes == 2:
                    print(f"speed-up, two cores beside one: {walls[0] / walls[1]:.2f}x", flush=True)
                    await overheads(runner, given.steps, work_ms, given.repeats)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--work-ms", default="0,1,10,50")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--trial-ms", type=float, default=100.0)
    parser.add_argument("--repeats", type=int, default=3)
    anyio.run(main, parser.parse_args())
