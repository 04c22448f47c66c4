"""Run generated functions as steps of a run: observe what they do, examine them with tests.

Owns the recorded form of a trial and of an examination: one `code` step each, so a replay is answered
from the journal and starts no worker. What the code does wrong is in the result, never an exception.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel

from agentflow.data import canonical
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, current_frame, perform
from agentflow.sandbox.workers.protocol import Examination, Examined, Observed, Trial, Workers

Result = TypeVar("Result", bound=BaseModel)


async def observe(trial: Trial, *, name: str = "observe") -> Observed:
    """Load a module and call it in a confined process of its own; return what was seen.

    Raises:
        NoRunError: No run is active here.
        SandboxUnavailableError: Nothing can confine code on this machine.
    """
    return await _step(name, trial, Observed, lambda workers: workers.observe(trial))


async def examine(examination: Examination, *, name: str = "examine") -> Examined:
    """Run tests against a module that cannot see them; return the verdict.

    Raises:
        NoRunError: No run is active here.
        SandboxUnavailableError: Nothing can confine code on this machine.
    """
    return await _step(name, examination, Examined, lambda workers: workers.examine(examination))


async def _step(
    name: str,
    asked: BaseModel,
    result: type[Result],
    work: Callable[[Workers], Awaitable[Result]],
) -> Result:
    frame = current_frame(name)

    async def body(_step: Step) -> Result:
        return await work(await frame.run.services.workers())

    call: StepCall[Result] = StepCall(
        name=name,
        kind="code",
        input=_written(asked),
        write=_written,
        read=lambda recorded: result.model_validate(json.loads(recorded)),
    )
    return await perform(call, body)


def _written(value: BaseModel) -> bytes:
    # Not pydantic's own JSON: strings of generated code may hold lone surrogates.
    return canonical(value.model_dump())
