"""The list of runs, and one run without its steps.

Owns the shapes `Head` and `Run`. The list reads the index rows of runs, and the first event of those
that are shown, where their labels are.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from agentflow.journal import tables
from agentflow.journal.events import Noted, RunFinished, RunStarted
from agentflow.journal.records import RunRecord
from agentflow.journal.rows import TYPES, from_rows
from agentflow.journal.store import Store
from agentflow.journal.summary import status_of
from agentflow_web.reading.contents import Contents, content, failure_data
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.source import readable, run_row
from agentflow_web.reading.step import read_steps

MOST_HEADS = 500
CHUNK_RUNS = 500
UNENDED = ("running", "stopped")

_runs, _events = tables.runs.c, tables.events.c
_ABOUT_THE_RUN = or_(
    _events.type.in_((TYPES[RunStarted], TYPES[RunFinished])),
    and_(_events.type == TYPES[Noted], _events.step.is_(None)),
)
_LAST = select(func.max(_events.number))


def runs(
    store: Store, *, after: str = "", limit: int = 100, words: Sequence[str] = (), status: str = ""
) -> dict[str, Any]:
    """Return the heads of runs, newest first, and where the next page begins.

    Args:
        store: The journal.
        after: `next` of the page before; empty for the newest.
        limit: At most how many, up to `MOST_HEADS`.
        words: Each must be in the id, the flow, the parent's id or a label, in whatever case.
        status: Only those that stand like this; empty for all.

    Raises:
        JournalError: The store cannot be read.
        ValueError: `after` is none of ours.
    """
    limit = max(1, min(limit, MOST_HEADS))
    wanted = [word.casefold() for word in words]
    heads: list[tuple[int, dict[str, Any]]] = []
    with store.errors(), store.engine.connect() as connection:
        at_once = CHUNK_RUNS if words or status else limit + 1
        for number, head in _heads(store, connection, _below(after), status, at_once):
            if all(_is_in(word, head) for word in wanted):
                heads.append((number, head))
            if len(heads) > limit:
                break
    shown = heads[:limit]
    next_ = str(shown[-1][0]) if len(heads) > limit else None
    return {"runs": [head for _number, head in shown], "next": next_}


def run(
    index: RunIndex, *, is_live: bool = False, cwd_ok: bool = False, whole: bool = False
) -> dict[str, Any]:
    """Return one run as `Run`, without its steps.

    Args:
        index: The run; it is read to its end only where questions may be open.
        is_live: Whether this process executes it.
        cwd_ok: Whether a command given here would find the run's code.
        whole: Leave input and output uncut, however long they are.

    Raises:
        UnknownRunError: The run is there no more.
        JournalError: The journal cannot be read, or what it says of the run is damaged.
    """
    row = run_row(index.store, index.run)  # before its events: an end that is seen has them all
    record, sizes, last = _about(index.store, row, whole=whole)
    status = record.status or status_of(row, time.time())
    shown = partial(content, limit=None) if whole else content
    output = None if record.output is None else shown(record.output, sizes["output"])
    fork = record.settings.get("fork") or {}
    return {
        **_head(row, status, record.settings.get("labels") or {}),
        "target": record.target,
        "settings": record.settings,
        "input": shown(record.input, sizes["input"]),
        "output": output,
        "error": None if record.failure is None else failure_data(record.failure),
        "parent_step": fork.get("step"),
        "questions": [] if status in ("succeeded", "failed") else _questions(index),
        "last_event": last,
        "is_live": is_live,
        "cwd_ok": cwd_ok,
    }


def _below(after: str) -> int | None:
    if not after:
        return None
    if not (after.isascii() and after.isdecimal() and len(after) < 18):
        raise ValueError(f"no page of runs begins after {after!r}")
    return int(after)


def _heads(
    store: Store, connection: Connection, below: int | None, status: str, at_once: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield numbers and heads of runs, newest first."""
    now = time.time()
    while rows := connection.execute(_chunk(below, status).limit(at_once)).all():
        shown = [(row, status_of(row, now)) for row in rows]
        shown = [pair for pair in shown if status in ("", pair[1])]
        labels = _labels(store, connection, [row for row, _status in shown])
        for row, its_status in shown:
            yield int(row.number), _head(row, its_status, labels.get(row.number, {}))
        below = int(rows[-1].number)


def _chunk(below: int | None, status: str) -> Select[Any]:
    query = select(tables.runs).order_by(_runs.number.desc())
    if below is not None:
        query = query.where(_runs.number < below)
    if status:
        stands = _runs.status.is_(None) if status in UNENDED else _runs.status == status
        query = query.where(stands)
    return query


def _labels(
    store: Store, connection: Connection, rows: Sequence[Row[Any]]
) -> dict[int, dict[str, str]]:
    """Return the labels of runs by number; they stand in the settings of the first event."""
    names = {int(row.number): str(row.id) for row in rows}
    query = select(_events.run, _events.details).where(
        _events.run.in_(list(names)), _events.number == 1, _events.type == TYPES[RunStarted]
    )
    found = {}
    for number, details in connection.execute(query):
        with readable(store, names[number]):
            found[int(number)] = dict(json.loads(details)["settings"].get("labels") or {})
    return found


def _head(row: Row[Any], status: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "flow": row.flow or "",
        "status": status,
        "started_at": row.created_at,
        "ended_at": row.ended_at,
        "steps": row.steps or 0,
        "tokens": row.tokens or 0,
        "cost_usd": row.cost_usd,
        "parent": row.parent,
        "labels": labels,
    }


def _is_in(word: str, head: dict[str, Any]) -> bool:
    labels = (f"{name}={label}" for name, label in head["labels"].items())
    texts = (head["id"], head["flow"], head["parent"] or "", *labels)
    return any(word in text.casefold() for text in texts)


def _about(store: Store, row: Row[Any], *, whole: bool) -> tuple[RunRecord, dict[str, int], int]:
    """Return the run without steps, how many bytes its input and output have, and its last event."""
    of_run = _events.run == row.number
    query = select(tables.events).where(of_run, _ABOUT_THE_RUN).order_by(_events.number)
    sizes = {"input": len(RunRecord(id=row.id).input), "output": 0}
    with ExitStack() as stack:
        stack.enter_context(readable(store, row.id))
        stack.enter_context(store.errors())
        connection = stack.enter_context(store.engine.connect())
        last = connection.execute(_LAST.where(of_run)).scalar() or 0
        rows = connection.execute(query).all()
        contents = Contents(connection, store.name, rows, whole=whole)
        record = RunRecord.of(row.id, from_rows(rows, contents.get))
        for one in rows:
            if one.type == TYPES[RunStarted]:
                sizes["input"] = contents.size(one.input)
            elif one.type == TYPES[RunFinished]:
                sizes["output"] = contents.size(one.output)
    return record, sizes, int(last)


def _questions(index: RunIndex) -> list[dict[str, Any]]:
    """Return the questions that have no answer, in the order asked; of several attempts the last counts."""
    index.catch_up()
    known = index.known
    seen = read_steps(index, known, known.columns.asks, whole=True)
    record = RunRecord(id=index.run, steps={number: seen[number].record for number in sorted(seen)})
    with readable(index.store, index.run):
        return [_question(step.number, json.loads(step.input)) for step in record.questions]


def _question(step: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "step": step,
        "text": asked["text"],
        "choices": asked.get("choices") or None,
        "schema": asked.get("answer_schema"),
    }
