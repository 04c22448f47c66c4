"""Answer a run's steps from an earlier record of it.

Owns what replay and resume may reuse (invariants 1, 3 and 4). A step is found by its identity; its
input is compared, never used to find it. A closed recording (replay) answers every leaf or raises,
and hands out results in the order in which they were first finished, so that races, failures and
cancellations fall the same way again. An open one (resume) answers what is finished, whole subtrees
at once, and lets the rest run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel

from agentflow.errors import AgentflowError, DriftError, MissingStepError, rebuild
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.rows import payload_hash

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result that need not be worked out again, and what was recorded with it."""

    output: bytes
    details: dict[str, Any]


class Recording:
    """The recorded steps of one run as a source of results."""

    def __init__(self, record: RunRecord, *, closed: bool, patience_s: float = PATIENCE_S) -> None:
        self.run, self.closed, self._patience_s = record.id, closed, patience_s
        self._broken: AgentflowError | None = None
        self._interrupted = record.status in (None, "interrupted")
        self._steps = _by_key(record)
        self._turns = _Turns(step for step in self._steps.values() if _is_answer(step))

    async def take(self, key: bytes, label: str, input_json: bytes) -> Recorded | None:
        """Return the recorded result of the step `key`; None when its body has to run.

        Args:
            key: The identity of the step.
            label: What to call the step in an error.
            input_json: Its canonical input now.

        Raises:
            DriftError: The input is not the recorded one.
            MissingStepError: The recording is closed and holds no result for the step.
            AgentflowError: The recorded failure of the step.
        """
        if self._broken is not None:
            raise self._broken
        found = self._steps.get(key)
        if found is None:
            if self.closed:
                raise self._break(MissingStepError(step=label, run=self.run))
            return None
        if payload_hash(found.input) != payload_hash(input_json):
            recorded, now = _apart(found.input, input_json)
            raise self._break(DriftError(step=label, run=self.run, recorded=recorded, now=now))
        if self.closed:
            return await self._replayed(found, label)
        return _result(found) if found.status == "succeeded" else None

    def verify(self, key: bytes, label: str, output: bytes) -> None:
        """Compare the output of a step that ran again.

        Raises:
            DriftError: A replayed flow came to another result.
        """
        found = self._steps.get(key)
        if self.closed and found is not None and found.output not in (None, output):
            recorded, now = _apart(found.output or b"", output)
            step = f"result of {label}"
            raise self._break(DriftError(step=step, run=self.run, recorded=recorded, now=now))

    def number_of(self, key: bytes) -> int | None:
        """Return the number under which a replayed step was recorded; None on resume."""
        found = self._steps.get(key)
        return found.number if self.closed and found is not None else None

    def _break(self, error: AgentflowError) -> AgentflowError:
        """Make the first misfit everybody's: branches that wait their turn would only hide it."""
        if self.closed and self._broken is None:
            self._broken = error
            self._turns.release_all()
        return error

    async def _replayed(self, found: StepRecord, label: str) -> Recorded | None:
        if found.status == "refused":
            raise _failure(found)
        if not _is_answer(found):
            if found.kind in LEAVES:
                await self._never_answered(found, label)
            return None
        try:
            # Shielded like its record was: what finished in the recording finishes here, even in a
            # branch that is being cancelled.
            with anyio.fail_after(self._patience_s, shield=True):
                await self._turns.wait(found.key)
        except TimeoutError as error:
            missing = MissingStepError(step=f"a step before {label}", run=self.run)
            raise self._break(missing) from error
        if self._broken is not None:
            raise self._broken
        if found.status == "failed":
            raise _failure(found)
        return _result(found)

    async def _never_answered(self, found: StepRecord, label: str) -> None:
        """Stand still like the cancelled step did, until the branch is cancelled again."""
        if found.status == "cancelled" and not self._interrupted:
            await anyio.sleep(self._patience_s)
        raise self._break(MissingStepError(step=label, run=self.run))


def _by_key(record: RunRecord) -> dict[bytes, StepRecord]:
    """Return the attempt that counts of every step: the last one that did the work.

    Where a resume answered a step from the record, the step belongs to when it was first finished.
    """
    steps: dict[bytes, StepRecord] = {}
    for step in record.steps.values():
        if step.key not in steps or step.details.get("origin") != "recorded":
            steps[step.key] = step
    return steps


class _Turns:
    """Who may have its answer now: one at a time, in the recorded order of finishing."""

    def __init__(self, steps: Iterable[StepRecord]) -> None:
        ordered = sorted(steps, key=lambda step: step.finished_event)
        self._order = [step.key for step in ordered]
        self._next = 0
        self._waiting: dict[bytes, anyio.Event] = {}

    def release_all(self) -> None:
        for event in self._waiting.values():
            event.set()

    async def wait(self, key: bytes) -> None:
        if self._order[self._next] != key:
            event = self._waiting[key] = anyio.Event()
            await event.wait()
        self._next += 1
        # One turn of the loop lets the consumer of this answer go on before the next one is given.
        await anyio.lowlevel.checkpoint()
        following = self._order[self._next] if self._next < len(self._order) else b""
        if following in self._waiting:
            self._waiting[following].set()


LEAVES = ("model", "tool", "ask")


def _is_answer(step: StepRecord) -> bool:
    """Whether a closed recording answers the step; programs that call steps run again instead."""
    done = step.status in ("succeeded", "failed")
    return done and (step.kind in LEAVES or (step.kind == "code" and not step.children))


def _result(step: StepRecord) -> Recorded:
    assert step.output is not None
    return Recorded(step.output, step.details)


def _failure(step: StepRecord) -> Exception:
    assert step.failure is not None
    return rebuild(step.failure.name, step.failure.message, step.failure.facts)


def _apart(recorded: bytes, now: bytes) -> tuple[str, str]:
    """Return two texts from a little before where they differ."""
    left, right = recorded.decode("utf-8", "replace"), now.decode("utf-8", "replace")
    pairs = enumerate(zip(left, right, strict=False))
    first = next(
        (index for index, (one, other) in pairs if one != other), min(len(left), len(right))
    )
    start = max(0, first - 40)
    return _cut(left, start), _cut(right, start)


def _cut(text: str, start: int) -> str:
    shown = text[start : start + 120]
    return ("..." if start else "") + shown + ("..." if start + 120 < len(text) else "")
