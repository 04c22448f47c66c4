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
from agentflow.errors import RunPausedError
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
        RunPausedError: Nothing can go on until a person has answered.
        Exception: What the root flow raised; the run is recorded as failed.
        JournalError: The record could not be written.
    """
    follow_lineage(asyncio.get_running_loop())
    run.emit(RunStarted, flow=flow, target=target, input=input_json, settings=settings)
    above = Step(number=0, key=b"", parent=None, name="run", kind="flow", depth=-1)
    token = FRAME.set(Frame(run, above, b""))
    stop = _StopWhenIdle(run)
    try:
        value = await root()
        run.emit(RunFinished, keep=True, status="succeeded", output=write(value))
    except asyncio.CancelledError:
        if not stop.is_over():
            run.emit(RunFinished, keep=True, status="interrupted")
            raise
        run.emit(RunFinished, keep=True, status="paused")
        raise RunPausedError(run=run.id, questions=stop.questions) from None
    except Exception as error:
        run.emit(RunFinished, keep=True, status="failed", failure=failure_of(error))
        raise
    finally:
        run.idleness.stop()
        FRAME.reset(token)
        with anyio.CancelScope(shield=True):
            await run.sink.durable()
    return value


class _StopWhenIdle:
    """Ends the run's task when everything in it waits for the outside."""

    def __init__(self, run: ActiveRun) -> None:
        self.happened = False
        self.questions: list[dict[str, Any]] = []
        self._run, self._task = run, asyncio.current_task()
        run.idleness.on_idle = self._stop

    def _stop(self) -> None:
        self.happened = True
        waiting = self._run.idleness.parked.items()
        self.questions = [{"step": step.number, "text": what} for step, what in waiting if what]
        assert self._task is not None
        self._task.cancel()

    def is_over(self) -> bool:
        """Return whether the run was stopped by this, and take the cancellation back."""
        if self.happened and self._task is not None:
            self._task.uncancel()
        return self.happened
