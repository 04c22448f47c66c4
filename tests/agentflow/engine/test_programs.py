"""Programs: what the record says of one, and in which order its calls are made."""

import anyio
import pytest

from agentflow import Journal, Program, Runner, Unwritten, flow, run_program
from agentflow.data import canonical
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

CODE = "a = left()\nb = right()\nreturn [a, b]"


@flow
async def run_code(parallel: bool, met: list[str]) -> list[str]:
    """Run a program of two calls that do not need each other."""
    at_work = 0

    async def answer(call: Unwritten) -> str:
        nonlocal at_work
        at_work += 1
        await anyio.lowlevel.checkpoint()
        met.append(f"{call.name} of {at_work}")
        at_work -= 1
        return call.name

    found: list[str] = await run_program(Program(code=CODE, parallel=parallel), answer)
    return found
