"""Perform one step: identity, budget, record, body, result.

Owns the life of a step (invariants 1, 2, 7, 8 and 10). Everything a run does goes through
`perform`; flows, models, tools, programs and people differ only in the `StepCall` they hand in.
The record of a result is shielded from cancellation: what has happened is written even while the
branch dies, or a resume would do it again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio

from agentflow.engine.lineage import FRAME, Frame
from agentflow.engine.run import ActiveRun, Step, failure_of
from agentflow.errors import BudgetExceededError, NoRunError
from agentflow.journal.events import (
    StepCancelled,
    StepFailed,
    StepFinished,
    StepKind,
    StepStarted,
)
from agentflow.journal.replay import Recorded

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCall(Generic[T]):
    """What there is to know of a step before it runs.

    `write` and `read` turn its result into JSON and back. `effect` asks for a durable intent before
    the body runs, because the body must not run twice unnoticed.
    """

    name: str
    kind: StepKind
    input: bytes
    write: Callable[[T], bytes]
    read: Callable[[bytes], T]
    key: str | None = None
    effect: bool = False
    details: dict[str, Any] = field(default_factory=dict)


def current_frame(name: str) -> Frame:
    """Return where the calling task stands.

    Raises:
        NoRunError: It stands in no run.
    """
    frame = FRAME.get(None)
    if frame is None:
        raise NoRunError(name=name)
    return frame


async def perform(call: StepCall[T], body: Callable[[Step], Awaitable[T]]) -> T:
    """Run `body` as a step of the current run, or answer it from the run's recorded source.

    Raises:
        NoRunError: No run is active here.
        BudgetExceededError: The tree's budget does not cover the step.
        DriftError, MissingStepError: On replay or resume, the record does not fit.
        Exception: Whatever `body` raises, recorded first.
    """
    frame = current_frame(call.name)
    run = frame.run
    step = _begin(frame, call)
    if run.source is not None:
        recorded = await _from_source(run, step, call)
        if recorded is not None:
            return call.read(recorded.output)
    if call.effect:
        await run.sink.durable()
    token = FRAME.set(Frame(run, step, step.key))
    try:
        value = await _within_time(run, step, body)
        output = call.write(value)
        if run.source is not None:
            run.source.verify(step.key, str(step), output)
    except anyio.get_cancelled_exc_class():
        run.emit(StepCancelled, step=step.number)
        raise
    except Exception as error:
        await _fail(run, step, error)
        raise
    finally:
        FRAME.reset(token)
    await _finish(run, step, output)
    return value


async def _within_time(run: ActiveRun, step: Step, body: Callable[[Step], Awaitable[T]]) -> T:
    """Cut a leaf short when the wall time of the tree is over; interior steps end with their leaves."""
    left = run.ledger.seconds_left(step.name) if step.is_leaf else None
    if left is None:
        return await body(step)
    with anyio.move_on_after(left):
        return await body(step)
    limit = run.ledger.budget.seconds or 0.0
    raise BudgetExceededError(kind="seconds", limit=limit, used=limit, step=step.name)


def _begin(frame: Frame, call: StepCall[Any]) -> Step:
    run, parent = frame.run, frame.step
    key = frame.next_key(call.name, call.key)
    step = Step(
        number=run.number_step(key),
        key=key,
        parent=parent if parent.number else None,
        name=call.name,
        kind=call.kind,
        depth=parent.depth + (call.kind == "flow"),
    )
    parent.children += 1
    details = {**call.details, "links": list(frame.links)} if frame.links else call.details
    frame.links, frame.first_step = (), frame.first_step or step.number
    run.emit(
        StepStarted,
        keep=call.effect,
        step=step.number,
        key=step.key,
        parent=parent.number or None,
        name=step.name,
        kind=step.kind,
        input=call.input,
        details=details,
    )
    try:
        run.ledger.admit(step.name, step.depth, parent.children)
    except BudgetExceededError as error:
        run.emit(StepFailed, step=step.number, failure=failure_of(error), refused=True)
        raise
    return step


async def _from_source(run: ActiveRun, step: Step, call: StepCall[Any]) -> Recorded | None:
    assert run.source is not None
    try:
        found = await run.source.take(step.key, str(step), call.input)
    except anyio.get_cancelled_exc_class():
        run.emit(StepCancelled, step=step.number)
        raise
    except Exception as error:
        run.emit(StepFailed, step=step.number, failure=failure_of(error))
        raise
    if found is not None:
        details = {**found.details, "origin": "recorded"}
        run.emit(StepFinished, step=step.number, output=found.output, details=details)
    return found


async def _fail(run: ActiveRun, step: Step, error: Exception) -> None:
    kept, details = _is_kept(run, step), dict(step.details)
    failure = failure_of(error)
    run.emit(StepFailed, keep=kept, step=step.number, failure=failure, details=details)
    await _settle(run, kept)


async def _finish(run: ActiveRun, step: Step, output: bytes) -> None:
    kept, details = _is_kept(run, step), dict(step.details)
    run.emit(StepFinished, keep=kept, step=step.number, output=output, details=details)
    await _settle(run, kept)


def _is_kept(run: ActiveRun, step: Step) -> bool:
    """Return whether losing the result would cost something; interior rows may trail."""
    return run.durability == "results" and (step.is_leaf or step.kind == "code")


async def _settle(run: ActiveRun, kept: bool) -> None:
    if kept:
        with anyio.CancelScope(shield=True):
            await run.sink.durable()
    else:
        await run.sink.room()
