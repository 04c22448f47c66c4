"""Commit events in groups from one thread.

Owns the queue between a run and its journal (invariant 2). `append` never blocks; a writer thread
commits whatever has queued up, so parallel steps share one commit; `durable` waits for the commit
that covers everything appended so far. A group that holds an event to be kept is synchronised to
disk, and with it all before it; the others survive a killed process but not a power cut. Nothing is
dropped: when the store fails, every later wait raises, and the run stops.
"""

import asyncio
import threading
from collections.abc import Callable

import anyio
from sqlalchemy import Connection, Insert
from sqlalchemy.dialects import postgresql, sqlite

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.events import Stored
from agentflow.journal.rows import Payloads, Row, to_row
from agentflow.journal.store import Store

MAX_QUEUED = 10_000
EARLY_GROUP = 256
TRAIL_S = 0.05  # how far the record of what nobody waits for may trail behind
REMEMBERED_HASHES = 50_000


class JournalWriter:
    """The sink of one run; use it inside the event loop that it was made in."""

    def __init__(self, store: Store, run: int) -> None:
        self._store, self._run = store, run
        self._queue: list[Stored] = []
        self._must_sync = self._is_awaited = False
        self._appended = self._committed = 0
        self._closing = False
        self._error: JournalError | None = None
        self._signal = threading.Condition()
        self._waiters: list[tuple[int, anyio.Event]] = []
        self._loop = asyncio.get_running_loop()
        self._ended = anyio.Event()
        self._written_hashes: set[bytes] = set()
        self._thread = threading.Thread(target=self._work, name="agentflow-journal", daemon=True)
        self._thread.start()

    def append(self, event: Stored, *, keep: bool = False) -> None:
        """Queue one event; `keep` has its commit survive a power cut.

        Raises:
            JournalError: The store failed earlier; going on would lose what follows.
        """
        if self._error is not None:
            raise self._error
        self._appended += 1
        with self._signal:
            self._queue.append(event)
            self._must_sync = self._must_sync or keep
            if keep or len(self._queue) == EARLY_GROUP:
                self._signal.notify()

    async def durable(self) -> None:
        """Return when everything appended so far is committed.

        Raises:
            JournalError: The store failed.
        """
        await self._wait_committed(self._appended)

    async def room(self) -> None:
        """Return when fewer than `MAX_QUEUED` events wait."""
        if self._appended - self._committed > MAX_QUEUED:
            await self._wait_committed(self._appended - MAX_QUEUED // 2)

    async def aclose(self) -> None:
        """Commit the rest and end the thread.

        Raises:
            JournalError: The store failed.
        """
        with self._signal:
            self._closing = True
            self._signal.notify()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()
        if self._error is not None:
            raise self._error

    async def _wait_committed(self, number: int) -> None:
        if self._error is None and self._committed < number:
            with self._signal:
                self._is_awaited = True
                self._signal.notify()
            done = anyio.Event()
            self._waiters.append((number, done))
            if self._committed >= number or self._error is not None:
                self._wake()
            await done.wait()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        """Release the waiters whose events are committed; runs in the event loop."""
        failed = self._error is not None
        waiting, self._waiters = self._waiters, []
        for number, done in waiting:
            if failed or number <= self._committed:
                done.set()
            else:
                self._waiters.append((number, done))

    def _work(self) -> None:
        try:
            with self._store.errors(), self._store.engine.connect() as connection:
                inserts = _Inserts(connection)
                synchronise = _synchroniser(connection)
                while True:
                    batch, must_sync = self._next_batch()
                    if not batch:
                        break
                    synchronise(must_sync)
                    self._commit(connection, batch, inserts)
                    self._committed += len(batch)
                    self._notify_loop()
        except JournalError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whoever waits must hear of it
            self._error = JournalError(
                store=self._store.name, problem=f"cannot write an event: {error!r}"
            )
        self._notify_loop()
        self._loop.call_soon_threadsafe(self._ended.set)

    def _next_batch(self) -> tuple[list[Stored], bool]:
        with self._signal:
            # Nobody waits for the start of a step: it may share the commit of its end.
            while not (self._must_sync or self._is_awaited or self._closing):
                if not self._signal.wait(TRAIL_S) and self._queue:
                    break
                if len(self._queue) >= EARLY_GROUP:
                    break
            batch, self._queue = self._queue, []
            must_sync, self._must_sync = self._must_sync, False
            self._is_awaited = False
            return batch, must_sync

    def _commit(self, connection: Connection, batch: list[Stored], inserts: "_Inserts") -> None:
        payloads: Payloads = {}
        rows = [to_row(self._run, event, payloads) for event in batch]
        fresh = {name: data for name, data in payloads.items() if name not in self._written_hashes}
        inserts.payloads([{"hash": name, "data": data} for name, data in fresh.items()])
        inserts.events(rows)
        connection.commit()
        if len(self._written_hashes) > REMEMBERED_HASHES:
            self._written_hashes.clear()
        self._written_hashes.update(fresh)

    def _notify_loop(self) -> None:
        if self._waiters:
            self._loop.call_soon_threadsafe(self._wake)


class _Inserts:
    """The two statements of the writer, compiled once: compiling costs more than inserting."""

    def __init__(self, connection: Connection) -> None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        self.events = _prepared(connection, tables.events.insert())
        # What is there already is the same content.
        self.payloads = _prepared(
            connection, dialect.insert(tables.payloads).on_conflict_do_nothing()
        )


def _prepared(connection: Connection, statement: Insert) -> Callable[[list[Row]], None]:
    compiled = statement.compile(dialect=connection.dialect)
    text, order = str(compiled), compiled.positiontup

    def execute(rows: list[Row]) -> None:
        if rows and order is not None:
            connection.exec_driver_sql(text, [tuple(row[name] for name in order) for row in rows])
        elif rows:
            connection.execute(statement, rows)

    return execute


def _synchroniser(connection: Connection) -> Callable[[bool], None]:
    """Return how to choose whether the next commit waits for the disk."""
    if connection.dialect.name != "sqlite":
        return lambda _must_sync: None
    mode = [False]

    def synchronise(must_sync: bool) -> None:
        if mode[0] != must_sync:
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if must_sync else 'NORMAL'}")
            connection.commit()
            mode[0] = must_sync

    return synchronise
