"""Go on from an earlier record: resume a run, or fork a new one off it.

Owns what may be taken over (invariants 1, 3 and 5). A step is found by its identity, never by its
input or by the order of calls; its input is compared. A finished step is answered whole, with
everything below it, by one look-up. What is unfinished runs. What has another input than recorded is
an error on a strict resume, and runs again in a fork.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentflow.errors import CodeChangedError, DriftError
from agentflow.journal.content import payload_hash
from agentflow.journal.records import RunRecord, StepRecord


@dataclass(frozen=True, slots=True)
class Asked:
    """A step that is about to run: its identity, its parent's, what to call it, its input now."""

    key: bytes
    parent: bytes
    label: str
    input: bytes
    version: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result that need not be worked out again, and what was recorded with it."""

    output: bytes
    details: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What a fork changes at its step: the output outright, or parts of the input by name.

    `model` holds for every model call at and below the step. Without an output, the step and all
    below it run anew.
    """

    output: bytes | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    prompt: str | None = None


class Reuse:
    """An earlier record as a source of results for a run that goes on from it.

    Args:
        record: What was recorded.
        accept: Take changed code and inputs: what changed runs again, what did not is taken over.
        fork_at: The step where a fork begins; it and everything below run anew.
        edits: What is changed there.
        is_dry: Only find out what would run: see `engine/idle.py`.
    """

    def __init__(
        self,
        record: RunRecord,
        *,
        accept: bool = False,
        fork_at: StepRecord | None = None,
        edits: Edits | None = None,
        is_dry: bool = False,
    ) -> None:
        self._record, self._accept, self.is_dry = record, accept, is_dry
        self._steps = latest(record)
        self._codes = recorded_codes(record)
        self._first = {step.key: step.started_at for step in reversed(list(record.steps.values()))}
        self._edits = edits or Edits()
        self._fork_key = None if fork_at is None else fork_at.key
        self._fresh = set() if fork_at is None else {fork_at.key}
        self._open = set() if fork_at is None else {step.key for step in path_to(record, fork_at)}
        self._actions = _actions(self._steps.values())
        self.taken: set[int] = set()
        self.to_run: set[bytes] = set()

    async def take(self, asked: Asked) -> Recorded | None:
        """Return the recorded result of a step; None when its body has to run.

        Raises:
            DriftError: Its input is not the recorded one, and changes are not accepted.
        """
        found = self._steps.get(asked.key)
        if asked.parent in self._fresh:
            self._fresh.add(asked.key)
        if asked.key in self._fresh:
            if asked.key == self._fork_key and self._edits.output is not None:
                return Recorded(self._edits.output, {"origin": {"edited": True}})
            self.to_run.add(asked.key)
            return None
        if found is None or asked.key in self._open:
            self.to_run.add(asked.key)
            return None
        if not self._fits(found, asked):
            self.to_run.add(asked.key)
            return None
        if found.status != "succeeded" or found.output is None:
            self.to_run.add(asked.key)
            return None
        self.taken.add(found.number)
        origin = found.details.get("origin") or {"run": self._record.id, "step": found.number}
        return Recorded(found.output, {"origin": origin})

    def edits(self, key: bytes, parent: bytes) -> Edits | None:
        """Return what a fork changes at the step `key`; None for nothing."""
        if key == self._fork_key:
            return self._edits
        if self._edits.model is not None and parent in self._fresh:
            return Edits(model=self._edits.model)
        return None

    def verify(self, key: bytes, label: str, output: bytes) -> None:
        """Compare nothing: what runs again here may come to another result."""

    def number_of(self, key: bytes) -> int | None:  # noqa: ARG002 - the protocol's
        """Return None: steps that go on get new numbers."""
        return None

    def actions_taken(self, environment: str, start: int) -> list[tuple[str, bytes, bytes | None]]:
        """Return name, input and output of an environment's actions that were taken over.

        Args:
            environment: Its id, as in the details of its steps.
            start: How many of its actions are known already.
        """
        return [
            (step.name, step.input, step.output)
            for step in self._actions.get(environment, ())
            if step.details["environment"][1] >= start and self._is_taken(step)
        ]

    def _is_taken(self, step: StepRecord) -> bool:
        above = (step, *path_to(self._record, step))
        return any(one.number in self.taken for one in above)

    def first_asked(self, key: bytes) -> float | None:
        """Return when the step first began; None if it never did."""
        return self._first.get(key)

    def check_code(self, target: str, code: str) -> str | None:
        """Return a remark when the code of a flow is another one than recorded.

        Raises:
            CodeChangedError: It is, and changes are not accepted.
        """
        recorded = self._codes.get(target)
        if recorded is None or is_same_code(recorded, code):
            return None
        if not self._accept:
            changes = {target: steps_of(self._record, target)}
            raise CodeChangedError(run=self._record.id, changes=changes)
        return f"the code of {target} has changed since run {self._record.id}"

    def _fits(self, found: StepRecord, asked: Asked) -> bool:
        same = found.details.get("version", "") == asked.version and (
            found.input == asked.input or payload_hash(found.input) == payload_hash(asked.input)
        )
        if not same and not self._accept:
            recorded, now = apart(found.input, asked.input)
            if recorded == now:  # then it is the declared version
                recorded = f"version {found.details.get('version', '')!r}"
                now = f"version {asked.version!r}"
            raise DriftError(step=asked.label, run=self._record.id, recorded=recorded, now=now)
        return same


def latest(record: RunRecord) -> dict[bytes, StepRecord]:
    """Return the attempt that counts of every step: the last one that did the work.

    Where a resume answered a step from the record, the step belongs to when it was first finished.
    """
    steps: dict[bytes, StepRecord] = {}
    for step in record.steps.values():
        if step.key not in steps or "origin" not in step.details:
            steps[step.key] = step
    return steps


def path_to(record: RunRecord, step: StepRecord) -> list[StepRecord]:
    """Return the steps above `step`, its parent first."""
    path = []
    while step.parent is not None:
        step = record.steps[step.parent]
        path.append(step)
    return path


def recorded_codes(record: RunRecord) -> dict[str, str]:
    """Return the code of every flow and tool of a run, by target, as of the last time it was seen."""
    codes: dict[str, str] = {}
    for step in record.steps.values():
        if found := step.details.get("code"):
            codes[found[0]] = found[1]
    return codes


def steps_of(record: RunRecord, target: str) -> list[int]:
    """Return the numbers of the steps that ran the flow `target`."""
    named = [step for step in record.steps.values() if "code" in step.details]
    names = {(step.kind, step.name) for step in named if step.details["code"][0] == target}
    return [step.number for step in record.steps.values() if (step.kind, step.name) in names]


def _actions(steps: Iterable[StepRecord]) -> dict[str, list[StepRecord]]:
    """Return the actions of every environment, in the order in which they happened."""
    found: dict[str, list[StepRecord]] = {}
    for step in steps:
        if place := step.details.get("environment"):
            found.setdefault(place[0], []).append(step)
    for actions in found.values():
        actions.sort(key=lambda step: int(step.details["environment"][1]))
    return found


def is_same_code(recorded: str, now: str) -> bool:
    """Return whether two codes are the same; codes of different Pythons cannot be compared."""
    return recorded == now or recorded.partition(":")[0] != now.partition(":")[0]


def apart(recorded: bytes, now: bytes) -> tuple[str, str]:
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
