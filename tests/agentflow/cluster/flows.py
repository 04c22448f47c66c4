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
from agentflow.errors import AgentflowError, JournalError

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


@tool(remote=True)
def short(number: int, does: str = "", mark: str = "") -> list[int]:
    """Return the number and the process that this runs in, or do something else instead."""
    if mark:
        Path(mark).write_text(str(os.getpid()))
    if does == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "exits":
        sys.exit(number)
    if does == "raises":
        raise ValueError(str(number))
    while does == "stays" or (does == "waits" and Path(mark).exists()):
        time.sleep(0.01)
    return [number, os.getpid()]


@tool(remote=True)
async def listening(mark: str) -> int:
    """Leave a file, wait to be cancelled, and take the file away again."""
    Path(mark).write_text(str(os.getpid()))
    try:
        await anyio.sleep_forever()
    finally:
        Path(mark).unlink()
    return 0


@tool(remote=True)
async def deaf(mark: str) -> int:
    """Block the event loop until the file is gone."""
    Path(mark).write_text("")
    while Path(mark).exists():
        time.sleep(0.01)  # which is what a tool should not do
    return 0


@tool(remote=True)
def long_text(size: int) -> str:
    """Return much."""
    return "x" * size


async def begun(mark: str) -> str:
    """Wait until a tool has left its file, and return what is in it."""
    while not Path(mark).exists() or not Path(mark).read_text():
        await anyio.sleep(0.01)
    return Path(mark).read_text()


@flow
async def together(count: int, odd: int = -1, does: str = "") -> list[Any]:
    """Call a short tool several times at once, and do something else with one of them."""

    async def one(number: int) -> Any:
        try:
            return await short(number, does if number == odd else "")
        except AgentflowError as error:
            return type(error).__name__

    return await parallel(one(number) for number in range(count))


@flow
async def one_is_cancelled(count: int, mark: str) -> list[Any]:
    """Call a short tool several times at once, one of which never ends and is cancelled."""
    await short(0)

    async def odd() -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(short, -1, "stays", mark)
            pid = await begun(mark)
            group.cancel_scope.cancel()
        return int(pid)

    others = [short(number) for number in range(count)]
    return await parallel([*others[: count // 2], odd(), *others[count // 2 :]])


@flow
async def interrupted(mark: str, rounds: int) -> list[int]:
    """Cancel a tool that listens, then call others until one of them runs in its process.

    Return its process and theirs.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(listening, mark)
        pid = int(await begun(mark))
        group.cancel_scope.cancel()
    later: list[int] = []
    while pid not in later and len(later) < 40 * rounds:
        later += [seen[1] for seen in await parallel(short(number) for number in range(40))]
    return [pid, *later]


@flow
async def never_begun(folder: str, places: int) -> list[str]:
    """Keep every place busy, cancel what waits, then let go; return the marks that are there."""
    marks = [f"{folder}/busy{number}" for number in range(places)]

    async def busy(mark: str) -> None:
        await short(0, "waits", mark)

    async with anyio.create_task_group() as group:
        for mark in marks:
            group.start_soon(busy, mark)
        await begun(marks[0])
        async with anyio.create_task_group() as waiting:
            for number in range(3):
                waiting.start_soon(short, number, "", f"{folder}/late{number}")
            await anyio.lowlevel.checkpoint()
            waiting.cancel_scope.cancel()
        left = set(marks)
        while left:
            for mark in list(left):
                if Path(mark).exists():
                    Path(mark).unlink()
                    left.discard(mark)
            await anyio.sleep(0.01)
    await short(0)
    return sorted(path.name for path in Path(folder).iterdir())


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
