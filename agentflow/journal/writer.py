"""Commit events in groups.

Owns the queue between a run and its journal (invariant 2). `append` never blocks; whatever queues up
during one turn of the event loop shares one commit, so parallel steps share the cost of one; `durable`
waits for the commit that covers everything appended so far. A group that holds an event to be kept
is synchronised to disk, and with it all before it; the others survive a killed process but not a
power cut. Nothing is dropped: when the store fails, every later wait raises, and the run stops.

A commit that takes less than a hand-over to a thread is worth (a local SQLite file) happens in the
event loop; where commits are slow, or the file is locked, they happen in a worker thread.
"""

import asyncio
import time
from collections import deque

from agentflow.cancelling import settled
from agentflow.errors import JournalError
from agentflow.journal.commits import Committer, LockedError
from agentflow.journal.events import Stored
from agentflow.journal.lease import RENEW_S, Lease
from agentflow.journal.store import Store
from agentflow.journal.summary import Summary

MAX_QUEUED = 10_000
EARLY_GROUP = 256
TRAIL_S = 0.05  # how far the record of what nobody waits for may trail behind
SLOW_S = 0.003  # a commit that takes longer than this on average does not happen in the event loop


class JournalWriter:
    """The sink of one run; use it inside the event loop that it was made in.

    Raises:
        JournalError: The store cannot be written.
    """

    def __init__(self, store: Store, lease: Lease, summary: Summary | None = None) -> None:
        self._store, self._lease = store, lease
        self._loop = asyncio.get_running_loop()
        self._queue: list[Stored] = []
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._appended = self._committed = self._sync_to = 0
        self._commit_s = 0.0 if store.is_sqlite else 2 * SLOW_S  # on average, of late
        self._is_flushing_soon = False
        self._job: asyncio.Future[None] | None = None
        self._error: JournalError | None = None
        with store.errors():
            self._committer = Committer(store, lease, summary or Summary())
        lease.hold()
        self._trailing: asyncio.TimerHandle | None = None
        self._renewing = self._loop.call_later(RENEW_S, self._renew)

    def append(self, event: Stored, *, keep: bool = False) -> None:
        """Queue one event; `keep` has its commit survive a power cut.

        Raises:
            JournalError: The store failed earlier; going on would lose what follows.
        """
        if self._error is not None:
            raise self._error
        self._appended += 1
        if keep:
            self._sync_to = self._appended
        self._queue.append(event)
        if len(self._queue) == EARLY_GROUP:
            self._flush()
        elif self._trailing is None:
            self._trailing = self._loop.call_later(TRAIL_S, self._flush)

    async def durable(self) -> None:
        """Return when everything appended so far is committed.

        Raises:
            JournalError: The store failed.
        """
        if self._committed < self._appended:
            await self._wait_committed(self._appended)
        if self._error is not None:
            raise self._error

    async def room(self) -> None:
        """Return when fewer than `MAX_QUEUED` events wait."""
        if self._appended - self._committed > MAX_QUEUED:
            await self._wait_committed(self._appended - MAX_QUEUED // 2)

    async def aclose(self) -> None:
        """Commit the rest and release the run, for others to go on with.

        Raises:
            JournalError: The store failed.
        """
        try:
            while self._error is None and self._committed < self._appended:
                await self._unhurt(self._appended)
        finally:
            self._renewing.cancel()
            if self._trailing is not None:
                self._trailing.cancel()
            if self._job is not None:  # a renewal under way in its thread, with the same cursor
                await settled(self._job)
            self._lease.let_go()
            with self._store.errors():
                self._committer.close(release=self._error is None)
        if self._error is not None:
            raise self._error

    async def _unhurt(self, number: int) -> None:
        """Wait although the caller is being cancelled: the record is finished in any case."""
        cancelled: asyncio.CancelledError | None = None
        while self._committed < number and self._error is None:
            try:
                await self._wait_committed(number)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _wait_committed(self, number: int) -> None:
        if self._error is not None:
            return
        future = self._loop.create_future()
        self._waiters.append((number, future))
        if not self._is_flushing_soon:  # once everything that can run now has added its events
            self._is_flushing_soon = True
            self._loop.call_soon(self._flush)
        await future

    def _renew(self) -> None:
        self._renewing = self._loop.call_later(RENEW_S, self._renew)
        self._flush()

    def _flush(self) -> None:
        """Commit what has queued up; runs in the event loop."""
        self._is_flushing_soon = False
        if self._trailing is not None:
            self._trailing.cancel()
            self._trailing = None
        if self._job is not None or self._error is not None:
            return  # what is queued follows when the job is done
        batch, self._queue = self._queue, []
        if not batch and not self._committer.is_renewal_due:
            self._release()
            return
        must_sync = self._sync_to > self._committed
        if self._commit_s > SLOW_S or not self._commit_here(batch, must_sync=must_sync):
            self._commit_in_thread(batch, must_sync=must_sync)

    def _commit_here(self, batch: list[Stored], *, must_sync: bool) -> bool:
        """Commit in the event loop; return False if the file is locked, so that would take a while."""
        try:
            self._commit(batch, must_sync, wait=False)
        except LockedError:
            return False
        self._release()
        return True

    def _commit_in_thread(self, batch: list[Stored], *, must_sync: bool) -> None:
        try:
            self._job = self._loop.run_in_executor(None, self._commit, batch, must_sync)
        except Exception as error:  # noqa: BLE001 - no thread to be had: whoever waits must hear of it
            self._fail(error)
            self._release()
        else:
            self._job.add_done_callback(lambda _job: self._commit_done())

    def _commit_done(self) -> None:
        self._job = None
        self._release()
        if self._queue:
            self._flush()

    def _release(self) -> None:
        """Let those go on whose events are committed."""
        waiters, failed = self._waiters, self._error is not None
        while waiters and (failed or waiters[0][0] <= self._committed):
            _number, future = waiters.popleft()
            if not future.done():
                future.set_result(None)

    def _commit(self, batch: list[Stored], must_sync: bool, wait: bool = True) -> None:
        began = time.perf_counter()
        try:
            with self._store.errors():
                self._committer.commit(batch, must_sync=must_sync, wait=wait)
            self._committed += len(batch)
        except LockedError:
            raise
        except JournalError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - nobody awaits a commit: whoever waits must hear of it
            self._fail(error)
        self._commit_s += (time.perf_counter() - began - self._commit_s) / 8

    def _fail(self, error: Exception) -> None:
        problem = f"cannot write an event: {error!r}"
        self._error = JournalError(store=self._store.name, problem=problem)
