"""Accepted runs as the journal has them.

Owns the promise that is made by accepting a run: its first event is committed before the client hears of it, with labels
that say which server it belongs to, by which flow and for which request. From then on the run is one that began and was
stopped; carrying it out is going on with it, now or after a crash. Knows no HTTP and no event loop: everything here is
called in threads.

Until it is over a run stays in this process's name, so that no other server of the same journal takes it.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import Row, Select, and_, select

from agentflow.data import canonical
from agentflow.engine.run import now
from agentflow.execution import active_run
from agentflow.flows import Flow
from agentflow.journal import tables
from agentflow.journal.annotations import annotate
from agentflow.journal.answering import check_answer, find_question
from agentflow.journal.commits import Committer
from agentflow.journal.events import Event, RunFinished, RunStarted, Stored
from agentflow.journal.lease import Lease, is_written, own_name
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.rows import from_rows
from agentflow.journal.store import Store
from agentflow.journal.summary import Summary, status_of
from agentflow.settings import RunSettings

MOST_EVENTS = 500  # read at once
CANCELLED = "serve-flow:cancelled"  # the tag of the remark that a client wanted no more of a run
DIGITS = frozenset("0123456789abcdef")
_MARK = (
    select(tables.annotations.c.id)
    .where(tables.annotations.c.run == tables.runs.c.number, tables.annotations.c.tag == CANCELLED)
    .exists()
)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One run of this server; `status` is the journal's word, `cancelled` when a client wanted no more of it."""

    id: str
    number: int
    offer: str
    request: str
    status: str
    created_at: float
    ended_at: float | None
    steps: int
    tokens: int
    cost_usd: float | None
    is_elsewhere: bool


class AcceptedRuns:
    """The runs of the server called `name` in one journal."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self.name = store, name

    def id_of(self, key: str) -> str:
        """Return the run that an idempotency key stands for, whether there is one or not."""
        return hashlib.blake2b(f"{self.name}\0{key}".encode(), digest_size=16).hexdigest()

    def labels(self, offer: str, request: str) -> dict[str, str]:
        """Return what is written with a run, to find it by."""
        return {"server": self.name, "flow": offer, "request": request}

    def accept(
        self, run: str, settings: RunSettings, flow: Flow[..., Any], arguments: dict[str, Any]
    ) -> RunRecord:
        """Write that a run began; when this returns, it will be carried out whatever happens.

        Raises:
            JournalError: The id is taken, or the journal cannot be written.
            AgentflowError: A setting or an argument cannot be recorded.
        """
        events: list[Event] = []
        active = active_run(settings, run, None, settings.budget, events.append)
        active.emit(
            RunStarted,
            flow=flow.name,
            target=flow.target,
            input=flow.signature.write_input(arguments),
            settings=settings.recorded(active),
        )
        lease = self._store.new_run(run)
        self._write(lease, [event for event in events if isinstance(event, RunStarted)], Summary())
        return RunRecord.of(run, events)

    def end(self, record: RunRecord) -> None:
        """Write that a run which nobody carries out is over."""
        lease = self._store.claim_run(record.id)
        event = RunFinished(number=record.last_event + 1, at=now(), status="interrupted")
        self._write(lease, [event], Summary.of(record), is_over=True)

    def mark_cancelled(self, run: str) -> None:
        """Write that a client wants no more of a run."""
        annotate(
            self._store,
            run,
            "a client of `agentflow serve-flow` cancelled it",
            step=None,
            tag=CANCELLED,
        )

    def find(self, run: str) -> Accepted | None:
        """Return a run of this server by its whole id."""
        if not 16 <= len(run) <= 64 or not DIGITS.issuperset(run):
            return None
        found = self._read(self._query().where(tables.runs.c.id == run))
        return found[0] if found else None

    def page(self, limit: int, before: int | None) -> list[Accepted]:
        """Return runs of this server, newest first; `before` is the number of the last one known."""
        query = self._query().order_by(tables.runs.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(tables.runs.c.number < before)
        return self._read(query)

    def unfinished(self) -> list[Accepted]:
        """Return the runs to go on with, oldest first: stopped ones, and paused ones that were answered."""
        status = tables.runs.c.status
        query = self._query().where(status.is_(None) | status.in_(("interrupted", "paused")))
        found = self._read(query.order_by(tables.runs.c.number))
        return [
            run
            for run in found
            if not run.is_elsewhere
            and (
                run.status in ("running", "stopped", "interrupted")
                or (run.status == "paused" and self.is_answered(run))
            )
        ]

    def record(self, run: Accepted) -> RunRecord:
        """Return all that is recorded of a run."""
        return RunRecord.of(run.id, self._store.events(run.number))

    def events(self, run: Accepted, after: int, most: int = MOST_EVENTS) -> list[Stored]:
        """Return the next events of a run after number `after`, without a gap and about `most`.

        None only if there are none. What went in and out of steps is left out: nobody is told.
        """
        rows = self._event_rows(run, after, most)
        events = [event for event in from_rows(rows, lambda _name: b"") if event.number > after]
        if len(rows) < most:
            return events
        # A row may be a whole step, whose beginning is numbered long before its end.
        known = {event.number for event in events}
        end = next(number for number in count(after + 1) if number not in known)
        found = [event for event in events if event.number < end]
        return found or self.events(run, after, 2 * most)

    def _event_rows(self, run: Accepted, after: int, most: int) -> Sequence[Row[Any]]:
        columns = tables.events.c
        query = select(tables.events).where(columns.run == run.number, columns.number > after)
        return self._rows(query.order_by(columns.number).limit(most))

    def question(self, run: Accepted, step: int | None) -> StepRecord:
        """Return the open question of a run.

        Raises:
            AskError: There is none, or several.
        """
        return find_question(self.record(run), step)

    def answer(self, run: Accepted, question: StepRecord, answer: Any) -> None:
        """Leave an answer for a run, under way or not.

        Raises:
            AskError: It does not fit.
        """
        text = answer if isinstance(answer, str) else json.dumps(answer)
        check_answer(question, text)
        self._store.leave_answer(run.number, question.key, text.encode())

    def is_answered(self, run: Accepted) -> bool:
        """Return whether an answer to an open question waits for the run."""
        left = self._store.answers_left(run.number)
        return bool(left) and any(one.key in left for one in self.record(run).questions)

    def _query(self) -> Select[Any]:
        begun = tables.events.c
        details = begun.details.label("begun")
        first = and_(begun.run == tables.runs.c.number, begun.number == 1)
        ours = begun.details.contains(f'"server":"{self.name}"', autoescape=True)
        query = select(tables.runs, details, _MARK.label("is_cancelled"))
        return query.join(tables.events, first).where(ours)

    def _read(self, query: Select[Any]) -> list[Accepted]:
        rows, moment = self._rows(query), time.time()
        return [run for row in rows if (run := self._accepted(row, moment)) is not None]

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._store.errors(), self._store.engine.connect() as connection:
            return connection.execute(query).all()

    def _accepted(self, row: Row[Any], moment: float) -> Accepted | None:
        labels = json.loads(row.begun)["settings"].get("labels") or {}
        if labels.get("server") != self.name:  # the words stood somewhere else
            return None
        status = status_of(row, moment)
        if row.is_cancelled and status not in ("succeeded", "failed"):
            status = "cancelled"
        is_held = is_written(row.owner, row.lease_until, now=moment)
        return Accepted(
            id=row.id,
            number=row.number,
            offer=labels.get("flow", ""),
            request=labels.get("request", ""),
            status=status,
            created_at=row.created_at,
            ended_at=row.ended_at,
            steps=row.steps or 0,
            tokens=row.tokens or 0,
            cost_usd=row.cost_usd,
            is_elsewhere=is_held and row.owner != own_name(),
        )

    def _write(
        self, lease: Lease, events: list[Any], summary: Summary, *, is_over: bool = False
    ) -> None:
        with self._store.errors():
            committer = Committer(self._store, lease, summary)
            try:
                committer.commit(events, must_sync=True)
            finally:
                committer.close(release=is_over)


def digest(offer: str, arguments_json: bytes) -> str:
    """Return what names a request: the same flow and input, the same name."""
    return hashlib.blake2b(canonical(offer) + arguments_json, digest_size=16).hexdigest()
