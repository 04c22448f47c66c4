"""LangGraph's functional API: tasks called from an entrypoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.func import entrypoint, task

from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.peers.langgraph_savers import saving
from benchmarks.workloads import FIRST, Question, Workload, follow_up

advance, advance_now = task(workloads.advance), task(workloads.advance_now)
pause = task(workloads.pause)
join = task(workloads.join)
answer, answer_now = task(workloads.answer), task(workloads.answer_now)


@task
async def tree(depth: int) -> int:
    await asyncio.sleep(0)
    if depth == 0:
        return 1
    return 1 + sum(await asyncio.gather(tree(depth - 1), tree(depth - 1)))


@task
def join_now(places: list[int]) -> int:
    return sum(places)


async def run(workload: Workload) -> int:
    match workload.shape:
        case "typed":
            question: Question = FIRST
            for _ in range(workload.length):
                question = follow_up(await answer(question))
            return question.number
        case "fan":
            branches = (advance(place) for place in range(workload.width))
            return await join(list(await asyncio.gather(*branches)))
        case "tree":
            return await tree(workload.length)
        case _:
            return await _chains(workload)


async def _chains(workload: Workload) -> int:
    step = pause if workload.uneven else advance

    async def one(number: int) -> int:
        place = number * workload.length
        for _ in range(workload.length):
            place = await step(place)
        return place

    with workloads.BRANCHES_ALONE:
        return sum(await asyncio.gather(*(one(number) for number in range(workload.width))))


def run_now(workload: Workload) -> int:
    """Run what can be written without async: nested and parallel chains cannot."""
    match workload.shape:
        case "typed":
            question: Question = FIRST
            for _ in range(workload.length):
                question = follow_up(answer_now(question).result())
            return question.number
        case "fan":
            branches = [advance_now(place) for place in range(workload.width)]
            return join_now([branch.result() for branch in branches]).result()
        case "chain":
            place = 0
            for _ in range(workload.length):
                place = advance_now(place).result()
            return place
        case _:
            raise ValueError(f"{workload.shape} needs async tasks")


@asynccontextmanager
async def opened(configuration: str, folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    async with saving(configuration, folder) as kept:
        main: Any
        if kept.is_async:

            @entrypoint(checkpointer=kept.saver)
            async def main(_: int) -> int:
                return await run(workload)
        else:

            @entrypoint(checkpointer=kept.saver)
            def main(_: int) -> int:
                return run_now(workload)

        async def once() -> int:
            return int(await kept.run(main, 0))

        yield once
