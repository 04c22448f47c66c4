"""LangGraph's functional API with AsyncSqliteSaver, resuming eight chains of tasks.

A part of a journal comes from a crash in the middle: a task raises after a random number of others.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.func import entrypoint, task

from benchmarks import schedules
from benchmarks.schedules import CHAINS, LENGTH, RANDOM, CrashedError, Executions, Grid, Replay

RESULTS = CHAINS * LENGTH


class Crash:
    """Crash after how many results; None does not crash."""

    after: int | None = None
    results = 0


@task
async def work(chain: int, position: int) -> str:
    result = await schedules.work(chain, position)
    Crash.results += 1
    if Crash.results == Crash.after:
        raise CrashedError
    return result


@task
async def last() -> None:
    if Crash.after is not None:
        raise CrashedError


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Replay]:
    """Yield one trial."""

    async def one(chain: int) -> list[str]:
        return [await work(chain, position) for position in range(LENGTH)]

    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:

        @entrypoint(checkpointer=saver)
        async def eight_chains(_: int) -> Grid:
            grid = await asyncio.gather(*(one(chain) for chain in range(CHAINS)))
            await last()
            return grid

        async def replay(whole: bool) -> Grid:
            config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
            Crash.results, Crash.after = 0, RESULTS + 1 if whole else RANDOM.randint(2, RESULTS)
            try:
                await eight_chains.ainvoke(0, config, durability="sync")
            except CrashedError:
                Crash.after = None
            Executions.count = 0
            return await eight_chains.ainvoke(None, config, durability="sync")

        yield replay
