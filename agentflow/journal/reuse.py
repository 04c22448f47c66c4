"""Go on from an earlier record: resume a run, or fork a new one off it.

Owns what may be taken over (invariants 1, 3 and 5). A step is found by its identity, never by its
input or by the order of calls; its input is compared. A finished step is answered whole, with
everything below it, by one look-up. What is unfinished runs. What has another input than recorded is
an error on a strict resume, and runs again in a fork.
"""

import json
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

    `model` holds for every model call at and below the step. No change at all means that the step and
    everything below it is done again.
    """

    output: bytes | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    prompt: str | None = None


class ForkPoint:
    """The step at which a run is forked off another, and what is changed there.

    `earlier` is the point at which that other run was forked off a third: its changes hold on.
    """

    def __init__(self, key: bytes, edits: Edits, earlier: "ForkPoint | None" = None) -> None:
        self.key, self._edits, self._earlier = key, edits, earlier
        self._is_again = edits == Edits()
        self._below = {key}

    @classmethod
    def of(cls, record: RunRecord) -> "ForkPoint | None":
        """Return where a recorded run was forked off; None if it was not."""
        return cls._from(record.settings.get("fork"))

    @classmethod
    def _from(cls, settings: dict[str, Any] | None) -> "ForkPoint | None":
        if settings is None:
            return None
        change = dict(settings["change"])
        if "output" in change:
            change["output"] = json.dumps(change["output"]).encode()
        earlier = cls._from(settings.get("earlier"))
        return cls(bytes.fromhex(settings["key"]), Edits(**change), earlier)

    def edits(self, key: bytes, parent: bytes) -> Edits | None:
        """Return what is changed at the step `key`; None for nothing."""
        if key == self.key and not self._is_again:
            return self._edits
        if self._edits.model is not None and self.holds(key, parent):
            return Edits(model=self._edits.model)
        return None if self._earlier is None else self._earlier.edits(key, parent)

    def output(self, key: bytes) -> bytes | None:
        """Return the output that is given to the step `key`."""
        return self._edits.output if key == self.key else None

    def is_done_again(self, key: bytes, parent: bytes) -> bool:
        """Whether the step runs whatever is recorded of it."""
        return key == self.key or (self._is_again and self.holds(key, parent))

    def holds(self, key: bytes, parent: bytes) -> bool:
        """Whether the step is at or below this point."""
        if parent in self._below:
            self._below.add(key)
        return key in self._below


class Reuse:
    """An earlier record as a source of results for a run that goes on from it.

    Args:
        record: What was recorded.
        accept: Take changed code and inputs: what changed runs again, what did not is taken over.
        fork: Where a new run is forked off this one, and what is changed there.
        base: Where to look for what this record does not hold: a resumed fork's own parent.
        is_dry: Only find out what would run: see `engine/idle.py`.
    """

    def __init__(
        self,
        record: RunRecord,
        *,
        accept: bool = False,
        fork: ForkPoint | None = None,
        base: "Reuse | None" = None,
        is_dry: bool = False,
    ) -> None:
        self._record, self._accept, self._fork, self._base = record, accept, fork, base
        self.is_dry = is_dry
        self._edited = fork or ForkPoint.of(record)
        self._steps = latest(record)
        self._codes = recorded_codes(record)
        self._first = {step.key: step.started_at for step in reversed(list(record.steps.values()))}
        point = None if fork is None else self._steps.get(fork.key)
        self._above = set() if point is None else {step.key for step in path_to(record, point)}
        self._actions = _actions(self._steps.values())
        self.taken: set[int] = set()
        self.to_run: set[bytes] = set()

    @property
    def run_id(self) -> str:
        """The run whose record this is."""
        return self._record.id

    async def take(self, asked: Asked) -> Recorded | None:
        """Return the recorded result of a step; None when its body has to run.

        Raises:
            DriftError: Its input is not the recorded one, and changes are not accepted.
        """
        if self._fork is not None:
            given = self._fork.output(asked.key)
            if given is not None:
                return Recorded(given, {"origin": {"edited": True}})
            if self._fork.is_done_again(asked.key, asked.parent):
                self.to_run.add(asked.key)
                return None
        found = self._steps.get(asked.key)
        if found is None or asked.key in self._above or not self._fits(found, asked):
            found = None
        if found is not None and found.status == "succeeded" and found.output is not None:
            self.taken.add(found.number)
            origin = found.details.get("origin") or {"run": self._record.id, "step": found.number}
            return Recorded(found.output, {"origin": origin})
        if self._base is not None:
            return await self._base.take(asked)
        self.to_run.add(asked.key)
        return None

    def edits(self, key: bytes, parent: bytes) -> Edits | None:
        """Return what a fork changes at the step `key`; None for nothing."""
        return None if self._edited is None else self._edited.edits(key, parent)

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
        ] or ([] if self._base is None else self._base.actions_taken(environment, start))

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

    Later attempts may only have taken that result over, have been cut short while they did, or have
    asked for something else and been refused; none of that undoes what was done.
    """
    steps: dict[bytes, StepRecord] = {}
    for step in record.steps.values():
        earlier = steps.get(step.key)
        if earlier is None or _rank(step) >= _rank(earlier):
            steps[step.key] = step
    return steps


def _rank(step: StepRecord) -> int:
    if step.status != "succeeded":
        return 0
    return 1 if "origin" in step.details else 2


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
        place = step.details.get("environment")
        if place and step.status != "refused":  # a refused one never happened
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
