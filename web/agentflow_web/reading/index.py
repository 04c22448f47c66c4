"""The index of one run: its events without their contents, grown as the journal grows.

Owns reading rows into `Columns`, and how far they are complete: events are numbered without gaps, so
everything up to the first empty slot is final, whatever is written later. Reads in chunks, so that the
first page is there long before the last row of a long run. Many threads may ask at once: the first
reads, the others wait, and go on between two chunks.
"""

import itertools
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, case, func, select

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.events import (
    Details,
    Expanded,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
)
from agentflow.journal.rows import KINDS, STATUSES, TYPES, WHOLE_STEP
from agentflow.journal.store import Store
from agentflow.journal.summary import status_of
from agentflow_web.reading.columns import Columns
from agentflow_web.reading.source import readable, run_row

CHUNK_ROWS = 10_000
MOST_AHEAD = 4_000_000  # events one row may be ahead of the row before it; more is damage
KEPT_INDEXES = 8

_editions = itertools.count(1)
_events = tables.events.c
_HAS_FACTS = (TYPES[StepStarted], TYPES[StepFinished], TYPES[StepFailed], WHOLE_STEP)
_MORE: Select[Any] = (
    select(
        _events.number,
        _events.type,
        _events.at_us,
        _events.step,
        _events.span,
        _events.took_us,
        _events.parent,
        _events.name,
        _events.kind,
        case((_events.type.in_(_HAS_FACTS), _events.details)).label("details"),
    )
    .where(_events.run == bindparam("run"), _events.number > bindparam("after"))
    .order_by(_events.number)
    .limit(CHUNK_ROWS)
)
_LAST = select(func.max(_events.number)).where(_events.run == bindparam("run"))
_FIRST_AT = select(_events.at_us).where(_events.run == bindparam("run"), _events.number == 1)


@dataclass(frozen=True, slots=True)
class Known:
    """What an index holds at one moment.

    Events up to `complete` are final; `last` is the newest event there is. `edition` is another one
    when the run was rewritten.
    """

    columns: Columns
    complete: int
    last: int
    status: str
    edition: int


class RunIndex:
    """The events of the run `run` of `store`, as far as they have been read.

    Raises:
        UnknownRunError: There is no such run.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.store, self.run = store, run
        self._lock = threading.Lock()
        self._row = run_row(store, run)
        self._clear()

    @property
    def number(self) -> int:
        """The number of the run in its store."""
        return int(self._row.number)

    @property
    def known(self) -> Known:
        """What has been read."""
        with self._lock:
            status = self._ended_as or self._status
            last = max(self._last, self._complete)
            return Known(self._columns, self._complete, last, status, self._edition)

    def catch_up(self, until: int | None = None) -> None:
        """Read what is new, until event `until` or all of it; what is damaged ends the reading.

        Raises:
            UnknownRunError: The run is there no more.
            JournalError: The store cannot be read.
        """
        with self._lock:
            self._look()
        is_more = True
        while is_more:
            with self._lock:
                is_more = self._read_some(until)

    def check(self, number: int) -> None:
        """Make sure that events up to `number` are not missing because of damage.

        Raises:
            JournalError: They are.
        """
        with self._lock:
            if self._damage is not None and self._complete < number:
                raise self._damage

    def _clear(self) -> None:
        self._edition = next(_editions)
        self._columns = Columns()
        self._complete = self._read = self._last = 0
        self._first_at: int | None = None
        self._status = "stopped"
        self._ended_as = ""
        self._damage: JournalError | None = None

    def _look(self) -> None:
        """See how the run stands, before its events are read: an end that is seen has all its events."""
        row = run_row(self.store, self.run)
        status = status_of(row, time.time())
        with self.store.errors(), self.store.engine.connect() as connection:
            last = connection.execute(_LAST, {"run": row.number}).scalar() or 0
            first_at = connection.execute(_FIRST_AT, {"run": row.number}).scalar()
        is_other = row.number != self._row.number or last < self._read
        if is_other or self._first_at not in (None, first_at):
            self._clear()
        self._row, self._status, self._last, self._first_at = row, status, int(last), first_at

    def _read_some(self, until: int | None) -> bool:
        """Read one chunk; return whether there is more to read."""
        is_there = until is not None and self._complete >= until
        if is_there or self._read >= self._last or self._damage is not None:
            return False
        with self.store.errors(), self.store.engine.connect() as connection:
            rows = connection.execute(_MORE, {"run": self.number, "after": self._read}).all()
        try:
            with readable(self.store, self.run):
                for row in rows:
                    self._take(row)
        except JournalError as error:
            self._damage = error
        self._complete = self._columns.complete_from(self._complete)
        if len(rows) == CHUNK_ROWS:
            return True
        if self._damage is None and self._complete < self._columns.last:
            self._damage = self._gap()
        return False

    def _gap(self) -> JournalError:
        problem = (
            f"event {self._complete + 1} of run {self.run} is missing: the file is damaged, "
            "`agentflow journal verify` says where"
        )
        return JournalError(store=self.store.name, problem=problem)

    def _take(self, row: Any) -> None:
        number, kind = row[0], row[1]
        if not self._read < number <= self._read + MOST_AHEAD:
            raise ValueError(f"event {number} follows event {self._read}")
        _READERS[kind](self._columns, row)
        if kind == TYPES[RunStarted]:
            self._ended_as = ""
        elif kind == TYPES[RunFinished]:
            self._ended_as = STATUSES[row.kind]
        self._read = number


class Indexes:
    """The indexes of the runs that were looked at last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, RunIndex] = OrderedDict()

    def of(self, run: str) -> RunIndex:
        """Return the index of a run, which may not have read anything yet.

        Raises:
            UnknownRunError: There is no such run.
        """
        with self._lock:
            index = self._kept.get(run)
            if index is None:
                index = self._kept[run] = RunIndex(self._store, run)
            self._kept.move_to_end(run)
            if len(self._kept) > KEPT_INDEXES:
                self._kept.popitem(last=False)
        return index


# A million rows come by here: taking a row apart is much quicker than asking it for its columns.
def _whole(columns: Columns, row: Any) -> None:
    number, _, at_us, step, span, took_us, parent, name, kind, text = row
    before, after = json.loads(text) if text else (_NO_FACTS, _NO_FACTS)
    columns.begin(number - span, at_us - took_us, step, parent or 0, (name, KINDS[kind]), before)
    columns.end("E", number, at_us, step, after)


def _started(columns: Columns, row: Any) -> None:
    number, _, at_us, step, _, _, parent, name, kind, text = row
    columns.begin(number, at_us, step, parent or 0, (name, KINDS[kind]), _facts(text))


def _finished(columns: Columns, row: Any) -> None:
    number, _, at_us, step, _, _, _, _, _, text = row
    columns.end("E", number, at_us, step, _facts(text))


def _failed(columns: Columns, row: Any) -> None:
    facts = _facts(row.details)
    letter = "R" if facts.get("refused") else "F"
    columns.end(letter, row.number, row.at_us, row.step, facts)


def _cancelled(columns: Columns, row: Any) -> None:
    columns.end("C", row.number, row.at_us, row.step, _NO_FACTS)


def _facts(text: str | None) -> Details:
    found: Details = json.loads(text) if text else _NO_FACTS
    return found


_NO_FACTS: Details = {}
_READERS: dict[int, Callable[[Columns, Any], None]] = {
    TYPES[RunStarted]: lambda columns, row: columns.mark("B", row.number, row.at_us),
    TYPES[StepStarted]: _started,
    TYPES[StepFinished]: _finished,
    TYPES[StepFailed]: _failed,
    TYPES[StepCancelled]: _cancelled,
    TYPES[Expanded]: lambda columns, row: columns.remark("X", row.number, row.at_us, row.step),
    TYPES[Noted]: lambda columns, row: columns.remark("N", row.number, row.at_us, row.step or 0),
    TYPES[RunFinished]: lambda columns, row: columns.mark("Z", row.number, row.at_us),
    WHOLE_STEP: _whole,
}
