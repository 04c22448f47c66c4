"""DBOS on SQLite, replaying eight chains of steps: a fork answers earlier steps from the record."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from benchmarks import schedules
from benchmarks.schedules import CHAINS, LENGTH, RANDOM, Executions, Grid, Replay

work = DBOS.step()(schedules.work)


@DBOS.step()
async def last() -> None:
    await asyncio.sleep(0)


@DBOS.workflow()
async def eight_chains() -> Grid:
    async def one(chain: int) -> list[str]:
        return [await work(chain, position) for position in range(LENGTH)]

    grid = await asyncio.gather(*(one(chain) for chain in range(CHAINS)))
    await last()
    return grid


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Replay]:
    """Yield one trial."""
    DBOS(
        config={
            "name": "misplaced",
            "system_database_url": f"sqlite:///{folder / 'system.db'}",
            "log_level": "CRITICAL",
            "run_admin_server": False,
        }
    )
    DBOS.launch()

    async def replay(whole: bool) -> Grid:
        workflow = str(uuid.uuid4())
        with SetWorkflowID(workflow):
            await eight_chains()
        steps = await DBOS.list_workflow_steps_async(workflow)
        end = max(step["function_id"] for step in steps)
        Executions.count = 0
        fork = await DBOS.fork_workflow_async(workflow, end if whole else RANDOM.randint(2, end))
        return await fork.get_result()

    try:
        yield replay
    finally:
        DBOS.destroy()
