"""Remove runs from a journal with all that belongs to them, and then the payloads nobody refers to.

Owns what may go. A run that is being written never goes. Everything happens in one transaction
that no writer commits beside: a payload that a writer remembers having written belongs to an event
of its own run, which is still there, so it is found in use; a writer that comes later finds gone what
is gone and writes it again. Cached answers stay, with their payloads: they stand for themselves.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, func, select, text

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.lease import is_written, own_name
from agentflow.journal.store import NAMES_A_QUERY, Store
from agentflow.journal.summary import status_of
from agentflow.journal.upkeep.reading import (
    in_chunks,
    references,
    row_bytes,
    snapshot,
    store_bytes,
)

T = TypeVar("T")

STATUSES = ("succeeded", "failed", "interrupted", "paused", "stopped")
# How long after its lease a process on another machine may still come back, say from sleep.
GRACE_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Which runs to remove: those that meet everything given.

    `older_than_s` counts from when a run ended, or began if it never did. `keep`: never the newest
    so many of the journal. `runs`: ids, beginnings of ids or `last`.
    """

    older_than_s: float | None = None
    statuses: Sequence[str] = ()
    keep: int | None = None
    runs: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given."""
        return not (self.statuses or self.runs) and self.older_than_s is None and self.keep is None


@dataclass(frozen=True, kw_only=True)
class PrunedRun:
    """A run that went; `content_bytes` are those of its events without payloads."""

    run: str
    flow: str
    status: str
    ended_at: float
    content_bytes: int


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What went, or would go. `busy` are the runs that stayed because somebody writes them."""

    runs: tuple[PrunedRun, ...]
    busy: tuple[str, ...]
    payloads: int
    payload_bytes: int

    @property
    def content_bytes(self) -> int:
        """All bytes that events and payloads held."""
        return self.payload_bytes + sum(run.content_bytes for run in self.runs)


def prune(
    store: Store, criteria: Criteria, *, dry_run: bool = False, now: float | None = None
) -> Pruned:
    """Remove the runs that meet `criteria`; with `dry_run`, only find out what would go.

    Raises:
        ValueError: No criterion is given.
        UnknownRunError: A run that is named is not there.
        JournalError: The store cannot be read or written; nothing was removed.
    """
    if criteria.is_empty:
        raise ValueError("say which runs to remove: by age, status, number to keep, or id")
    now = time.time() if now is None else now
    named = {store.find_run(run)[1] for run in criteria.runs} if criteria.runs else None
    opened = snapshot(store) if dry_run else _alone(store)
    with opened as connection:
        going, busy = _choose(connection, criteria, named, now)
        numbers = [row.number for row in going]
        sizes = _sizes(connection, numbers)
        orphans = _orphans(connection, store.name, set(numbers))
        found = Pruned(
            runs=tuple(_pruned(row, sizes.get(row.number, 0), now) for row in going),
            busy=tuple(row.id for row in busy),
            payloads=len(orphans),
            payload_bytes=_payload_bytes(connection, orphans),
        )
        if not dry_run:
            _remove(connection, numbers, orphans)
    return found


def compact(store: Store) -> int:
    """Give the space of what was removed back to the disk; return by how many bytes the file shrank.

    Raises:
        JournalError: A run is being written, which this would hold up, or it is no SQLite file.
    """
    if not store.is_sqlite:
        problem = "PostgreSQL gives space back itself (autovacuum); there is nothing to compact"
        raise JournalError(store=store.name, problem=problem)
    now = time.time()
    busy = [row.id for row in store.run_rows() if may_be_written(row, now)]
    if busy:
        problem = f"run {busy[0]} is being written; compact the file when it has ended"
        raise JournalError(store=store.name, problem=problem)
    with store.errors(), store.engine.connect() as connection:
        before = store_bytes(store, connection)
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return before - store_bytes(store, connection)


def may_be_written(row: Row[Any], now: float) -> bool:
    """Return whether somebody may still write a run, being more careful than a takeover is.

    A takeover leaves an epoch behind that stops the old writer; a removed run leaves nothing. So
    a process here counts as long as it lives, even if its lease is over, and one elsewhere a day more.
    """
    if row.owner is None:
        return False
    here = own_name().partition("|")[0] == row.owner.partition("|")[0]
    until = float("inf") if here else (row.lease_until or 0.0) + GRACE_S
    return is_written(row.owner, until, now=now)


@contextmanager
def _alone(store: Store) -> Iterator[Connection]:
    """Give a transaction that no other commit to a run overlaps."""
    with store.errors(), store.writing() as connection:
        if not store.is_sqlite:  # every commit of a writer first reads its run's row `FOR SHARE`
            connection.execute(text("LOCK TABLE runs IN EXCLUSIVE MODE"))
        yield connection


def _choose(
    connection: Connection, criteria: Criteria, named: set[int] | None, now: float
) -> tuple[list[Row[Any]], list[Row[Any]]]:
    columns = tables.runs.c
    query = select(tables.runs).order_by(columns.created_at.desc(), columns.number.desc())
    rows = connection.execute(query).all()[criteria.keep or 0 :]
    going = [
        row
        for row in rows
        if (named is None or row.number in named)
        and (not criteria.statuses or status_of(row, now) in criteria.statuses)
        and (criteria.older_than_s is None or now - _last(row) > criteria.older_than_s)
    ]
    busy = [may_be_written(row, now) for row in going]
    free = [row for row, is_busy in zip(going, busy, strict=True) if not is_busy]
    return free, [row for row, is_busy in zip(going, busy, strict=True) if is_busy]


def _last(row: Row[Any]) -> float:
    return float(row.ended_at or row.created_at)


def _pruned(row: Row[Any], size: int, now: float) -> PrunedRun:
    return PrunedRun(
        run=row.id,
        flow=row.flow or "",
        status=status_of(row, now),
        ended_at=_last(row),
        content_bytes=size,
    )


def _sizes(connection: Connection, numbers: list[int]) -> dict[int, int]:
    run = tables.events.c.run
    found: dict[int, int] = {}
    for some in _chunks(numbers):
        query = select(run, row_bytes()).where(run.in_(some)).group_by(run)
        found |= {row[0]: int(row[1]) for row in connection.execute(query)}
    return found


def _orphans(connection: Connection, store: str, without: set[int]) -> list[bytes]:
    """Return the payloads that nobody refers to when the runs `without` are gone."""
    used = {name for run, name in references(connection, store) if run not in without}
    with in_chunks(select(tables.payloads.c.hash), connection) as rows:
        return [name for name in (bytes(row.hash) for row in rows) if name not in used]


def _payload_bytes(connection: Connection, names: list[bytes]) -> int:
    columns = tables.payloads.c
    total = 0
    for some in _chunks(names):
        query = select(func.sum(func.length(columns.data))).where(columns.hash.in_(some))
        total += int(connection.execute(query).scalar() or 0)
    return total


def _remove(connection: Connection, numbers: list[int], orphans: list[bytes]) -> None:
    for some in _chunks(numbers):
        for table in (tables.events, tables.inbox, tables.annotations):
            connection.execute(delete(table).where(table.c.run.in_(some)))
        connection.execute(delete(tables.runs).where(tables.runs.c.number.in_(some)))
    for names in _chunks(orphans):
        connection.execute(delete(tables.payloads).where(tables.payloads.c.hash.in_(names)))


def _chunks(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), NAMES_A_QUERY):
        yield items[start : start + NAMES_A_QUERY]
