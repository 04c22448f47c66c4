"""Do one trial or examination in jails, whatever the code does to them.

Owns how a trial goes on after a call that had to be killed: the rest of its calls runs in a fresh child.
Every call gets an outcome, and a child's silence is never taken for success.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from agentflow.sandbox.workers.inside.wire import Ended, Header
from agentflow.sandbox.workers.jail import JailLostError, Reply
from agentflow.sandbox.workers.protocol import (
    Examination,
    Examined,
    Failure,
    Observation,
    Observed,
    Outcome,
    Trial,
    TrialLimits,
)
from agentflow.sandbox.workers.results import most_frame_bytes, read_examined, read_trial

Ask = Callable[[Header, tuple[bytes, ...]], Awaitable[Reply]]
_MOST_BYTES = 256 << 20  # of all results of one child
_CPU_LIMIT = -24  # killed by SIGXCPU


async def observe(ask: Ask, trial: Trial) -> Observed:
    """Return what a trial did; `ask` has a jail do one request."""
    seen: list[Observation] = []
    left_s = trial.limits.total_s
    while True:
        reply = await _replied(ask, *_trial_request(trial, trial.calls[len(seen) :], left_s))
        outcome = _end(reply)
        loaded, more = read_trial(reply.data, most_frame_bytes(trial.limits))
        if loaded is None or loaded.failure is not None:
            failure = _not_loaded(outcome, reply) if loaded is None else loaded.failure
            return _stopped(trial, seen, outcome, failure)
        seen += more[: len(trial.calls) - len(seen)]
        if len(seen) == len(trial.calls):
            return Observed(observations=tuple(seen))
        seen.append(Observation(outcome=outcome))
        left_s -= reply.seconds
        if left_s <= 0:
            return _stopped(trial, seen, "timeout", None)
        if len(seen) == len(trial.calls):
            return Observed(observations=tuple(seen))


async def examine(ask: Ask, examination: Examination) -> Examined:
    """Return the verdict of the tests."""
    limits = examination.limits
    reply = await _replied(ask, *_examination_request(examination))
    verdict = read_examined(reply.data, most_frame_bytes(limits))
    if verdict is not None:
        return verdict
    if _end(reply) == "timeout":
        return Examined(
            passed=False, failure=_made_up("TimeoutError", f"more than {limits.total_s:g} s")
        )
    return Examined(
        passed=False, failure=_made_up("Crash", f"the process of the tests {_ended(reply)}")
    )


def _trial_request(
    trial: Trial, calls: tuple[str, ...], left_s: float
) -> tuple[Header, tuple[bytes]]:
    limits = trial.limits
    most = min((len(calls) + 1) * most_frame_bytes(limits), _MOST_BYTES)
    part = _part(limits, total_s=left_s, source=trial.source, calls=calls, stdin=trial.stdin)
    header = Header(len(part), 0, min(limits.call_s, left_s), left_s, limits.memory_bytes, most)
    return header, (part,)


def _examination_request(examination: Examination) -> tuple[Header, tuple[bytes, bytes]]:
    limits = examination.limits
    names = examination.names
    source = _part(limits, source=examination.source, functions=sorted(set(names.values())))
    tests = _part(limits, tests=examination.tests, names=names)
    header = Header(
        len(source),
        len(tests),
        limits.total_s,
        limits.total_s,
        limits.memory_bytes,
        most_frame_bytes(limits),
    )
    return header, (source, tests)


def _part(limits: TrialLimits, *, total_s: float | None = None, **content: Any) -> bytes:
    given = limits.model_dump()
    if total_s is not None:
        given["total_s"] = total_s
    return json.dumps({"limits": given, **content}).encode()


async def _replied(ask: Ask, header: Header, parts: tuple[bytes, ...]) -> Reply:
    """Ask a jail; one that was lost before it showed any sign of the code is tried again, once."""
    for _ in range(2):
        try:
            return await ask(header, parts)
        except JailLostError as error:
            data = error.data
        if data:
            break
    return Reply(data=data, reason=Ended.LOST, status=0, seconds=0.0)


def _end(reply: Reply) -> Outcome:
    """Return what the call came to that the child was at when it ended."""
    if reply.reason == Ended.LATE or reply.status == _CPU_LIMIT:
        return "timeout"
    return "too_large" if reply.reason == Ended.FLOOD else "crashed"


def _stopped(
    trial: Trial, seen: list[Observation], outcome: Outcome, failure: Failure | None
) -> Observed:
    """Return a trial that goes no further: what had loaded once may still not load again."""
    if not seen:
        return Observed(failure=failure)
    rest = [Observation(outcome=outcome)] * (len(trial.calls) - len(seen))
    return Observed(observations=(*seen, *rest))


def _not_loaded(outcome: Outcome, reply: Reply) -> Failure:
    if outcome == "timeout":
        return _made_up("TimeoutError", "loading took too long")
    return _made_up("Crash", f"the process {_ended(reply)} while the source was loading")


def _ended(reply: Reply) -> str:
    return "was lost" if reply.reason == Ended.LOST else f"ended with status {reply.status}"


def _made_up(kind: str, message: str) -> Failure:
    return Failure(type=kind, message=message, report=f"{kind}: {message}")
