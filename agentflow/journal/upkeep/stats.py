"""Count what a journal holds and where its bytes are.

Owns the figures of `agentflow journal stats`. Reads one snapshot, in a handful of queries.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, func, select

from agentflow.journal import tables
from agentflow.journal.store import Store
from agentflow.journal.summary import status_of
from agentflow.journal.upkeep.reading import (
    count_events,
    count_steps,
    in_chunks,
    references,
    row_bytes,
    snapshot,
    store_bytes,
)

BIGGEST = 5


@dataclass(frozen=True, kw_only=True)
class BigRun:
    """A run and its size: `content_bytes` of its events and of the payloads they refer to."""

    run: str
    flow: str
    steps: int
    content_bytes: int


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What a journal holds. `saved_bytes`: what storing equal payloads once has saved."""

    runs: dict[str, int]
    events: int
    steps: int
    file_bytes: int
    bytes_per_step: float | None
    payloads: int
    payload_bytes: int
    saved_bytes: int
    cached_answers: int
    annotations: int
    biggest: tuple[BigRun, ...]


def stats(store: Store) -> Stats:
    """Return the figures of a journal.

    Raises:
        JournalError: It cannot be read.
    """
    with snapshot(store) as connection:
        rows = connection.execute(select(tables.runs)).all()
        now = time.time()
        by_run = _sizes_by_run(connection)
        lengths = _payload_lengths(connection)
        saved, shared = _references(connection, store.name, lengths)
        cached, remarks = _count(connection, tables.answers), _count(connection, tables.annotations)
        size = store_bytes(store, connection)
    none = (0, 0, 0)
    steps = sum(found[1] for found in by_run.values())
    big = [
        BigRun(
            run=row.id,
            flow=row.flow or "",
            steps=by_run.get(row.number, none)[1],
            content_bytes=by_run.get(row.number, none)[2] + shared.get(row.number, 0),
        )
        for row in rows
    ]
    big.sort(key=lambda one: (-one.content_bytes, one.run))
    return Stats(
        runs=dict(sorted(Counter(status_of(row, now) for row in rows).items())),
        events=sum(found[0] for found in by_run.values()),
        steps=steps,
        file_bytes=size,
        bytes_per_step=size / steps if steps else None,
        payloads=len(lengths),
        payload_bytes=sum(lengths.values()),
        saved_bytes=saved,
        cached_answers=cached,
        annotations=remarks,
        biggest=tuple(big[:BIGGEST]),
    )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _sizes_by_run(connection: Connection) -> dict[int, tuple[int, int, int]]:
    """Return events, steps and bytes of each run's rows."""
    run = tables.events.c.run
    query: Select[Any] = select(run, count_events(), count_steps(), row_bytes()).group_by(run)
    found = connection.execute(query)
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in found}


def _payload_lengths(connection: Connection) -> dict[bytes, int]:
    columns = tables.payloads.c
    query = select(columns.hash, func.length(columns.data).label("size"))
    with in_chunks(query, connection) as rows:
        return {bytes(row.hash): int(row.size) for row in rows}


def _references(
    connection: Connection, store: str, lengths: dict[bytes, int]
) -> tuple[int, dict[int, int]]:
    """Return the bytes that sharing saves, and the payload bytes that each run refers to."""
    seen: set[bytes] = set()
    seen_by_run: set[tuple[int, bytes]] = set()
    by_run: Counter[int] = Counter()
    saved = 0
    for run, name in references(connection, store):
        size = lengths.get(name, 0)
        if name in seen:
            saved += size
        seen.add(name)
        if run is not None and (run, name) not in seen_by_run:
            seen_by_run.add((run, name))
            by_run[run] += size
    return saved, by_run
