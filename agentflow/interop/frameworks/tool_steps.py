"""A tool of another framework as a step of the run.

Owns what such a call records: its arguments, and what came of it. What the other framework shows to its
model is a result as well, whether the tool returned it or raised it: recorded as one, a resume does not
call the tool again, and a replay goes the same way.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agentflow.data import NotPlainError, from_json, to_json
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, perform
from agentflow.errors import AgentflowError, PayloadError, ToolError


async def call_as_step(
    name: str,
    arguments: Mapping[str, Any],
    work: Callable[[], Awaitable[Any]],
    *,
    effect: bool = False,
) -> Any:
    """Return what `work` gives, plain data, recorded as the tool `name` called with `arguments`.

    Raises:
        PayloadError: The arguments or the result are no plain data.
        ToolError: `work` raised; its type and message are kept.
    """

    async def body(_step: Step) -> Any:
        try:
            return await work()
        except AgentflowError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise ToolError(tool=name, name=kind, message=str(error)) from error

    def write(value: Any) -> bytes:
        return _json(name, value)

    call: StepCall[Any] = StepCall(
        name=name,
        kind="tool",
        input=_json(name, dict(arguments)),
        write=write,
        read=from_json,
        effect=effect,
        details={"effect": True} if effect else {},
    )
    return await perform(call, body)


def _json(name: str, value: Any) -> bytes:
    try:
        return to_json(value)
    except NotPlainError as error:
        raise PayloadError(step=name, problem=str(error)) from error
