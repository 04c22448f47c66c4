"""Flows that tests serve."""

import os
from pathlib import Path

import anyio

from agentflow import flow, parallel


@flow
async def double(n: int) -> int:
    """Return twice a number."""
    print("this must not get between the messages")
    return 2 * n


@flow
async def total(numbers: list[int]) -> dict[str, int]:
    """Add up doubles."""
    return {"sum": sum(await parallel(double(n) for n in numbers))}


@flow
async def slow(began: str) -> str:
    """Leave a mark, then take long."""
    Path(began).touch()
    await anyio.sleep(60)
    return "done"


@flow
async def once(marks: str) -> str:
    """Count a call; die in the first one, after a step that is done."""
    await double(1)
    file = Path(marks)
    file.write_text((file.read_text() if file.exists() else "") + "x")
    if len(file.read_text()) == 1:
        os._exit(7)
    return file.read_text()


@flow
async def broken() -> str:
    """Fail with two lines."""
    raise ValueError("no luck\nat all")
