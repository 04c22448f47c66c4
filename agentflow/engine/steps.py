"""Perform one step: identity, budget, record, body, result.

Owns the life of a step (invariants 1, 2, 7, 8 and 10). Everything a run does goes through
`perform`; flows, models, tools, programs and people differ only in the `StepCall` they hand in.
There is no await between the end of a body and its record: what has happened is written even while
the branch dies, or a resume would do it again.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio

from agentflow.engine.lineage import FRAME, Frame
from agentflow.engine.run import ActiveRun, Step, failure_of
from agentflow.errors import BudgetExceededError, NoRunError
from agentflow.journal.events import (
    Noted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepKind,
    StepStarted,
)
from agentflow.journal.reuse import Asked, Edits, Recorded

T = TypeVar("T")
Body = Callable[[Step], Awaitable[T]]


@dataclass(slots=True, kw_only=True)
class StepCall(Generic[T]):
    """What there is to know of a step before it runs.

    `write` and `read` turn its result into JSON and back. `effect` asks for a durable intent before
    the body runs, because the body must not run twice unnoticed. `edit` gives the call and the body
    with what a fork changes. `cache` names what the result depends on besides the input, if other
    runs may take it over.
    """

    name: str
    kind: StepKind
    input: bytes
    write: Callable[[T], bytes]
    read: Callable[[bytes], T]
    key: str | None = None
    version: str = ""
    effect: bool = False
    cache: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    edit: "Callable[[Edits], tuple[StepCall[T], Body[T]]] | None" = None


def current_frame(name: str) -> Frame:
    """Return where the calling task stands.

    Raises:
        NoRunError: It stands in no run.
    """
    frame = FRAME.get(None)
    if frame is None:
        raise NoRunError(name=name)
    return frame


async def perform(call: StepCall[T], body: Body[T]) -> T:
    """Run `body` as a step of the current run, or answer it from the run's recorded source.

    Raises:
        NoRunError: No run is active here.
        BudgetExceededError: The tree's budget does not cover the step.
        DriftError, MissingStepError: On replay or resume, the record does not fit.
        Exception: Whatever `body` raises, recorded first.
    """
    frame = current_frame(call.name)
    run, parent = frame.run, frame.step
    key = frame.next_key(call.name, call.key)
    if run.source is not None and call.edit is not None:
        edits = run.source.edits(key, parent.key)
        if edits is not None:
            call, body = call.edit(edits)
    call.input = run.redactor.content(call.input)
    step = _begin(frame, call, key)
    if call.effect:
        step.mark_effect()
    run.idleness.begin(parent)
    try:
        if run.source is not None or call.cache is not None:
            found = await _found(run, step, call)
            if found is not None:
                return call.read(found.output)
        return await _work(run, step, call, body)
    finally:
        run.idleness.end(parent)


async def _work(run: ActiveRun, step: Step, call: StepCall[T], body: Body[T]) -> T:
    token = FRAME.set(Frame(run, step, step.key))
    try:
        if call.effect:
            await _declare_effect(run, step)
        if run.ledger.budget.seconds is not None and step.is_leaf:
            value = await _within_time(run, step, body)
        else:
            value = await body(step)
        output = run.redactor.content(call.write(value))
        if run.source is not None:
            run.source.verify(step.key, str(step), output)
    except asyncio.CancelledError:
        run.emit(StepCancelled, step=step.number)
        raise
    except Exception as error:
        await _fail(run, step, error)
        raise
    finally:
        FRAME.reset(token)
    if call.cache is not None and not step.has_effect:
        step.details["fingerprint"] = _fingerprint(call).hex()
    await _finish(run, step, output)
    return value


async def _within_time(run: ActiveRun, step: Step, body: Body[T]) -> T:
    """Cut a leaf short when the wall time of the tree is over; interior steps end with their leaves."""
    left = run.ledger.seconds_left(step.name)
    with anyio.move_on_after(left):
        return await body(step)
    limit = run.ledger.budget.seconds or 0.0
    raise BudgetExceededError(kind="seconds", limit=limit, used=limit, step=step.name)


def _begin(frame: Frame, call: StepCall[Any], key: bytes) -> Step:
    run, parent = frame.run, frame.step
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
    event = StepStarted(
        number=run.next_event(),
        at=run.clock(),
        step=step.number,
        key=step.key,
        parent=parent.number or None,
        name=step.name,
        kind=step.kind,
        input=call.input,
        details=details,
    )
    run.publish(event, keep=call.effect)
    try:
        run.ledger.admit(step.name, step.depth, parent.children)
    except BudgetExceededError as error:
        run.emit(StepFailed, step=step.number, failure=failure_of(error), refused=True)
        raise
    return step


async def _found(run: ActiveRun, step: Step, call: StepCall[Any]) -> Recorded | None:
    """Return the result that an earlier record or another run holds; None when the body has to run."""
    try:
        found = await _from_record(run, step, call)
        if found is None and call.cache is not None and run.outside is not None:
            found = run.outside.cached(_fingerprint(call))
    except asyncio.CancelledError:
        run.emit(StepCancelled, step=step.number)
        raise
    except Exception as error:
        run.emit(StepFailed, step=step.number, failure=failure_of(error))
        raise
    if found is not None:
        run.publish(_finished(run, step, found.output, found.details))
    return found


async def _from_record(run: ActiveRun, step: Step, call: StepCall[Any]) -> Recorded | None:
    if run.source is None:
        return None
    parent = b"" if step.parent is None else step.parent.key
    asked = Asked(step.key, parent, str(step), call.input, call.version)
    found = await run.source.take(asked)
    if found is None and run.source.is_dry and step.is_leaf:
        await park(run, step)
    return found


async def park(run: ActiveRun, step: Step) -> None:
    """Wait for ever, and let the run stop when nothing else in it can go on."""
    run.idleness.park(step)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        run.idleness.go_on(step)


async def _declare_effect(run: ActiveRun, step: Step) -> None:
    """Have the intent on disk before the effect; say so when it may have happened already."""
    if run.source is not None and run.source.first_asked(step.key) is not None:
        text = (
            "the outcome of its first call is unknown; called again with the same idempotency key"
        )
        run.emit(Noted, step=step.number, text=text, details={"repeated": True})
    await run.sink.durable()


def _fingerprint(call: StepCall[Any]) -> bytes:
    """Return what the result is filed under for other runs: kind, code or model, version and input."""
    head = "\0".join((call.kind, call.cache or "", call.version)).encode()
    return hashlib.blake2b(head + b"\0" + call.input, digest_size=16).digest()


async def _fail(run: ActiveRun, step: Step, error: Exception) -> None:
    kept, details = _is_kept(run, step), dict(step.details)
    failure = failure_of(error)
    run.emit(StepFailed, keep=kept, step=step.number, failure=failure, details=details)
    await _settle(run, kept)


async def _finish(run: ActiveRun, step: Step, output: bytes) -> None:
    kept = _is_kept(run, step)
    run.publish(_finished(run, step, output, step.details), keep=kept)
    await _settle(run, kept)


def _finished(run: ActiveRun, step: Step, output: bytes, details: dict[str, Any]) -> StepFinished:
    return StepFinished(
        number=run.next_event(), at=run.clock(), step=step.number, output=output, details=details
    )


def _is_kept(run: ActiveRun, step: Step) -> bool:
    """Return whether losing the result would cost something; interior rows may trail."""
    return run.durability == "results" and (step.is_leaf or step.kind == "code")


async def _settle(run: ActiveRun, kept: bool) -> None:
    # Cancelled here, the caller never sees the result, but the record of it is on its way already.
    if kept:
        await run.sink.durable()
    else:
        await run.sink.room()
