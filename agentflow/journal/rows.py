"""Events as rows of the table `events`, and back.

Owns the mapping and nothing else. Large content (inputs, outputs, programs, tracebacks) becomes a
payload named by its hash, so equal content is stored once.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from agentflow.journal.events import (
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

Row = dict[str, Any]
Payloads = dict[bytes, bytes]

_EMPTY: Row = dict.fromkeys(("step", "parent", "key", "name", "kind", "payload", "details"))


def payload_hash(data: bytes) -> bytes:
    """Return the 16-byte name of a payload."""
    return hashlib.blake2b(data, digest_size=16).digest()


def to_row(run: int, event: Stored, payloads: Payloads) -> Row:
    """Return `event` as a row of run number `run`; its payloads are added to `payloads`."""
    row = _EMPTY | {"run": run, "number": event.number, "at": event.at}
    row["type"] = _NAMES[type(event)]
    details = _WRITERS[type(event)](event, row, lambda data: _keep(data, payloads))
    row["details"] = (
        json.dumps(details, separators=(",", ":"), ensure_ascii=False) if details else None
    )
    return row


def from_row(row: Any, payload: Callable[[bytes], bytes]) -> Stored:
    """Return the event a row holds; `payload` fetches content by hash."""
    details = json.loads(row.details) if row.details else {}
    return _READERS[row.type](row, details, payload)


def _keep(data: bytes, payloads: Payloads) -> bytes:
    name = payload_hash(data)
    payloads[name] = data
    return name


Keep = Callable[[bytes], bytes]


def _write_run_started(event: RunStarted, row: Row, keep: Keep) -> Row:
    row |= {"name": event.flow, "payload": keep(event.input)}
    return {"target": event.target, "settings": event.settings}


def _write_started(event: StepStarted, row: Row, keep: Keep) -> Row:
    row |= {"step": event.step, "key": event.key, "parent": event.parent, "name": event.name}
    row |= {"kind": event.kind, "payload": keep(event.input)}
    return event.details


def _write_finished(event: StepFinished, row: Row, keep: Keep) -> Row:
    row |= {"step": event.step, "payload": keep(event.output)}
    return event.details


def _write_failed(event: StepFailed, row: Row, keep: Keep) -> Row:
    row |= {"step": event.step, "payload": keep(event.failure.trace.encode())}
    found: Row = {"failure": _failure_facts(event.failure)}
    if event.refused:
        found["refused"] = True
    return found | event.details


def _write_cancelled(event: StepCancelled, row: Row, _keep: Keep) -> Row:
    row["step"] = event.step
    return {}


def _write_expanded(event: Expanded, row: Row, keep: Keep) -> Row:
    row |= {"step": event.step, "kind": event.kind, "payload": keep(event.content)}
    return {}


def _write_noted(event: Noted, row: Row, _keep: Keep) -> Row:
    row["step"] = event.step
    return {"text": event.text} | ({"details": event.details} if event.details else {})


def _write_run_finished(event: RunFinished, row: Row, keep: Keep) -> Row:
    row["kind"] = event.status[:8]
    if event.output is not None:
        row["payload"] = keep(event.output)
    if event.failure is None:
        return {"status": event.status}
    row["payload"] = keep(event.failure.trace.encode())
    return {"status": event.status, "failure": _failure_facts(event.failure)}


def _failure_facts(failure: Failure) -> Row:
    return {"name": failure.name, "message": failure.message, "facts": failure.facts}


def _read_failure(row: Any, details: Row, payload: Keep) -> Failure:
    return Failure(**details.pop("failure"), trace=payload(row.payload).decode())


def _read_failed(row: Any, details: Row, payload: Keep) -> StepFailed:
    failure = _read_failure(row, details, payload)
    refused = bool(details.pop("refused", False))
    return StepFailed(
        number=row.number,
        at=row.at,
        step=row.step,
        failure=failure,
        refused=refused,
        details=details,
    )


def _read_run_finished(row: Any, details: Row, payload: Keep) -> RunFinished:
    failure = _read_failure(row, details, payload) if "failure" in details else None
    output = payload(row.payload) if row.payload is not None and failure is None else None
    return RunFinished(
        number=row.number, at=row.at, status=details["status"], output=output, failure=failure
    )


def _read_started(row: Any, details: Row, payload: Keep) -> StepStarted:
    return StepStarted(
        number=row.number,
        at=row.at,
        step=row.step,
        key=row.key,
        parent=row.parent,
        name=row.name,
        kind=row.kind,
        input=payload(row.payload),
        details=details,
    )


_NAMES: dict[type, str] = {
    RunStarted: "run_started",
    StepStarted: "started",
    StepFinished: "finished",
    StepFailed: "failed",
    StepCancelled: "cancelled",
    Expanded: "expanded",
    Noted: "noted",
    RunFinished: "run_finished",
}

_WRITERS: dict[type, Callable[[Any, Row, Keep], Row]] = {
    RunStarted: _write_run_started,
    StepStarted: _write_started,
    StepFinished: _write_finished,
    StepFailed: _write_failed,
    StepCancelled: _write_cancelled,
    Expanded: _write_expanded,
    Noted: _write_noted,
    RunFinished: _write_run_finished,
}

_READERS: dict[str, Callable[[Any, Row, Keep], Stored]] = {
    "run_started": lambda row, details, payload: RunStarted(
        number=row.number, at=row.at, flow=row.name, input=payload(row.payload), **details
    ),
    "started": _read_started,
    "finished": lambda row, details, payload: StepFinished(
        number=row.number, at=row.at, step=row.step, output=payload(row.payload), details=details
    ),
    "failed": _read_failed,
    "cancelled": lambda row, _details, _payload: StepCancelled(
        number=row.number, at=row.at, step=row.step
    ),
    "expanded": lambda row, _details, payload: Expanded(
        number=row.number, at=row.at, step=row.step, kind=row.kind, content=payload(row.payload)
    ),
    "noted": lambda row, details, _payload: Noted(
        number=row.number, at=row.at, step=row.step, **details
    ),
    "run_finished": _read_run_finished,
}
