"""Programs: what the record says of one, and whether its calls are made side by side."""

import json

import anyio
import pytest

from agentflow import Program, Runner, Unwritten, flow, run_program

pytestmark = pytest.mark.anyio

TWO_CALLS = "a = left()\nb = right()\nreturn [a, b]"  # neither needs the other


@flow
async def two_calls(parallel: bool) -> list[bool]:
    """Return of each of two calls whether the second had begun when it ended."""
    begun = anyio.Event()

    async def answer(call: Unwritten) -> bool:
        if call.name == "right":
            begun.set()
        elif parallel:
            with anyio.fail_after(30):
                await begun.wait()
        else:  # long enough for a second call, were there one on its way
            await run_program(Program(code="return 1"), answer, name="another")
        return begun.is_set()

    found: list[bool] = await run_program(Program(code=TWO_CALLS, parallel=parallel), answer)
    return found


@pytest.mark.parametrize("parallel", [True, False])
async def test_calls_go_side_by_side_unless_the_program_says_no_which_only_then_is_recorded(
    parallel: bool, journal: str
) -> None:
    result = await Runner(journal=journal).run_async(two_calls, parallel)
    assert result.output == [parallel, True]
    step = next(step for step in result.record.steps.values() if step.name == "program")
    told = {} if parallel else {"parallel": False}
    assert json.loads(step.input) == {"code": TWO_CALLS, "inputs": {}, "tools": []} | told
