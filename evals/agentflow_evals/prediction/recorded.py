"""The shape of a run that has happened, read from its record.

Owns what is taken for a dependency: where the engine recorded links between siblings (graphs and plans),
those; else a step needs every sibling that had ended before it began. Waiting for a permit happens within
a step, so branches overlap in the record however few permits there were.
Branches made of several bare calls, not flows, under one flow look more dependent than they are.
"""

from collections.abc import Iterator

from agentflow.errors import EvaluationError
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.models.protocol import Usage
from agentflow_evals.prediction.shape import Call, Part, Shape, Work

MANY = (
    4  # more predecessors than this meet in a part of their own, or layers would cost n * m edges
)


def recorded_shape(record: RunRecord) -> Shape:
    """Return the calls and the other work of a run; a flow's own time is kept as it was.

    Raises:
        EvaluationError: The run has not ended, or made no call.
    """
    root = record.root
    if root is None or any(step.ended_at is None for step in root.walk()):
        problem = f"run {record.id} has not ended, so its shape is not known; resume it first"
        raise EvaluationError(problem=problem)
    shape = _Reading().read(root)
    if not shape.calls:
        raise EvaluationError(problem=f"run {record.id} made no call of a model that succeeded")
    return shape


def is_call(step: StepRecord) -> bool:
    """Return whether the step is a call of a model that was answered."""
    return step.kind == "model" and step.status == "succeeded" and "usage" in step.details


def call_of(step: StepRecord, delay_s: float | None = None) -> Call:
    """Return what a call read and wrote, also where its answer was taken over from another run."""
    usage = Usage(**step.details["usage"])
    return Call(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        model=step.details.get("model", ""),
        delay_s=delay_s,
    )


class _Reading:
    """One pass over a tree of steps: a step with children becomes its beginning and its end."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._needs: dict[str, list[str]] = {}
        self._joins: dict[tuple[str, ...], str] = {}

    def read(self, root: StepRecord) -> Shape:
        self._add(root, [], root.started_at)
        return Shape(self._parts, self._needs)

    def _add(self, step: StepRecord, above: list[str], from_s: float) -> str:
        """Add a step that could begin at `from_s`; return the part that stands for its end."""
        delay_s = max(0.0, step.started_at - from_s)
        name = f"{step.number} {step.name}"
        if not step.children:
            work = Work(delay_s + (step.seconds or 0.0))
            return self._put(name, call_of(step, delay_s) if is_call(step) else work, above)
        self._put(name, Work(delay_s), above)
        ends: dict[int, str] = {}
        for child, before in predecessors(step.children):
            start_s = max((_end(other) for other in before), default=step.started_at)
            needed = self._joined([ends[other.number] for other in before])
            ends[child.number] = self._add(child, needed or [name], start_s)
        own_s = _end(step) - max(_end(child) for child in step.children)
        return self._put(f"{name} end", Work(max(0.0, own_s)), list(ends.values()))

    def _put(self, name: str, part: Part, needed: list[str]) -> str:
        self._parts[name], self._needs[name] = part, needed
        return name

    def _joined(self, needed: list[str]) -> list[str]:
        if len(needed) <= MANY:
            return needed
        key = tuple(needed)
        if key not in self._joins:
            self._joins[key] = self._put(f"join {len(self._joins)}", Work(), needed)
        return [self._joins[key]]


def predecessors(siblings: list[StepRecord]) -> Iterator[tuple[StepRecord, list[StepRecord]]]:
    """Yield each step, in order of its start, with the siblings it waited for and no one else did."""
    numbers = {step.number: step for step in siblings}
    ending = sorted(siblings, key=_end)
    over: list[StepRecord] = []  # ended, and not needed by another that has ended as well
    place, latest_s = 0, float("-inf")
    for step in sorted(siblings, key=lambda step: (step.started_at, step.number)):
        while place < len(ending) and _end(ending[place]) <= step.started_at:
            ended = ending[place]
            place += 1
            if ended is step:
                continue
            latest_s = max(latest_s, ended.started_at)
            over = [other for other in over if _end(other) > latest_s]
            over.append(ended)
        linked = [numbers[number] for number in step.links if number in numbers]
        yield step, linked or list(over)


def _end(step: StepRecord) -> float:
    assert step.ended_at is not None, "checked when the record was taken"
    return step.ended_at
