"""Read a whole journal as it stands at one moment.

Owns what the parts of the upkeep share: a snapshot that no writer changes, who refers to which
payload, and how many bytes there are. Writes nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    case,
    func,
    or_,
    select,
    text,
)

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.content import INLINE, Parts, names_in
from agentflow.journal.events import Expanded, RunFinished, RunStarted, StepFinished, StepStarted
from agentflow.journal.events import Stored as StoredEvent
from agentflow.journal.rows import TYPES, WHOLE_STEP, from_rows
from agentflow.journal.store import Payloads, Store

CHUNK_ROWS = 1000
# What reading a damaged row may raise besides an error of the database.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)

Key = tuple[int | None, bytes]


@contextmanager
def snapshot(store: Store) -> Iterator[Connection]:
    """Give a connection that sees the store as it is now, whatever is written meanwhile."""
    with store.errors(), store.engine.connect() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def in_chunks(query: Select[Any], connection: Connection) -> Iterator[Iterable[Row[Any]]]:
    """Give the rows of a query, to be read once, without holding them all."""
    with connection.execute(query.execution_options(yield_per=CHUNK_ROWS)) as rows:
        yield rows


def references(connection: Connection, store: str) -> Iterator[Key]:
    """Yield run number and payload name for each reference of an event, None for a cached answer's.

    Raises:
        JournalError: A cell cannot be read, so nobody knows what it refers to.
    """
    columns, answers = tables.events.c, tables.answers.c
    of_events = select(columns.run, columns.input, columns.output).where(
        or_(_is_long(columns.input), _is_long(columns.output))
    )
    of_answers = select(answers.output).where(_is_long(answers.output))
    try:
        with in_chunks(of_events, connection) as rows:
            for row in rows:
                for cell in (row.input, row.output):
                    yield from ((row.run, name) for name in (names_in(cell) if cell else ()))
        with in_chunks(of_answers, connection) as rows:
            for row in rows:
                yield from ((None, name) for name in names_in(row.output))
    except UNREADABLE as error:
        problem = f"{error}: the file is damaged, `agentflow journal verify` says where"
        raise JournalError(store=store, problem=problem) from error


def events_of(connection: Connection, store: str, number: int) -> list[StoredEvent]:
    """Return the events of a run in order; content that was cut into parts still knows its cuts.

    Raises:
        JournalError: An event is unreadable, or a payload is missing.
    """
    columns = tables.events.c
    query = select(tables.events).where(columns.run == number).order_by(columns.number)
    try:
        rows = connection.execute(query).all()
        payloads = Payloads(connection, store, rows)
        found = [
            _cut(event, row, payloads) for row in rows for event in from_rows([row], payloads.get)
        ]
        return sorted(found, key=lambda event: event.number)
    except UNREADABLE as error:
        problem = f"an event is unreadable ({error}): `agentflow journal verify` says which"
        raise JournalError(store=store, problem=problem) from error


def row_bytes() -> ColumnElement[int]:
    """Return the expression that sums up what events hold themselves."""
    cells = (tables.events.c[name] for name in ("input", "output", "details", "name", "key"))
    total: Any = sum(func.coalesce(func.length(cell), 0) for cell in cells)
    return func.coalesce(func.sum(total), 0)


def count_events() -> ColumnElement[int]:
    """Return the expression that counts events, of which a row may be two."""
    return func.coalesce(func.sum(case((tables.events.c.type == WHOLE_STEP, 2), else_=1)), 0)


def count_steps() -> ColumnElement[int]:
    """Return the expression that counts the rows that begin a step."""
    begins = tables.events.c.type.in_((TYPES[StepStarted], WHOLE_STEP))
    return func.coalesce(func.sum(case((begins, 1), else_=0)), 0)


def store_bytes(store: Store, connection: Connection) -> int:
    """Return how large the store is: file and write-ahead log, or the tables and their indexes."""
    if not store.is_sqlite:
        names = [table.name for table in tables.metadata.sorted_tables]
        query = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
        return sum(int(connection.execute(query, {"name": name}).scalar_one()) for name in names)
    database = str(store.engine.url.database or "")
    files = [Path(database), Path(f"{database}-wal")] if store.is_lasting else []
    return sum(file.stat().st_size for file in files if file.exists())


def _is_long(cell: ColumnElement[Any]) -> ColumnElement[bool]:
    mark: ColumnElement[bytes] = func.substr(cell, 1, 1, type_=LargeBinary())
    return mark != INLINE


def _cut(event: StoredEvent, row: Row[Any], payloads: Payloads) -> StoredEvent:
    match event:
        case RunStarted() | StepStarted():
            event.input = _parts(row.input, payloads) or event.input
        case StepFinished():
            event.output = _parts(row.output, payloads) or event.output
        case RunFinished() if event.output is not None:
            event.output = _parts(row.output, payloads) or event.output
        case Expanded():
            event.content = _parts(row.output, payloads) or event.content
    return event


def _parts(cell: bytes, payloads: Payloads) -> Parts | None:
    names = names_in(cell)
    return Parts.joined([payloads.get(name) for name in names]) if len(names) > 1 else None
