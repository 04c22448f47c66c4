"""Carry out accepted runs: so many at once, the others in the order they came.

Owns which runs of this process wait, go on or are being ended, and who hears of them. What is true of a run is in the
journal; this only makes it go on, and forgets it when it has ended. Everything here belongs to one event loop.
"""

import asyncio
import logging
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup

from agentflow.engine.run import failure_of
from agentflow.errors import (
    AgentflowError,
    AskError,
    PayloadError,
    RunBusyError,
    RunPausedError,
)
from agentflow.execution import journaled, new_run_id
from agentflow.interop.serving import refusals
from agentflow.interop.serving.accepted import Accepted, AcceptedRuns, digest
from agentflow.interop.serving.offers import Offer
from agentflow.interop.serving.refusals import Refusal
from agentflow.journal.events import Event
from agentflow.journal.records import RunRecord
from agentflow.resources import Resources
from agentflow.runner import Runner

THREADS = 8
MOST_PROBLEMS = 1000  # remembered of runs that could not even begin
CANCEL_WAIT_S = 10.0  # what a client that cancels waits for the run to have ended

T = TypeVar("T")
Hear = Callable[[Event | None], None]
_log = logging.getLogger("agentflow.serve-flow")


@dataclass(eq=False, kw_only=True)
class Job:
    """A run on its way; `record` and `arguments` are those of one that has not begun in another process."""

    run: str
    offer: Offer
    labels: dict[str, str]
    record: RunRecord | None = None
    arguments: dict[str, Any] | None = None
    state: str = "queued"
    is_cancelled: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)


class Carrier:
    """The runs of this process.

    Args:
        runs: What is accepted.
        offers: The flows by the names of their offers.
        journal: Where the runs are written.
        most_running: Runs that go on at once.
        most_waiting: Runs that may wait; a client that asks for one more is told to come back.
    """

    def __init__(
        self,
        runs: AcceptedRuns,
        offers: Mapping[str, Offer],
        *,
        journal: str | None,
        most_running: int,
        most_waiting: int,
    ) -> None:
        self.runs, self.offers, self._journal = runs, offers, journal
        self._most_running, self._most_waiting = most_running, most_waiting
        self.is_draining = False
        self.problems: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._hearing: dict[str, set[Hear]] = {}
        self._accepting = anyio.Lock()
        self._threads = CapacityLimiter(THREADS)
        self._group: TaskGroup | None = None
        self._resources = Resources()
        self._idle = anyio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Carry out runs until the block ends; what then still goes on is interrupted."""
        async with self._resources, anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                self.is_draining = True
                for job in self._running:
                    job.scope.cancel()

    async def read(self, work: Callable[[], T]) -> T:
        """Return what a look into the journal gives, from a thread."""
        return await to_thread.run_sync(work, limiter=self._threads)

    @property
    def counts(self) -> dict[str, int]:
        """How many runs go on and wait."""
        return {"running": len(self._running), "waiting": len(self._waiting)}

    def job(self, run: str) -> Job | None:
        """Return a run that waits or goes on in this process."""
        return self._jobs.get(run)

    def states(self) -> dict[str, str]:
        """Return how the runs of this process stand; look before the journal, where they end."""
        return {run: job.state for run, job in self._jobs.items()}

    def known(self, name: str, field: str) -> Offer:
        """Return the offer of that name.

        Raises:
            Refusal: There is none.
        """
        found = self.offers.get(name)
        if found is None:
            raise refusals.unknown_flow(name, list(self.offers), field)
        return found

    async def found(self, run: str) -> Accepted:
        """Return a run of this server.

        Raises:
            Refusal: There is none.
        """
        found = await self.read(partial(self.runs.find, run))
        if found is None:
            raise refusals.unknown_run()
        return found

    async def accept(
        self, offer: Offer, arguments: dict[str, Any], key: str | None
    ) -> tuple[str, bool]:
        """Take a run on; return its id, and whether it is a new one.

        Raises:
            Refusal: No more are taken now, or the key stands for another request.
        """
        if key is None:
            self._check_room()
        try:
            request = digest(offer.name, offer.flow.signature.write_input(arguments))
        except PayloadError as error:
            raise refusals.wrong_input(error, "input") from error
        run = new_run_id() if key is None else self.runs.id_of(key)
        with anyio.CancelScope(shield=True):
            async with self._accepting:
                found = None if key is None else await self.read(partial(self.runs.find, run))
                if found is not None and found.request != request:
                    raise refusals.key_reused()
                if found is not None:
                    return run, False
                self._check_room()
                labels = self.runs.labels(offer.name, request)
                job = Job(run=run, offer=offer, labels=labels, arguments=arguments)
                settings = self._runner(job)
                accept = partial(self.runs.accept, run, settings, offer.flow, arguments)
                job.record = await self.read(accept)
                self._enqueue(job)
        return run, True

    def go_on(self, unfinished: Sequence[Accepted]) -> int:
        """Take up runs that an earlier process has left; return how many."""
        count = 0
        for run in unfinished:
            if run.offer not in self.offers:
                _log.warning("run %s is of flow %s, which is not served now", run.id, run.offer)
            elif run.id not in self._jobs:
                self._take_up(run)
                count += 1
        return count

    async def cancel(self, run: str) -> None:
        """End a run for good; return when it has ended, or after a while.

        Raises:
            Refusal: It has ended already.
        """
        found = await self.found(run)
        if found.status == "cancelled":
            return
        if self.job(run) is None and found.status == "running" and found.is_elsewhere:
            message = "another process carries the run out; it can be cancelled there alone"
            raise Refusal(409, message, code="run_elsewhere", is_final=True)
        if self.job(run) is None and found.status in ("succeeded", "failed"):
            message = f"the run has {found.status} already"
            raise Refusal(409, message, code="run_ended", is_final=True)
        with anyio.CancelScope(shield=True):
            await self.read(partial(self.runs.mark_cancelled, run))
            job = self.job(run)
            if job is None:
                self.tell(run, None)
            elif job in self._waiting:
                await self._drop(job)
            else:
                job.is_cancelled = True
                job.scope.cancel()
                with anyio.move_on_after(CANCEL_WAIT_S):
                    await job.done.wait()

    async def answer(self, run: str, answer: Any, step: int | None) -> int:
        """Leave a person's answer and have the run go on; return the step that asked.

        Raises:
            Refusal: The run asks nothing, or something else.
        """
        found = await self.found(run)
        if found.status == "cancelled":
            raise Refusal(409, "the run was cancelled", code="run_ended", is_final=True)
        try:
            question = await self.read(partial(self.runs.question, found, step))
        except AskError as error:
            raise Refusal(409, error.problem, code="no_such_question", field="step") from error
        try:
            await self.read(partial(self.runs.answer, found, question, answer))
        except AskError as error:
            raise refusals.bad("answer", error.problem, "unfit_answer") from error
        await self._go_on_if_answered(run)
        return question.number

    @contextmanager
    def hearing(self, run: str, hear: Hear) -> Iterator[None]:
        """Have `hear` called with every event of a run in this process; None says that it has another state."""
        self._hearing.setdefault(run, set()).add(hear)
        try:
            yield
        finally:
            left = self._hearing[run]
            left.discard(hear)
            if not left:
                del self._hearing[run]

    def tell(self, run: str, event: Event | None) -> None:
        """Tell whoever hears of a run."""
        for hear in list(self._hearing.get(run, ())):
            hear(event)

    async def drain(self, seconds: float) -> bool:
        """Take and begin no more runs; return whether those that went on have ended in time."""
        self.is_draining = True
        self.wake()
        if not self._running:
            return True
        with anyio.move_on_after(seconds):
            await self._idle.wait()
        return not self._running

    async def interrupt(self, seconds: float) -> bool:
        """Stop what goes on, for another process to go on with; return whether it has stopped in time."""
        for job in self._running:
            job.scope.cancel()
        return await self.drain(seconds)

    def wake(self) -> None:
        """Have whoever hears of a run look how it stands."""
        for run in list(self._hearing):
            self.tell(run, None)

    def _check_room(self) -> None:
        if self.is_draining:
            raise refusals.stopping()
        if len(self._running) + len(self._waiting) >= self._most_running + self._most_waiting:
            raise refusals.full()

    def _take_up(self, run: Accepted) -> None:
        labels = self.runs.labels(run.offer, run.request)
        self._enqueue(Job(run=run.id, offer=self.offers[run.offer], labels=labels))

    def _enqueue(self, job: Job) -> None:
        self._jobs[job.run] = job
        self._waiting.append(job)
        self._begin_next()

    def _begin_next(self) -> None:
        assert self._group is not None
        while self._waiting and len(self._running) < self._most_running and not self.is_draining:
            job = self._waiting.popleft()
            job.state = "running"
            self._running.add(job)
            self._group.start_soon(self._carry_out, job)

    async def _carry_out(self, job: Job) -> None:
        try:
            with job.scope:
                await self._run(job)
        except asyncio.CancelledError as error:
            if _is_ending():
                raise
            # What cannot be stopped half-way cancels its task anew, which no scope knows as its own.
            _uncancel()
            if not job.scope.cancel_called:  # the flow's own doing: it ends nobody else
                self._note(job.run, error)
        finally:
            self._running.discard(job)
            self._ended(job)
            if not self._running and self.is_draining:
                self._idle.set()
            self._begin_next()
        if not job.scope.cancel_called and not self.is_draining:
            try:
                await self._go_on_if_answered(job.run)
            except AgentflowError as error:  # the journal: whoever asks next hears of it
                self._note(job.run, error)

    async def _run(self, job: Job) -> None:
        """Carry out one run; how it ended is in the journal, or among the problems."""
        runner, flow = self._runner(job), job.offer.flow
        try:
            if job.arguments is None:
                await runner.resume(flow, job.run)
            else:
                await journaled(runner, flow, job.arguments, job.run, earlier=job.record)
        except RunPausedError:
            return
        except RunBusyError:
            _log.warning("run %s goes on in another process", job.run)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge
            # No run ends the server; Ctrl-C does not come this way, but by the receiver of signals.
            self._note(job.run, error)

    def _note(self, run: str, error: BaseException) -> None:
        """Keep what may not be in the journal: why a run did not even begin."""
        self.problems[run] = refusals.told(failure_of(error), run)
        if len(self.problems) > MOST_PROBLEMS:
            self.problems.popitem(last=False)
        kind = type(error).__name__
        _log.warning("run %s: %s", run, error if isinstance(error, AgentflowError) else kind)

    def _ended(self, job: Job) -> None:
        self._jobs.pop(job.run, None)
        job.state = "ended"
        job.done.set()
        self.tell(job.run, None)

    async def _drop(self, job: Job) -> None:
        """End a run that has not begun here."""
        self._waiting.remove(job)
        try:
            record = job.record
            if record is None:
                found = await self.found(job.run)
                record = await self.read(partial(self.runs.record, found))
            await self.read(partial(self.runs.end, record))
        finally:
            self._ended(job)

    async def _go_on_if_answered(self, run: str) -> None:
        found = await self.read(partial(self.runs.find, run))
        if found is None or found.status != "paused" or run in self._jobs:
            return
        is_answered = await self.read(partial(self.runs.is_answered, found))
        if is_answered and run not in self._jobs and not self.is_draining:
            self._take_up(found)

    def _runner(self, job: Job) -> Runner:
        offer = job.offer
        return Runner(
            model=offer.model,
            tools=offer.tools,
            budget=offer.budget,
            journal=self._journal,
            on_event=partial(self.tell, job.run),
            redact=offer.redact,
            cache_models=offer.cache_models,
            labels=job.labels,
            resources=self._resources,
        )


def _is_ending() -> bool:
    """Return whether whatever is around the current task is being cancelled."""
    return anyio.current_effective_deadline() == -math.inf


def _uncancel() -> None:
    """Take back every cancellation of the current task, which goes on."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
