"""What several readers of the viewer ask a store.

Owns finding a run by its exact id, reading chosen event rows, and the words for damaged ones. Knows
nothing of pages or steps. Nothing here writes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, select

from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.store import NAMES_A_QUERY, Store
from agentflow.journal.upkeep.reading import UNREADABLE


@contextmanager
def readable(store: Store, run: str) -> Iterator[None]:
    """Turn what reading a damaged row raises into a `JournalError` that names the store."""
    try:
        yield
    except UNREADABLE as error:
        problem = (
            f"an event of run {run} is unreadable ({error}): the file is damaged, "
            "`agentflow journal verify` says where"
        )
        raise JournalError(store=store.name, problem=problem) from error


def run_row(store: Store, run: str) -> Row[Any]:
    """Return the index row of the run whose id is `run`, no other and no abbreviation of it.

    Raises:
        UnknownRunError: There is none.
    """
    query = select(tables.runs).where(tables.runs.c.id == run)
    with store.errors(), store.engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownRunError(
            store=store.name, problem=f"no run {run}; `agentflow runs` lists them"
        )
    return row


def event_rows(connection: Connection, run: int, numbers: Sequence[int]) -> list[Row[Any]]:
    """Return the rows of these event numbers, as far as they are rows of their own, in order."""
    columns = tables.events.c
    wanted = sorted(set(numbers))
    rows: list[Row[Any]] = []
    for start in range(0, len(wanted), NAMES_A_QUERY):
        some = wanted[start : start + NAMES_A_QUERY]
        query = select(tables.events).where(columns.run == run, columns.number.in_(some))
        rows += connection.execute(query.order_by(columns.number)).all()
    return rows
