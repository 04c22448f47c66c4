"""DBOS on its SQLite system database, with the settings that it gives that itself.

`sync` runs workflows and steps that are not async, its quickest form. `child workflows` makes every
node of the tree, or every chain, a workflow of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dbos import DBOS

from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.workloads import FIRST, Question, Workload, follow_up

advance, advance_now = DBOS.step()(workloads.advance), DBOS.step()(workloads.advance_now)
pause = DBOS.step()(workloads.pause)
join = DBOS.step()(workloads.join)
answer, answer_now = DBOS.step()(workloads.answer), DBOS.step()(workloads.answer_now)


@DBOS.workflow()
async def typed(length: int) -> int:
    question: Question = FIRST
    for _ in range(length):
        question = follow_up(await answer(question))
    return question.number


@DBOS.workflow()
async def fan(width: int) -> int:
    return await join(list(await asyncio.gather(*(advance(place) for place in range(width)))))


@DBOS.workflow()
async def tree(depth: int) -> int:
    return await _expand(depth)


async def _expand(depth: int) -> int:
    # A step may not call steps, so a node's own step comes before its children.
    await advance(depth)
    if depth == 0:
        return 1
    return 1 + sum(await asyncio.gather(_expand(depth - 1), _expand(depth - 1)))


@DBOS.workflow()
async def tree_of_workflows(depth: int) -> int:
    await advance(depth)
    if depth == 0:
        return 1
    children = [await DBOS.start_workflow_async(tree_of_workflows, depth - 1) for _ in range(2)]
    return 1 + sum([await child.get_result() for child in children])


async def _one(number: int, length: int, uneven: bool) -> int:
    step = pause if uneven else advance
    place = number * length
    for _ in range(length):
        place = await step(place)
    return place


one_chain = DBOS.workflow()(_one)


@DBOS.workflow()
async def chains(width: int, length: int, uneven: bool) -> int:
    with workloads.BRANCHES_ALONE:
        ends = await asyncio.gather(*(_one(number, length, uneven) for number in range(width)))
    return sum(ends)


@DBOS.workflow()
async def chains_of_workflows(width: int, length: int, uneven: bool) -> int:
    with workloads.BRANCHES_ALONE:
        children = [
            await DBOS.start_workflow_async(one_chain, number, length, uneven)
            for number in range(width)
        ]
        return sum([await child.get_result() for child in children])


@DBOS.workflow()
def chain_now(length: int) -> int:
    place = 0
    for _ in range(length):
        place = advance_now(place)
    return place


@DBOS.workflow()
def typed_now(length: int) -> int:
    question: Question = FIRST
    for _ in range(length):
        question = follow_up(answer_now(question))
    return question.number


@asynccontextmanager
async def opened(configuration: str, folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": f"sqlite:///{folder / 'system.db'}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    nested = configuration == "child workflows"
    try:
        if configuration == "sync":
            main = chain_now if workload.shape == "chain" else typed_now
            yield lambda: asyncio.to_thread(main, workload.length)
        else:
            yield lambda: _run(workload, nested=nested)
    finally:
        DBOS.destroy()


async def _run(workload: Workload, *, nested: bool) -> int:
    width, length = workload.width, workload.length
    match workload.shape:
        case "typed":
            return await typed(length)
        case "fan":
            return await fan(width)
        case "tree":
            return await (tree_of_workflows if nested else tree)(length)
        case _:
            main = chains_of_workflows if nested else chains
            return await main(width, length, workload.uneven)
