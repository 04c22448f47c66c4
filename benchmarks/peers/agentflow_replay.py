"""AgentFlow, resuming a run of eight chains from the whole of its journal or a part of it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from agentflow import Runner, flow, parallel, tool
from benchmarks import schedules
from benchmarks.schedules import CHAINS, LENGTH, RANDOM, CrashedError, Grid, Replay

work = tool(schedules.work)
crashing = [True]


async def one(chain: int) -> list[str]:
    return [await work(chain, position) for position in range(LENGTH)]


@flow
async def eight_chains() -> Grid:
    grid = await parallel(one(chain) for chain in range(CHAINS))
    if crashing[0]:
        raise CrashedError
    return grid


def forget_the_end(journal: Path) -> None:
    """Leave what the journal held at a random moment of the run."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        (last,) = connection.execute("SELECT max(number) FROM events").fetchone()
        kept = RANDOM.randint(1, last - 1)
        connection.execute("DELETE FROM events WHERE number > ?", (kept,))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Replay]:
    """Yield one trial."""
    journal = folder / "journal.db"
    runner = Runner(journal=journal)

    async def replay(whole: bool) -> Grid:
        for old in folder.glob("journal.db*"):
            old.unlink()
        crashing[0] = True
        try:
            await runner.run_as("trial", eight_chains)
        except CrashedError:
            crashing[0] = False
        if not whole:
            forget_the_end(journal)
        schedules.Executions.count = 0
        return (await runner.resume(eight_chains, "trial")).output

    yield replay
