"""Run flows: the way in for programs and for the command line.

Owns what can be done with a flow and with a recorded run; `execution.py` does it. A runner may be kept,
shared and used from any event loop.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from agentflow.budget import Budget
from agentflow.changes import check_code
from agentflow.errors import RunPausedError, UnknownRunError
from agentflow.execution import (
    RunResult,
    active_run,
    journaled,
    kept,
    launched,
    new_run_id,
    recorded_model,
)
from agentflow.flows import Flow
from agentflow.forks import (
    Change,
    ForkPlan,
    fork_point,
    fork_settings,
    plan_of,
    root_arguments,
)
from agentflow.journal.events import Event
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.replay import Replay
from agentflow.journal.reuse import Edits, ForkPoint, Reuse
from agentflow.settings import RunSettings

__all__ = ["RunResult", "Runner", "new_run_id"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Runner(RunSettings):
    """The settings under which flows run.

    `model` is a specification such as `openai:gpt-5-mini`, None picks what the user has; an open
    `Model` may be lent instead. `journal` is a path, a database URL or `:memory:`; None is the
    user's default journal. `ask` answers questions to a person; without it, a run that can do no more
    until a person has answered waits `answer_wait_s` and then pauses. `on_event` hears every event.
    `redact` are regular expressions of what must never be written. `cache_models` lets model calls
    take over the answers of other runs in the same journal. `labels` are written with the run, to find it
    by. Several runs may share `resources`, and draw their tokens and dollars from one account `within`.
    `on` is where sandboxed work and remote tools are carried out: `ray`, or `ray://HOST:PORT`.
    """

    def run(self, flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> RunResult[T]:
        """Run `flow` to its end, from code that is not async.

        Raises:
            InputError: The arguments do not fit; nothing was recorded.
            RunPausedError: Nothing can go on until a person has answered.
            Exception: What the flow raised; the run is in the journal.
        """
        return anyio.run(lambda: self.run_async(flow, *args, **kwargs))

    async def run_async(
        self, flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> RunResult[T]:
        """Run `flow` to its end; see `run`."""
        return await self.run_as(new_run_id(), flow, *args, **kwargs)

    async def run_as(
        self, run: str, flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> RunResult[T]:
        """Run `flow` under a run id of the caller's choice; see `run`.

        Raises:
            JournalError: The id is taken.
        """
        arguments = flow.signature.bind(args, dict(kwargs))
        return await journaled(self, flow, arguments, run)

    @asynccontextmanager
    async def stream(
        self, flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[MemoryObjectReceiveStream[Event]]:
        """Run `flow` and give its events as they happen; leaving the block early cancels the run.

        The stream ends with `RunFinished`; a failure of the flow is raised when the block ends.
        """
        send, receive = anyio.create_memory_object_stream[Event](float("inf"))
        heard = self.on_event

        def hear(event: Event) -> None:
            send.send_nowait(event)
            if heard is not None:
                heard(event)

        arguments = flow.signature.bind(args, dict(kwargs))
        errors: list[Exception] = []

        async def work() -> None:
            with send:
                try:
                    await journaled(self, flow, arguments, new_run_id(), hear=hear)
                except Exception as error:  # noqa: BLE001 - raised below, without a group around it
                    errors.append(error)

        with receive:
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                try:
                    yield receive
                except Exception as error:  # noqa: BLE001 - the caller's own, raised below
                    errors.insert(0, error)
                group.cancel_scope.cancel()
        if errors:
            raise errors[0]

    async def resume(
        self, flow: Flow[P, T], run: str, *, accept_changes: bool = False
    ) -> RunResult[T]:
        """Go on with a run that did not finish: finished steps are not repeated.

        Args:
            flow: The run's root flow.
            run: Its id, the beginning of it, or `last`.
            accept_changes: Go on although code or inputs have changed: what changed runs again with
                the new code, what is finished and did not change is kept.

        Raises:
            UnknownRunError: There is no such run.
            RunBusyError: Somebody is writing it.
            CodeChangedError, DriftError: The code or its inputs have changed since.
        """
        record = self._recorded(run)
        if not accept_changes:
            check_code(record)
        arguments = flow.signature.read_input(record.input)
        source = Reuse(record, accept=accept_changes, base=self._forked_from(record))
        return await journaled(self, flow, arguments, record.id, earlier=record, source=source)

    async def fork(
        self,
        flow: Flow[P, T],
        run: str,
        *,
        at: int | str,
        change: Change | None = None,
        new_run: str | None = None,
    ) -> RunResult[T]:
        """Start a new run that takes over from `run` all that `change` at step `at` does not touch.

        The step runs anew, or gets the output given; without a change, everything below it runs anew
        as well. The flows above it run again; every other step is taken over if its input is still the
        same, also below.

        Raises:
            UnknownRunError: There is no such run.
            ForkError: There is no such step, or it cannot be changed like that.
        """
        record = self._recorded(run)
        point, edits = fork_point(record, at, change or Change())
        source = self._off(record, point, edits)
        arguments = root_arguments(flow, record, point, edits)
        origin = fork_settings(record, point, edits)
        name = new_run or new_run_id()
        return await journaled(self, flow, arguments, name, source=source, origin=origin)

    async def plan_fork(
        self, flow: Flow[P, T], run: str, *, at: int | str, change: Change | None = None
    ) -> ForkPlan:
        """Find out what `fork` would do, without a call of a model, a tool or a person.

        Raises:
            UnknownRunError, ForkError: See `fork`.
        """
        record = self._recorded(run)
        point, edits = fork_point(record, at, change or Change())
        source = self._off(record, point, edits, is_dry=True)
        active = active_run(self, record.id, source, Budget(), None)
        active.services.default_model = recorded_model(record)
        try:
            await launched(self, active, flow, root_arguments(flow, record, point, edits))
        except RunPausedError:
            pass  # it came to what it would have to do
        except Exception as error:  # noqa: BLE001 - a failure of the flow belongs to the plan
            return plan_of(record, point, edits, source, failure=str(error))
        return plan_of(record, point, edits, source)

    async def replay(self, flow: Flow[P, T], run: str) -> RunResult[T]:
        """Run `flow` again from the record of a run alone: no model, tool or network call.

        Raises:
            UnknownRunError: There is no such run.
            MissingStepError, DriftError: The record does not answer what the flow asks.
            Exception: What the run raised, if it failed.
        """
        record = self._recorded(run)
        active = active_run(self, record.id, Replay(record), Budget(), self.on_event)
        load = kept(active)
        active.last_step = max(record.steps, default=0)  # for steps that the record does not know
        if model := recorded_model(record):  # a planner may act by the kind of model
            active.services.default_model = model
        arguments = flow.signature.read_input(record.input)
        output = await launched(self, active, flow, arguments)
        return RunResult(id=record.id, output=output, load=load)

    def _recorded(self, run: str) -> RunRecord:
        with Journal(self.journal) as journal:
            record = journal.run(run)
        if not record.last_event:
            problem = (
                f"run {record.id} was stopped before anything of it was written; start it again"
            )
            raise UnknownRunError(store=str(self.journal or "default"), problem=problem)
        return record

    def _off(
        self, record: RunRecord, point: StepRecord, edits: Edits, *, is_dry: bool = False
    ) -> Reuse:
        fork = ForkPoint(point.key, edits, ForkPoint.of(record))
        base = self._forked_from(record)
        return Reuse(record, accept=True, fork=fork, base=base, is_dry=is_dry)

    def _forked_from(self, record: RunRecord) -> Reuse | None:
        """Return the parent of a run that is a fork, for a resume to take over from as it did."""
        point = ForkPoint.of(record)
        if point is None or record.parent is None:
            return None
        try:
            parent = self._recorded(record.parent)
        except UnknownRunError:  # pruned since; what the fork itself holds is enough to go on
            return None
        return Reuse(parent, accept=True, fork=point, base=self._forked_from(parent))
