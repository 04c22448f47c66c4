"""Start a run: set up its root, perform the root flow, write how it ended.

Owns the two ends of a run's record. Whatever happens in between, success, failure or an
interruption, the last event is written and committed before the caller hears of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from agentflow.engine.lineage import FRAME, Frame, follow_lineage
from agentflow.engine.run import ActiveRun, Step, failure_of
from agentflow.journal.events import RunFinished, RunStarted

T = TypeVar("T")


async def launch(
    run: ActiveRun,
    root: Callable[[], Awaitable[T]],
    *,
    flow: str,
    target: str,
    input_json: bytes,
    write: Callable[[T], bytes],
    settings: dict[str, Any],
) -> T:
    """Perform `root` as the root of `run`.

    Raises:
        Exception: What the root flow raised; the run is recorded as failed.
        JournalError: The record could not be written.
    """
    follow_lineage(asyncio.get_running_loop())
    run.emit(RunStarted, flow=flow, target=target, input=input_json, settings=settings)
    above = Step(number=0, key=b"", parent=None, name="run", kind="flow", depth=-1)
    token = FRAME.set(Frame(run, above, b""))
    try:
        value = await root()
        run.emit(RunFinished, keep=True, status="succeeded", output=write(value))
    except anyio.get_cancelled_exc_class():
        run.emit(RunFinished, keep=True, status="interrupted")
        raise
    except Exception as error:
        run.emit(RunFinished, keep=True, status="failed", failure=failure_of(error))
        raise
    finally:
        FRAME.reset(token)
        with anyio.CancelScope(shield=True):
            await run.sink.durable()
    return value
