"""How sandbox tests run programs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agentflow.sandbox.monty import MontySandbox
from agentflow.sandbox.protocol import Call, Finished, Limits


def host(**functions: Callable[..., Any]) -> Callable[[Call], Awaitable[Any]]:
    """Return a handler that answers calls with these functions, sync or async."""

    async def answer(call: Call) -> Any:
        value = functions[call.name](*call.args, **call.kwargs)
        return await value if hasattr(value, "__await__") else value

    return answer


async def run(
    sandbox: MontySandbox,
    code: str,
    inputs: Mapping[str, Any] | None = None,
    *,
    parallel: bool = True,
    limits: Limits | None = None,
    **functions: Callable[..., Any],
) -> Finished:
    """Run a program against these functions of the host."""
    return await sandbox.run(
        code,
        inputs or {},
        call=host(**functions),
        parallel=parallel,
        limits=limits or Limits(feed_s=2),
    )
