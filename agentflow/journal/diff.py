"""Compare two runs step by step.

Owns the alignment: steps are the same step when they have the same identity, whatever their numbers,
times or inputs are. Two runs of one flow, and a fork and its parent, align by nature.
"""

from dataclasses import dataclass
from typing import Literal

from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.reuse import latest

What = Literal["same", "changed", "removed", "added"]


@dataclass(frozen=True, kw_only=True)
class StepDifference:
    """One step in both runs, or in one: `left` is None when it is only in the second.

    `changed` names what differs: input, output, status, model. `is_reused` says that the second run
    took the result over from the first.
    """

    left: StepRecord | None
    right: StepRecord | None
    changed: tuple[str, ...] = ()
    is_reused: bool = False

    @property
    def what(self) -> What:
        """The kind of difference."""
        if self.left is None:
            return "added"
        if self.right is None:
            return "removed"
        return "changed" if self.changed else "same"

    @property
    def step(self) -> StepRecord:
        """The step itself, the second run's if it is there."""
        found = self.right or self.left
        assert found is not None
        return found


def diff_runs(left: RunRecord, right: RunRecord) -> list[StepDifference]:
    """Return every step of two runs, in the second run's order, what was removed at its old place.

    Steps below a result that was taken over as a whole are not in the second run; they count as same.
    """
    before, after = latest(left), latest(right)
    covered = _covered(before, after)
    found = []
    for key in _merged(list(before), list(after)):
        one, other = before.get(key), after.get(key)
        if one is not None and other is not None:
            is_reused = (other.details.get("origin") or {}).get("run") == left.id
            changed = _changed(one, other)
            found.append(
                StepDifference(left=one, right=other, changed=changed, is_reused=is_reused)
            )
        elif key in covered:
            found.append(StepDifference(left=one, right=one, is_reused=True))
        else:
            found.append(StepDifference(left=one, right=other))
    return found


def _covered(before: dict[bytes, StepRecord], after: dict[bytes, StepRecord]) -> set[bytes]:
    """Return the steps of the first run below results that the second took over."""
    whole = [
        before[key] for key, step in after.items() if key in before and "origin" in step.details
    ]
    return {below.key for step in whole for below in step.walk()}


def _merged(before: list[bytes], after: list[bytes]) -> list[bytes]:
    """Return all keys: those of `after` in order, and each missing one after its old predecessor."""
    known = set(after)
    follow: dict[bytes | None, list[bytes]] = {}
    last: bytes | None = None
    for key in before:
        if key in known:
            last = key
        else:
            follow.setdefault(last, []).append(key)
    merged = list(follow.get(None, ()))
    for key in after:
        merged.append(key)
        merged.extend(follow.get(key, ()))
    return merged


def _changed(one: StepRecord, other: StepRecord) -> tuple[str, ...]:
    pairs = {
        "input": (one.input, other.input),
        "output": (one.output, other.output),
        "status": (one.status, other.status),
    }
    if "origin" not in other.details:
        pairs["model"] = (one.details.get("model"), other.details.get("model"))
    return tuple(name for name, (left, right) in pairs.items() if left != right)
