"""Single steps with their contents.

Owns the shape of `Step`. Reads the rows of the steps that are asked for and nothing else of a run; the
index says which rows those are.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from agentflow.journal.annotations import Annotation
from agentflow.journal.events import Expanded, StepFinished, StepStarted, Stored
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.rows import from_rows
from agentflow_web.reading.contents import Contents, content, failure_data, shown
from agentflow_web.reading.index import Known, RunIndex
from agentflow_web.reading.source import event_rows, readable

MOST_STEPS = 200
Part = Literal["input", "output", "trace", "expansion"]
_SHOWN_APART = (
    "model", "parameters", "usage", "cost_usd", "attempts", "attempt_s", "origin", "effect", "links",
)  # fmt: skip


@dataclass(kw_only=True)
class Seen:
    """One step as read: its record, its parent, and how many bytes its contents have."""

    record: StepRecord
    parent: int | None
    input_bytes: int
    output_bytes: int = 0
    expansion_bytes: list[int] = field(default_factory=list)


def steps(
    index: RunIndex, numbers: Sequence[int], annotations: Iterable[Annotation] = ()
) -> list[dict[str, Any]]:
    """Return the steps of these numbers as `Step`, as far as they are there, in the order asked for.

    Args:
        index: The run.
        numbers: At most `MOST_STEPS`.
        annotations: Those of the run; each goes to its step.

    Raises:
        JournalError: The journal cannot be read, or what is asked for is damaged.
        ValueError: Too many are asked for.
    """
    if len(numbers) > MOST_STEPS:
        raise ValueError(f"{len(numbers)} steps asked for; at most {MOST_STEPS} at once")
    index.catch_up()
    return told(index, index.known, numbers, annotations)


def told(
    index: RunIndex, known: Known, numbers: Sequence[int], annotations: Iterable[Annotation] = ()
) -> list[dict[str, Any]]:
    """Return steps of what is known already; otherwise like `steps`."""
    found = read_steps(index, known, numbers)
    written: dict[int, list[Annotation]] = {}
    for one in annotations:
        written.setdefault(one.step or 0, []).append(one)
    return [
        _step(found[number], known, written.get(number, ()))
        for number in dict.fromkeys(numbers)
        if number in found
    ]


def part_of(index: RunIndex, number: int, part: Part, place: int = 0) -> str | None:
    """Return the whole of one content of a step; None when it has none.

    Args:
        index: The run.
        number: The step.
        part: Which content.
        place: Of several expansions, which.

    Raises:
        JournalError: See `steps`.
    """
    index.catch_up()
    seen = read_steps(index, index.known, [number], whole=True).get(number)
    if seen is None:
        return None
    step = seen.record
    if part == "input":
        return shown(step.input)
    if part == "output":
        return None if step.output is None else shown(step.output)
    if part == "trace":
        return None if step.failure is None else step.failure.trace
    if 0 <= place < len(step.expansions):
        return shown(step.expansions[place].content)
    return None


def read_steps(
    index: RunIndex, known: Known, numbers: Iterable[int], *, whole: bool = False
) -> dict[int, Seen]:
    """Return steps by number, their contents as far as they are shown, or `whole`.

    Raises:
        JournalError: The journal cannot be read, or a step is damaged.
    """
    columns = known.columns
    wanted = {n for n in numbers if 0 < n <= columns.steps and columns.start_event[n]}
    rows_of = [event for step in wanted for event in _events_of(known, step)]
    store = index.store
    with ExitStack() as stack:
        stack.enter_context(readable(store, index.run))
        stack.enter_context(store.errors())
        connection = stack.enter_context(store.engine.connect())
        rows = event_rows(connection, index.number, rows_of)
        contents = Contents(connection, store.name, rows, whole=whole)
        events = [(event, row) for row in rows for event in from_rows([row], contents.get)]
        events.sort(key=lambda pair: pair[0].number)
        return _folded(
            index.run, [pair for pair in events if _step_of(pair[0]) in wanted], contents
        )


def _events_of(known: Known, step: int) -> list[int]:
    """Return the events of a step; its start may stand in the row of its end."""
    columns = known.columns
    ends = [columns.end_event[step]] if columns.end_event[step] else []
    return [columns.start_event[step], *columns.remarks.get(step, ()), *ends]


def _step_of(event: Stored) -> int | None:
    found: int | None = getattr(event, "step", None)
    return found


def _folded(run: str, events: Iterable[tuple[Stored, Any]], contents: Contents) -> dict[int, Seen]:
    record = RunRecord(id=run)
    seen: dict[int, Seen] = {}
    for event, row in events:
        if isinstance(event, StepStarted):
            record.apply(replace(event, parent=None))  # which may not be among those that are read
            step = record.steps[event.step]
            size = contents.size(row.input)
            seen[event.step] = Seen(record=step, parent=event.parent, input_bytes=size)
            continue
        record.apply(event)
        if isinstance(event, StepFinished):
            seen[event.step].output_bytes = contents.size(row.output)
        elif isinstance(event, Expanded):
            seen[event.step].expansion_bytes.append(contents.size(row.output))
    return seen


def _step(seen: Seen, known: Known, annotations: Sequence[Annotation]) -> dict[str, Any]:
    step, details = seen.record, seen.record.details
    output = None if step.output is None else content(step.output, seen.output_bytes)
    return {
        "number": step.number,
        "key": step.key.hex(),
        "parent": seen.parent,
        "name": step.name,
        "kind": step.kind,
        "status": step.status,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "start_event": known.columns.start_event[step.number],
        "end_event": step.finished_event,
        "input": content(step.input, seen.input_bytes),
        "output": output,
        "error": None if step.failure is None else failure_data(step.failure),
        "model": details.get("model"),
        "parameters": details.get("parameters", {}),
        "usage": None if "origin" in details else details.get("usage"),
        "cost_usd": step.cost_usd,
        "attempts": details.get("attempts", 1),
        "attempt_s": details.get("attempt_s"),
        "origin": _origin(details.get("origin")),
        "effect": bool(details.get("effect")),
        "links": list(step.links),
        "details": {name: fact for name, fact in details.items() if name not in _SHOWN_APART},
        "expansions": _expansions(seen),
        "notes": _notes(step),
        "annotations": [asdict(one) for one in annotations],
    }


def _origin(origin: dict[str, Any] | None) -> dict[str, Any] | None:
    if not origin:
        return None
    if "run" not in origin:
        return {"given": True}
    return {"run": origin["run"], "step": origin["step"], "cache": bool(origin.get("cache"))}


def _expansions(seen: Seen) -> list[dict[str, Any]]:
    return [
        {
            "event": one.number,
            "at": one.at,
            "kind": one.kind,
            "content": content(one.content, size, is_json=one.kind == "plan"),
        }
        for one, size in zip(seen.record.expansions, seen.expansion_bytes, strict=True)
    ]


def _notes(step: StepRecord) -> list[dict[str, Any]]:
    return [
        {"event": one.number, "at": one.at, "text": one.text, "details": one.details}
        for one in step.notes
    ]
