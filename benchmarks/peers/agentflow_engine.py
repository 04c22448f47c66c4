"""AgentFlow itself, through its public interface. A run opens its journal and closes it again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agentflow import Runner, flow, parallel, tool
from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.workloads import FIRST, Question, Workload, follow_up

advance = tool(workloads.advance)
pause = tool(workloads.pause)
join = tool(workloads.join)
answer = tool(workloads.answer)


class InterruptedRunError(Exception):
    """The run stops here, with everything recorded but its end."""


@flow
async def nothing() -> int:
    return 0


@flow
async def chain(length: int) -> int:
    place = 0
    for _ in range(length):
        place = await advance(place)
    return place


@flow
async def typed(length: int) -> int:
    question: Question = FIRST
    for _ in range(length):
        question = follow_up(await answer(question))
    return question.number


@flow
async def fan(width: int) -> int:
    return await join(await parallel(advance(place) for place in range(width)))


@flow
async def tree(depth: int) -> int:
    # The root flow is the root node, so that a tree of 2,047 is 2,047 steps and no more.
    await workloads.advance(depth)
    if depth == 0:
        return 1
    return 1 + sum(await parallel(tree(depth - 1), tree(depth - 1)))


@flow
async def chains(width: int, length: int, uneven: bool, interrupted: bool) -> int:
    step = pause if uneven else advance

    async def one(number: int) -> int:
        place = number * length
        for _ in range(length):
            place = await step(place)
        return place

    with workloads.BRANCHES_ALONE:
        ends = await parallel(one(number) for number in range(width))
    if interrupted:
        raise InterruptedRunError
    return sum(ends)


@asynccontextmanager
async def opened(configuration: str, folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    memory = configuration == "memory"
    runner = Runner(
        journal=":memory:" if memory else folder / "journal.db",
        durability="behind" if configuration == "behind" else "results",
    )
    await runner.run_async(nothing)  # the tables are there before anything is measured

    async def once() -> int:
        return await _start(runner, workload)

    yield await _resuming(runner, workload) if workload.resumed else once


async def _start(runner: Runner, workload: Workload) -> int:
    match workload.shape:
        case "chain":
            result = await runner.run_async(chain, workload.length)
        case "typed":
            result = await runner.run_async(typed, workload.length)
        case "fan":
            result = await runner.run_async(fan, workload.width)
        case "tree":
            result = await runner.run_async(tree, workload.length)
        case "chains":
            result = await runner.run_async(
                chains, workload.width, workload.length, workload.uneven, False
            )
    return result.output


async def _resuming(runner: Runner, workload: Workload) -> Once:
    """Record an interrupted run; return what resumes it, up to where it is interrupted again."""

    async def interrupted_at_the_end(run: bool) -> int:
        try:
            if run:
                await runner.run_as("long", chains, workload.width, workload.length, False, True)
            else:
                await runner.resume(chains, "long")
        except InterruptedRunError:
            return workload.expected
        raise AssertionError("the run was not interrupted")

    await interrupted_at_the_end(True)
    return lambda: interrupted_at_the_end(False)
