"""Events as rows of the table `events`, and back.

Owns the mapping and nothing else. A step that begins and ends within one batch is one row, which
reads back as both events. Rows are plain tuples in the order of `COLUMNS`: the writer makes one a
step, so this is a hot path.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from agentflow.journal import tables
from agentflow.journal.content import Fetch, Payloads, pack, unpack
from agentflow.journal.events import (
    Details,
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)

Row = tuple[Any, ...]
COLUMNS = tuple(column.name for column in tables.events.columns)

KINDS = ("flow", "model", "tool", "code", "ask", "plan", "program")
STATUSES = ("succeeded", "failed", "interrupted", "paused")
_KIND_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_STATUS_NUMBERS = {status: number for number, status in enumerate(STATUSES)}

WHOLE_STEP = 9
TYPES: dict[type, int] = {
    RunStarted: 1,
    StepStarted: 2,
    StepFinished: 3,
    StepFailed: 4,
    StepCancelled: 5,
    Expanded: 6,
    Noted: 7,
    RunFinished: 8,
}
MICROSECONDS = 1_000_000


def to_rows(run: int, batch: Iterable[Stored], payloads: Payloads) -> list[Row]:
    """Return a batch of events as rows of run number `run`; long content goes to `payloads`."""
    rows: list[Row] = []
    begun: dict[int, tuple[int, StepStarted]] = {}
    for event in batch:
        if isinstance(event, StepStarted):
            begun[event.step] = (len(rows), event)
            rows.append(())
        elif isinstance(event, StepFinished) and event.step in begun:
            position, start = begun.pop(event.step)
            rows[position] = _whole(run, start, event, payloads)
        else:
            rows.append(_WRITERS[type(event)](run, event, payloads))
    for position, start in begun.values():
        rows[position] = _write_started(run, start, payloads)
    return rows


def from_rows(rows: Iterable[Any], fetch: Fetch) -> list[Stored]:
    """Return the events that rows hold, in the order of their numbers; `fetch` gives payloads by name."""
    events = [event for row in rows for event in _READERS[row.type](row, fetch)]
    events.sort(key=lambda event: event.number)
    return events


# Writing -----------------------------------------------------------------------------------


def _whole(run: int, start: StepStarted, end: StepFinished, payloads: Payloads) -> Row:
    at_us, began_us = _us(end.at), _us(start.at)
    details = _json([start.details, end.details]) if start.details or end.details else None
    # fmt: off
    return (
        run, end.number, WHOLE_STEP, at_us, start.step, end.number - start.number, at_us - began_us,
        start.parent, start.key, start.name, _KIND_NUMBERS[start.kind],
        pack(start.input, payloads), pack(end.output, payloads), details,
    )


def _write_started(run: int, event: StepStarted, payloads: Payloads) -> Row:
    return (
        run,
        event.number,
        2,
        _us(event.at),
        event.step,
        None,
        None,
        event.parent,
        event.key,
        event.name,
        _KIND_NUMBERS[event.kind],
        pack(event.input, payloads),
        None,
        _json(event.details) if event.details else None,
    )
    # fmt: on


def _row(
    run: int,
    event: Stored,
    *,
    step: int | None = None,
    name: str | None = None,
    kind: int | None = None,
    input: bytes | None = None,  # noqa: A002 - the name of the column
    output: bytes | None = None,
    details: Details | None = None,
) -> Row:
    head = (run, event.number, TYPES[type(event)], _us(event.at), step, None, None, None, None)
    return (*head, name, kind, input, output, _json(details) if details else None)


def _write_run_started(run: int, event: RunStarted, payloads: Payloads) -> Row:
    details = {"target": event.target, "settings": event.settings}
    return _row(run, event, name=event.flow, input=pack(event.input, payloads), details=details)


def _write_finished(run: int, event: StepFinished, payloads: Payloads) -> Row:
    output = pack(event.output, payloads)
    return _row(run, event, step=event.step, output=output, details=event.details)


def _write_failed(run: int, event: StepFailed, payloads: Payloads) -> Row:
    details = {"failure": _facts(event.failure)} | ({"refused": True} if event.refused else {})
    trace = pack(event.failure.trace.encode("utf-8", "replace"), payloads)
    return _row(run, event, step=event.step, output=trace, details=details | event.details)


def _write_cancelled(run: int, event: StepCancelled, _payloads: Payloads) -> Row:
    return _row(run, event, step=event.step)


def _write_expanded(run: int, event: Expanded, payloads: Payloads) -> Row:
    kind, content = _KIND_NUMBERS[event.kind], pack(event.content, payloads)
    return _row(run, event, step=event.step, kind=kind, output=content)


def _write_noted(run: int, event: Noted, _payloads: Payloads) -> Row:
    details = {"text": event.text} | ({"details": event.details} if event.details else {})
    return _row(run, event, step=event.step, details=details)


def _write_run_finished(run: int, event: RunFinished, payloads: Payloads) -> Row:
    kind = _STATUS_NUMBERS[event.status]
    if event.failure is not None:
        trace = pack(event.failure.trace.encode("utf-8", "replace"), payloads)
        return _row(run, event, kind=kind, output=trace, details={"failure": _facts(event.failure)})
    output = None if event.output is None else pack(event.output, payloads)
    return _row(run, event, kind=kind, output=output)


def _facts(failure: Failure) -> Details:
    return {"name": failure.name, "message": failure.message, "facts": failure.facts}


def _us(seconds: float) -> int:
    return round(seconds * MICROSECONDS)


# ASCII, so that a lone surrogate in a model's text cannot make a row unwritable.
_json = json.JSONEncoder(separators=(",", ":")).encode

_WRITERS: dict[type, Callable[[int, Any, Payloads], Row]] = {
    RunStarted: _write_run_started,
    StepFinished: _write_finished,
    StepFailed: _write_failed,
    StepCancelled: _write_cancelled,
    Expanded: _write_expanded,
    Noted: _write_noted,
    RunFinished: _write_run_finished,
}


# Reading -----------------------------------------------------------------------------------


def _details(row: Any) -> Details:
    found: Details = json.loads(row.details) if row.details else {}
    return found


def _at(row: Any) -> dict[str, Any]:
    return {"number": row.number, "at": row.at_us / MICROSECONDS}


def _read_run_started(row: Any, fetch: Fetch) -> Iterator[Stored]:
    yield RunStarted(**_at(row), flow=row.name, input=unpack(row.input, fetch), **_details(row))


def _read_started(row: Any, fetch: Fetch) -> Iterator[Stored]:
    yield _started(row, row.number, row.at_us, _details(row), fetch)


def _read_whole(row: Any, fetch: Fetch) -> Iterator[Stored]:
    before, after = json.loads(row.details) if row.details else ({}, {})
    yield _started(row, row.number - row.span, row.at_us - row.took_us, before, fetch)
    output = unpack(row.output, fetch)
    yield StepFinished(**_at(row), step=row.step, output=output, details=after)


def _started(row: Any, number: int, at_us: int, details: Details, fetch: Fetch) -> StepStarted:
    return StepStarted(
        number=number,
        at=at_us / MICROSECONDS,
        step=row.step,
        key=bytes(row.key),
        parent=row.parent,
        name=row.name,
        kind=KINDS[row.kind],  # type: ignore[arg-type]  # the first five are the kinds of steps
        input=unpack(row.input, fetch),
        details=details,
    )


def _read_finished(row: Any, fetch: Fetch) -> Iterator[Stored]:
    output = unpack(row.output, fetch)
    yield StepFinished(**_at(row), step=row.step, output=output, details=_details(row))


def _read_failed(row: Any, fetch: Fetch) -> Iterator[Stored]:
    details = _details(row)
    failure = _failure(details, row, fetch)
    refused = bool(details.pop("refused", False))
    yield StepFailed(**_at(row), step=row.step, failure=failure, refused=refused, details=details)


def _read_cancelled(row: Any, _fetch: Fetch) -> Iterator[Stored]:
    yield StepCancelled(**_at(row), step=row.step)


def _read_expanded(row: Any, fetch: Fetch) -> Iterator[Stored]:
    content = unpack(row.output, fetch)
    yield Expanded(**_at(row), step=row.step, kind=KINDS[row.kind], content=content)  # type: ignore[arg-type]


def _read_noted(row: Any, _fetch: Fetch) -> Iterator[Stored]:
    yield Noted(**_at(row), step=row.step, **_details(row))


def _read_run_finished(row: Any, fetch: Fetch) -> Iterator[Stored]:
    details = _details(row)
    failure = _failure(details, row, fetch) if "failure" in details else None
    output = unpack(row.output, fetch) if row.output is not None and failure is None else None
    status: Any = STATUSES[row.kind]
    yield RunFinished(**_at(row), status=status, output=output, failure=failure)


def _failure(details: Details, row: Any, fetch: Fetch) -> Failure:
    return Failure(**details.pop("failure"), trace=unpack(row.output, fetch).decode())


_READERS: dict[int, Callable[[Any, Fetch], Iterator[Stored]]] = {
    1: _read_run_started,
    2: _read_started,
    3: _read_finished,
    4: _read_failed,
    5: _read_cancelled,
    6: _read_expanded,
    7: _read_noted,
    8: _read_run_finished,
    WHOLE_STEP: _read_whole,
}
