"""Carry out one run: open what it needs, launch its root flow, close it all again.

Owns the order of that. Settings are checked before anything is opened; whatever happens, the record is
finished and the run released before the caller hears of it.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Generic, ParamSpec, TypeVar, cast

import anyio.to_thread

from agentflow.budget import Budget
from agentflow.cancelling import uncancelled
from agentflow.engine.idle import Idleness
from agentflow.engine.launch import launch
from agentflow.engine.ledger import Ledger
from agentflow.engine.run import ActiveRun, Source
from agentflow.flows import Flow
from agentflow.journal.events import Event
from agentflow.journal.journal import Journal
from agentflow.journal.lease import Lease
from agentflow.journal.nowhere import NullSink
from agentflow.journal.outside import StoreOutside
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store
from agentflow.journal.summary import Summary
from agentflow.journal.writer import JournalWriter
from agentflow.models.protocol import ModelSpec, Usage
from agentflow.redaction import Redactor
from agentflow.services import LiveServices
from agentflow.settings import Hear, RunSettings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunResult(Generic[T]):
    """How a run ended well. `record` is read when it is first asked for: see `load`."""

    id: str
    output: T
    load: Callable[[], RunRecord] = field(repr=False)

    @cached_property
    def record(self) -> RunRecord:
        """The tree of steps; where a run was resumed, also what was recorded before.

        Raises:
            JournalError: The journal is not there any more.
        """
        return self.load()

    @property
    def usage(self) -> Usage:
        """Tokens of the whole run."""
        return self.record.usage

    @property
    def cost_usd(self) -> float | None:
        """US dollars of the whole run; None when a part of it has no known price."""
        return self.record.cost_usd


def new_run_id() -> str:
    """Return a run id that sorts by time: seconds in hex, then five random bytes."""
    return f"{int(time.time()):08x}{secrets.token_hex(5)}"


async def journaled(
    settings: RunSettings,
    flow: Flow[P, T],
    arguments: dict[str, Any],
    run: str,
    *,
    earlier: RunRecord | None = None,
    source: Source | None = None,
    origin: dict[str, Any] | None = None,
    hear: Hear | None = None,
) -> RunResult[T]:
    """Run `flow` and record it.

    Args:
        settings: What it runs under.
        flow: The root flow.
        arguments: Its validated arguments.
        run: The id of the run.
        earlier: What is recorded of the run already, when it goes on.
        source: Where results may be taken from.
        origin: What a fork records about where it comes from.
        hear: Hears every event, instead of the settings' own listener.
    """
    active = active_run(settings, run, source, settings.budget, hear or settings.on_event)
    if earlier is not None:
        active.go_on_after(earlier.last_event, max(earlier.steps, default=0))
        active.ledger.carry_over(earlier.usage, earlier.cost_usd)
        if active.services.default_model is None:  # what was found then may not be found again
            active.services.default_model = recorded_model(earlier)
    # In a thread: a locked file may keep it waiting.
    opening = anyio.to_thread.run_sync(_claimed, settings, run, earlier is None)
    store, lease = await uncancelled(opening)
    load = partial(_read_back, settings, run) if store.is_lasting else kept(active)
    try:
        writer = JournalWriter(store, lease, None if earlier is None else Summary.of(earlier))
        active.sink = writer
        active.outside = StoreOutside(store, lease.run) if store.is_lasting else None
        try:
            output = await launched(settings, active, flow, arguments, origin)
        finally:
            await writer.aclose()
    finally:
        store.close()
    return RunResult(id=run, output=output, load=load)


def recorded_model(record: RunRecord) -> ModelSpec | None:
    """Return the model that a run was given, or that was found for it."""
    model = record.settings.get("model")
    return ModelSpec(**model) if model else None


def kept(active: ActiveRun) -> Callable[[], RunRecord]:
    """Keep the events of a run whose journal does not outlive it; return how to read them."""
    events: list[Event] = []
    active.listeners.append(events.append)
    return lambda: RunRecord.of(active.id, events)


def _read_back(settings: RunSettings, run: str) -> RunRecord:
    with Journal(settings.journal) as journal:
        return journal.run(run)


def _claimed(settings: RunSettings, run: str, is_new: bool) -> tuple[Store, Lease]:
    store = Store(settings.journal)
    try:
        return store, store.new_run(run) if is_new else store.claim_run(run)
    except BaseException:
        store.close()
        raise


async def launched(
    settings: RunSettings,
    active: ActiveRun,
    flow: Flow[P, T],
    arguments: dict[str, Any],
    origin: dict[str, Any] | None = None,
) -> T:
    """Launch `flow` as the root of `active`, and close what the run has opened."""
    args, kwargs = flow.signature.split(arguments)
    root = cast("Flow[..., T]", flow)
    try:
        return await launch(
            active,
            lambda: root(*args, **kwargs),
            flow=flow.name,
            target=flow.target,
            input_json=flow.signature.write_input(arguments),
            write=flow.signature.write_output,
            settings=settings.recorded(active) | ({"fork": origin} if origin else {}),
        )
    finally:
        await cast("LiveServices", active.services).aclose()


def active_run(
    settings: RunSettings, run: str, source: Source | None, budget: Budget, hear: Hear | None
) -> ActiveRun:
    """Return a run that writes its events nowhere until it is given another sink.

    Raises:
        ModelError, RedactionError: A setting is wrong.
    """
    return ActiveRun(
        id=run,
        ledger=Ledger(budget, within=settings.within),
        sink=NullSink(),
        services=settings.services(),
        source=source,
        durability=settings.durability,
        redactor=Redactor(settings.redact),
        idleness=Idleness(settings.answer_wait_s),
        cache_models=settings.cache_models,
        listeners=[] if hear is None else [hear],
    )
