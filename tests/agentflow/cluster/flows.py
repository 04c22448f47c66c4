"""Flows and tools that tests carry out on a cluster: importable there, and driven from a process to be killed.

    python -m tests.agentflow.cluster.flows CLUSTER JOURNAL RUN LEAVES

starts the run, or goes on with it.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from agentflow import (
    Journal,
    Program,
    Runner,
    Trial,
    Unwritten,
    flow,
    observe,
    parallel,
    run_program,
    tool,
)
from agentflow.errors import JournalError

HALVES = """
middle = (low + high) // 2
left = part(low, middle)
right = part(middle, high)
return left + right
"""
SQUARE = "def square(x): return x * x"


@flow
async def squares(low: int, high: int) -> int:
    """Add up squares: a program for each half, a trial for each number."""
    if high - low == 1:
        seen = await observe(Trial(source=SQUARE, calls=(f"square({low})",)))
        value: int = seen.observations[0].value
        return value

    async def part(call: Unwritten) -> Any:
        return await squares(*call.args)

    program = Program(code=HALVES, inputs={"low": low, "high": high})
    total: int = await run_program(program, part)
    return total


@tool(remote=True)
def process() -> int:
    """Return the process that this runs in."""
    return os.getpid()


@tool(remote=True)
def broken(text: str) -> str:
    """Raise."""
    raise KeyError(text)


@tool(remote=True)
def fatal() -> str:
    """End the process that this runs in."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "still here"


@tool(remote=True)
def endless(mark: str) -> str:
    """Leave a file, and never return."""
    Path(mark).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)


@flow
async def processes(count: int) -> list[int]:
    """Call the same tool several times at once."""
    return await parallel(process() for _number in range(count))


@flow
async def fails(text: str) -> str:
    """Call a tool that raises."""
    return await broken(text)


@flow
async def dies() -> str:
    """Call a tool that ends its process."""
    return await fatal()


@flow
async def cut_short(mark: str) -> str:
    """Cancel a tool once it has begun, and say that it had."""
    async with anyio.create_task_group() as group:
        group.start_soon(endless, mark)
        while not Path(mark).exists() or not Path(mark).read_text():
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    return Path(mark).read_text()


async def drive(cluster: str, journal: str, run: str, leaves: int) -> int:
    """Run the squares below `leaves`, or go on with them."""
    runner = Runner(journal=journal, on=cluster)
    try:
        with Journal(journal) as opened:
            is_there = bool(opened.run(run).last_event)
    except JournalError:
        is_there = False
    if is_there:
        return (await runner.resume(squares, run)).output
    return (await runner.run_as(run, squares, 0, leaves)).output


if __name__ == "__main__":
    cluster, journal, run, leaves = sys.argv[1:]
    print(anyio.run(drive, cluster, journal, run, int(leaves)))
