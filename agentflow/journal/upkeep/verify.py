"""Check a journal: the database, every run, every payload.

Owns what may be wrong, in words with the run and the event. Whatever a damaged file does, the answer is
a list of problems: what cannot be read is one of them, and what else can be read is still checked.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.annotations import annotations_of
from agentflow.journal.content import names_in, payload_hash
from agentflow.journal.events import StepStarted, Stored
from agentflow.journal.records import RunRecord
from agentflow.journal.rows import from_rows
from agentflow.journal.store import NAMES_A_QUERY, Store
from agentflow.journal.summary import Summary
from agentflow.journal.upkeep.order import findings
from agentflow.journal.upkeep.reading import (
    UNREADABLE,
    in_chunks,
    snapshot,
)

INTEGRITY_LINES = 100


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong; `run` None is the journal itself."""

    run: str | None = None
    event: int | None = None
    problem: str

    def __str__(self) -> str:
        where = "journal" if self.run is None else f"run {self.run}"
        place = where if self.event is None else f"{where}, event {self.event}"
        return f"{place}: {self.problem}"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was checked. `orphans` are payloads nobody refers to: no damage, only space."""

    runs: int
    events: int
    payloads: int
    orphans: int
    orphan_bytes: int
    problems: tuple[Problem, ...]


def verify(store: Store, run: str | None = None) -> Verified:
    """Check the whole journal, or one run and what it refers to.

    Raises:
        UnknownRunError: There is no such run.
        JournalError: The store cannot even be looked at.
    """
    only = None if run is None else store.find_run(run)[1]
    with snapshot(store) as connection:
        check = _Check(store, connection)
        check.database()
        rows = check.index(only)
        if only is None:
            check.all_payloads()
            check.cached_answers()
        for row in rows:
            check.run(row)
        if only is None:
            check.count_orphans()
        return Verified(
            runs=len(rows),
            events=check.events,
            payloads=len(check.sizes),
            orphans=check.orphans,
            orphan_bytes=check.orphan_bytes,
            problems=tuple(check.problems),
        )


@dataclass
class _Check:
    """One pass over a store."""

    store: Store
    connection: Connection
    problems: list[Problem] = field(default_factory=list)
    events: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    # What is known of payloads: their sizes, and which of them hold something else than they should.
    sizes: dict[bytes, int] = field(default_factory=dict)
    bad: set[bytes] = field(default_factory=set)
    used: set[bytes] = field(default_factory=set)
    knows_all: bool = False
    cannot_tell: bool = False

    def database(self) -> None:
        """Check the database file and that no row belongs to a run that is not there."""
        with self._noted(None, "the check of the database"):
            if self.store.is_sqlite:
                query = f"PRAGMA integrity_check({INTEGRITY_LINES})"
                for (line,) in self.connection.exec_driver_sql(query):
                    if line != "ok":
                        self._add(None, None, f"the database is damaged: {' '.join(line.split())}")
            for table in (tables.events, tables.inbox, tables.annotations):
                runs = select(tables.runs.c.number)
                query_lost = select(table.c.run).where(table.c.run.not_in(runs)).distinct()
                for number in self.connection.execute(query_lost).scalars():
                    self._add(
                        None, None, f"{table.name} of run number {number}, which is not there"
                    )

    def index(self, only: int | None) -> Sequence[Row[Any]]:
        """Return the index rows of the runs to check."""
        query = select(tables.runs).order_by(tables.runs.c.number)
        if only is not None:
            query = query.where(tables.runs.c.number == only)
        with self._noted(None, "the list of runs"):
            return self.connection.execute(query).all()
        return ()

    def all_payloads(self) -> None:
        """Check every payload against its name."""
        self.cannot_tell = True
        query = select(tables.payloads)
        with self._noted(None, "the payloads"), in_chunks(query, self.connection) as rows:
            for row in rows:
                self._payload(row)
            self.knows_all, self.cannot_tell = True, False

    def cached_answers(self) -> None:
        """Check that the payloads of cached answers are there."""
        columns = tables.answers.c
        query = select(columns.run, columns.step, columns.output)
        with self._noted(None, "the cached answers"), in_chunks(query, self.connection) as rows:
            for row in rows:
                with self._noted(None, f"the cached answer of run {row.run}, step {row.step}"):
                    for name in names_in(row.output):
                        self._refer(name, None, None)

    def run(self, row: Row[Any]) -> None:
        """Check one run."""
        columns = tables.events.c
        query = select(tables.events).where(columns.run == row.number).order_by(columns.number)
        with self._noted(row.id, "its events"):
            rows = self.connection.execute(query).all()
            if not (self.knows_all or self.cannot_tell):
                self._payloads_of(rows)
            before = len(self.problems)
            events = sorted(self._read(row.id, rows), key=lambda event: event.number)
            self.events += len(events)
            if len(self.problems) > before:
                return  # with an event missing, everything after it looks wrong
            for found in findings(events):
                self._add(row.id, found.event, found.problem)
            if len(self.problems) == before:
                self._standing(row, events)
            self._annotations(row, events)

    def count_orphans(self) -> None:
        """Count the payloads that nobody refers to."""
        if self.knows_all:
            lost = [size for name, size in self.sizes.items() if name not in self.used]
            self.orphans, self.orphan_bytes = len(lost), sum(lost)

    def _read(self, run: str, rows: Sequence[Row[Any]]) -> Iterator[Stored]:
        for row in rows:
            with self._noted(run, "it", event=row.number):
                for cell in (row.input, row.output):
                    for name in () if cell is None else names_in(cell):
                        self._refer(name, run, row.number)
                yield from from_rows([row], lambda _name: b"")

    def _standing(self, row: Row[Any], events: list[Stored]) -> None:
        """Compare the index row with the events; of a run that nobody has released it may trail."""
        summary = Summary.of(RunRecord.of(row.id, events))
        if row.owner is not None:
            return
        status = None if summary.status is None else str(summary.status)
        pairs = {
            "flow": (row.flow, summary.flow),
            # Journals of schema 1 called a run that broke off interrupted.
            "status": (row.status, status or (row.status and "interrupted")),
            "end": (row.ended_at, summary.ended_at),
            "parent": (row.parent, summary.parent),
            "number of steps": (row.steps, summary.steps),
            "number of tokens": (row.tokens, summary.tokens),
        }
        if not events:  # it broke off before its first commit
            pairs = {"status": (row.status, None)}
        for name, (said, true) in pairs.items():
            if said != true:
                self._add(row.id, None, f"the list of runs says {name} {said}, its events {true}")

    def _annotations(self, row: Row[Any], events: list[Stored]) -> None:
        """Check that every annotation belongs to a step that there is."""
        steps = {event.step for event in events if isinstance(event, StepStarted)}
        with self._noted(row.id, "its annotations"):
            for one in annotations_of(self.connection, row.number):
                if one.step is not None and one.step not in steps:
                    problem = f"annotation {one.id} belongs to step {one.step}, which is not there"
                    self._add(row.id, None, problem)

    def _payloads_of(self, rows: Sequence[Row[Any]]) -> None:
        cells = [cell for row in rows for cell in (row.input, row.output) if cell]
        names = {name for cell in cells if cell[:1] in b"#+" for name in names_in(cell)}
        wanted = list(names - self.sizes.keys())
        for start in range(0, len(wanted), NAMES_A_QUERY):
            some = wanted[start : start + NAMES_A_QUERY]
            query = select(tables.payloads).where(tables.payloads.c.hash.in_(some))
            for row in self.connection.execute(query):
                self._payload(row)

    def _payload(self, row: Row[Any]) -> None:
        name, data = bytes(row.hash), bytes(row.data)
        self.sizes[name] = len(data)
        if payload_hash(data) != name:
            self.bad.add(name)
            self._add(None, None, f"payload {name.hex()} holds something else than its name says")

    def _refer(self, name: bytes, run: str | None, event: int | None) -> None:
        self.used.add(name)
        if name in self.bad:
            self._add(run, event, f"its payload {name.hex()} is damaged")
        elif name not in self.sizes and not self.cannot_tell:
            self._add(run, event, f"its payload {name.hex()} is missing")

    def _add(self, run: str | None, event: int | None, problem: str) -> None:
        self.problems.append(Problem(run=run, event=event, problem=problem))

    @contextmanager
    def _noted(self, run: str | None, what: str, event: int | None = None) -> Iterator[None]:
        """Turn whatever reading raises into a problem."""
        try:
            with self.store.errors():
                yield
        except JournalError as error:
            self._add(run, event, f"{what} cannot be read: {error.problem}")
        except UNREADABLE as error:
            self._add(run, event, f"{what} cannot be read: {type(error).__name__}: {error}")
