"""Write one batch of events in one transaction.

Owns the statements of the writer. They go to the driver directly: SQLAlchemy made the
connection and the schema, and its own statements cost more than the commit does. Every transaction
first looks whether the run still belongs to this process.
"""

import sqlite3
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Table

from agentflow.errors import LeaseLostError
from agentflow.journal import tables
from agentflow.journal.content import Payloads, pack
from agentflow.journal.engines import LOCK_WAIT_S
from agentflow.journal.events import RunStarted, StepFinished, Stored
from agentflow.journal.lease import LEASE_S, RENEW_S, Lease
from agentflow.journal.rows import to_rows
from agentflow.journal.store import Store
from agentflow.journal.summary import Summary

REMEMBERED_HASHES = 50_000


class LockedError(Exception):
    """Another process holds the file, and the caller did not want to wait."""


class Committer:
    """Commits batches of one run; used by one thread at a time."""

    def __init__(self, store: Store, lease: Lease, summary: Summary) -> None:
        self._store, self._lease, self._summary = store, lease, summary
        self._connection = store.engine.raw_connection()
        self._cursor = self._connection.cursor()
        self._dialect = _Sqlite() if store.is_sqlite else _Postgres()
        self._written: set[bytes] = set()
        self._renewed = time.monotonic()

    def close(self, *, release: bool) -> None:
        """Give the connection back; with `release`, the run is free for others from now on."""
        try:
            if release:
                self._begin(must_sync=False)
                self._write_summary(release=True)
                if self._summary.status == "succeeded":  # the answers are part of the record now
                    self._cursor.execute(self._dialect.empty_inbox, (self._lease.run,))
                self._connection.commit()
        finally:
            with suppress(*self._store.driver_errors):  # of a connection that is lost already
                self._cursor.close()
            self._connection.close()

    @property
    def is_renewal_due(self) -> bool:
        """Whether others will soon believe that this process is gone."""
        return time.monotonic() - self._renewed > RENEW_S

    def commit(self, batch: list[Stored], *, must_sync: bool, wait: bool = True) -> None:
        """Write `batch`; `must_sync` has it survive a power cut, with all that was written before.

        Raises:
            LeaseLostError: Another process has taken the run over.
            LockedError: The file is locked, and `wait` is False; nothing was written.
        """
        payloads: Payloads = {}
        rows = to_rows(self._lease.run, batch, payloads)
        try:
            self._begin(must_sync=must_sync, wait=wait)
            if payloads:
                self._write_payloads(payloads)
            self._cursor.executemany(self._dialect.events, rows)
            self._file_answers(batch)
            for event in batch:
                self._summary.apply(event)
            # At once when it begins: a process that dies leaves no run that nobody can tell.
            if self.is_renewal_due or (batch and isinstance(batch[0], RunStarted)):
                self._write_summary(release=False)
            self._connection.commit()
        except BaseException:
            self._take_back()
            raise

    def _take_back(self) -> None:
        """Undo the transaction; a connection that cannot is of no more use, and the store undoes it."""
        try:
            self._connection.rollback()
        except self._store.driver_errors:
            self._connection.invalidate()

    def _begin(self, *, must_sync: bool, wait: bool = True) -> None:
        self._dialect.begin(self._cursor, must_sync, wait)
        self._cursor.execute(self._dialect.epoch, (self._lease.run,))
        found = self._cursor.fetchone()
        if found is None or found[0] != self._lease.epoch:
            problem = "another process has taken the run over, so this one stops writing"
            raise LeaseLostError(store=self._store.name, problem=problem)

    def _write_payloads(self, payloads: Payloads) -> None:
        fresh = [item for item in payloads.items() if item[0] not in self._written]
        if fresh:
            self._cursor.executemany(self._dialect.payloads, fresh)
        if len(self._written) > REMEMBERED_HASHES:
            self._written.clear()
        self._written.update(name for name, _data in fresh)

    def _file_answers(self, batch: list[Stored]) -> None:
        """File the results that other runs may take over."""
        for event in batch:
            if isinstance(event, StepFinished) and "fingerprint" in event.details:
                name = bytes.fromhex(event.details["fingerprint"])
                payloads: Payloads = {}
                output = pack(event.output, payloads)  # the same payloads as the event's
                row = (name, self._lease.run_id, event.step, event.at, output, None)
                self._cursor.execute(self._dialect.answers, row)

    def _write_summary(self, *, release: bool) -> None:
        row = self._summary.row()
        row |= (
            {"lease_until": None, "owner": None}
            if release
            else {"lease_until": time.time() + LEASE_S}
        )
        mark = self._dialect.mark
        sets = ", ".join(f"{name} = {mark}" for name in row)
        update = f"UPDATE runs SET {sets} WHERE number = {mark}"  # noqa: S608 - own names
        self._cursor.execute(update, (*row.values(), self._lease.run))
        self._renewed = time.monotonic()


class _Statements:
    """The statements in one driver's spelling."""

    def __init__(self, mark: str, lock: str) -> None:
        self.mark = mark
        self.events = self._insert(tables.events)
        # What is there already is the same content.
        self.payloads = f"{self._insert(tables.payloads)} ON CONFLICT DO NOTHING"
        self.answers = f"{self._insert(tables.answers)} ON CONFLICT DO NOTHING"
        self.empty_inbox = f"DELETE FROM inbox WHERE run = {mark}"  # noqa: S608 - own names
        self.epoch = f"SELECT epoch FROM runs WHERE number = {mark}{lock}"  # noqa: S608 - own names

    def _insert(self, table: Table) -> str:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join(self.mark for _column in table.columns)
        return f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - own names


class _Sqlite(_Statements):
    """Begins with the right to write, so that looking at the epoch is part of the writing."""

    def __init__(self) -> None:
        super().__init__("?", "")
        self._is_synced: bool | None = None
        self._is_patient: bool | None = None

    def begin(self, cursor: Any, must_sync: bool, wait: bool) -> None:
        if self._is_synced != must_sync:
            cursor.execute(f"PRAGMA synchronous={'FULL' if must_sync else 'NORMAL'}")
            self._is_synced = must_sync
        if self._is_patient != wait:
            cursor.execute(f"PRAGMA busy_timeout={LOCK_WAIT_S * 1000 if wait else 0}")
            self._is_patient = wait
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not wait and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise LockedError from error
            raise


class _Postgres(_Statements):
    """Locks the run's row against a takeover until the commit."""

    def __init__(self) -> None:
        super().__init__("%s", " FOR SHARE")

    def begin(self, cursor: Any, must_sync: bool, wait: bool) -> None:  # noqa: ARG002 - always waits
        if not must_sync:
            cursor.execute("SET LOCAL synchronous_commit TO OFF")
