"""A run while it is alive: its tree of steps, its budget, and everything its steps may use.

Owns the numbering of steps and events. Knows the journal only as a `Sink`, and models, tools and
the sandbox only through `Services`. One `ActiveRun` belongs to one event loop.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import anyio

from agentflow.engine.idle import Idleness
from agentflow.engine.ledger import Ledger
from agentflow.errors import AgentflowError
from agentflow.journal.events import (
    Event,
    Failure,
    Happening,
    Noted,
    StepKind,
    Stored,
    TextStreamed,
)
from agentflow.journal.reuse import Asked, Edits, Recorded
from agentflow.models.protocol import Model, ModelSpec
from agentflow.placement import Placement
from agentflow.redaction import Redactor
from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.protocol import Workers

Durability = Literal["results", "behind"]
MAX_TRACE_CHARS = 20_000


class Sink(Protocol):
    """Where events go. `append` never blocks; an error of the store surfaces in the waiting calls."""

    def append(self, event: Stored, *, keep: bool = False) -> None:
        """Queue one event, in order; `keep` has its commit survive a power cut."""
        ...

    async def durable(self) -> None:
        """Return when everything appended so far is committed."""
        ...

    async def room(self) -> None:
        """Return when the queue is short enough to take more."""
        ...


class Services(Protocol):
    """What the steps of a run may reach; opened on first use, closed when the run ends."""

    default_model: ModelSpec | None
    tools: Mapping[str, Any]
    ask: Callable[[Any], Any] | None
    environments: dict[bytes, dict[str, Any]]  # the opened ones, by episode and name

    async def choose_model(self) -> tuple[ModelSpec, str]:
        """Pick the run's default model from what the user has; return it and the reason."""
        ...

    def model(self, spec: ModelSpec) -> Model:
        """Return the open model of that specification."""
        ...

    def permit(self, model: Model) -> Any:
        """Return an async context manager held around one attempt of `model`."""
        ...

    async def sandbox(self) -> ProgramSandbox:
        """Return the sandbox for plan code."""
        ...

    async def workers(self) -> Workers:
        """Return the confined workers for generated functions."""
        ...

    def placement(self) -> Placement | None:
        """Return where remote tools are called; None for here."""
        ...

    def at_end(self, close: Callable[[], None]) -> None:
        """Call `close` when the run ends."""
        ...


class Source(Protocol):
    """Recorded results that a run may be answered from: see `journal/reuse.py` and `replay.py`."""

    is_dry: bool

    async def take(self, asked: Asked) -> Recorded | None:
        """Return what was recorded for a step, None when it has to run; raise a recorded failure."""
        ...

    def edits(self, key: bytes, parent: bytes) -> Edits | None:
        """Return what the user changed about a step; None for nothing."""
        ...

    def verify(self, key: bytes, label: str, output: bytes) -> None:
        """Compare the output of a step that ran again with the recorded one."""
        ...

    def number_of(self, key: bytes) -> int | None:
        """Return the number under which a replayed step was recorded."""
        ...

    def check_code(self, target: str, code: str) -> str | None:
        """Return a remark when the code of a flow is not the recorded one and that is accepted."""
        ...

    def actions_taken(self, environment: str, start: int) -> list[tuple[str, bytes, bytes | None]]:
        """Return name, input and output of an environment's actions that were taken over."""
        ...

    def first_asked(self, key: bytes) -> float | None:
        """Return when a step first began (Unix seconds); None if it never did."""
        ...


class Outside(Protocol):
    """What other processes and runs have left in the store for this run."""

    def answer_to(self, key: bytes) -> bytes | None:
        """Return the answer a person left for the question asked by a step."""
        ...

    def cached(self, fingerprint: bytes) -> Recorded | None:
        """Return the result of a step of another run that had the same fingerprint."""
        ...


class Step:
    """One step under way. `details` is what its body wants recorded with the result."""

    __slots__ = (
        "_claimed",
        "children",
        "depth",
        "details",
        "has_effect",
        "key",
        "kind",
        "name",
        "number",
        "open_children",
        "parent",
    )

    def __init__(
        self,
        *,
        number: int,
        key: bytes,
        parent: "Step | None",
        name: str,
        kind: StepKind,
        depth: int,
    ) -> None:
        self.number, self.key, self.parent = number, key, parent
        self.name, self.kind, self.depth = name, kind, depth
        self.children = self.open_children = 0
        self.has_effect = False
        self.details: dict[str, Any] = {}
        self._claimed: set[tuple[str, str]] | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether the step does the work itself instead of calling other steps."""
        return self.kind in ("model", "tool", "ask")

    def claim(self, name: str, key: str) -> None:
        """Take an explicit key for one child.

        Raises:
            ValueError: It is taken.
        """
        if self._claimed is None:
            self._claimed = set()
        if (name, key) in self._claimed:
            raise ValueError(
                f"{self.name} has two steps {name!r} with key {key!r}: keys are unique"
            )
        self._claimed.add((name, key))

    def mark_effect(self) -> None:
        """Say that this step, and so everything above it, changes something outside."""
        step: Step | None = self
        while step is not None and not step.has_effect:
            step.has_effect = True
            step = step.parent

    def __str__(self) -> str:
        return f"step {self.number} ({self.name})"


def now() -> float:
    """Return the time in Unix seconds, in whole microseconds: what the journal can keep."""
    return time.time_ns() // 1000 / 1_000_000


@dataclass(kw_only=True)
class ActiveRun:
    """The state that all steps of one run share."""

    id: str
    ledger: Ledger
    sink: Sink
    services: Services
    source: Source | None = None
    outside: Outside | None = None
    durability: Durability = "results"
    redactor: Redactor = field(default_factory=Redactor)
    cache_models: bool = False
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    clock: Callable[[], float] = now
    last_event: int = 0
    last_step: int = 0
    idleness: Idleness = field(default_factory=Idleness)
    _codes: set[tuple[str, str]] = field(default_factory=set)
    _choosing: anyio.Lock = field(default_factory=anyio.Lock)

    def go_on_after(self, event: int, step: int) -> None:
        """Number on from what is recorded of the run already."""
        self.last_event, self.last_step = event, step

    def next_event(self) -> int:
        """Return the number of the event that is made now."""
        self.last_event += 1
        return self.last_event

    def publish(self, event: Stored, *, keep: bool = False) -> None:
        """Record one event, then tell the listeners; `keep`: see `Sink.append`."""
        self.sink.append(event, keep=keep)
        for listener in self.listeners:
            listener(event)

    def emit(self, event_type: type[Happening], /, *, keep: bool = False, **fields: Any) -> None:
        """Number, stamp, redact and publish one event."""
        clean = {name: self.redactor.data(value) for name, value in fields.items()}
        made: Any = event_type(number=self.next_event(), at=self.clock(), **clean)
        self.publish(made, keep=keep)

    def stream_text(self, step: Step, text: str) -> None:
        """Tell the listeners about a piece of a model's text; nothing is recorded."""
        clean = self.redactor.text(text)
        event = TextStreamed(number=self.last_event, at=self.clock(), step=step.number, text=clean)
        for listener in self.listeners:
            listener(event)

    async def default_model(self) -> ModelSpec:
        """Return the run's model, picking one if the user left it open; the choice is recorded.

        Raises:
            ModelError: There is none.
        """
        async with self._choosing:
            if self.services.default_model is None:
                spec, reason = await self.services.choose_model()
                self.services.default_model = spec
                chosen = spec.model_dump(mode="json", exclude_defaults=True)
                self.emit(
                    Noted, step=None, text=f"model {spec}: {reason}", details={"model": chosen}
                )
            return self.services.default_model

    def number_step(self, key: bytes) -> int:
        """Return the number of a step that starts now: the next one, or on replay the recorded one.

        Steps of parallel branches may start in another order than in the recording.
        """
        recorded = None if self.source is None else self.source.number_of(key)
        if recorded is not None:
            return recorded
        self.last_step += 1
        return self.last_step

    def code_details(self, name: str, target: str, code: Callable[[], str]) -> dict[str, Any]:
        """Return what the first step of that name records about the code behind it.

        Raises:
            CodeChangedError: On resume, the code is not the recorded one.
        """
        if (name, target) in self._codes:
            return {}
        self._codes.add((name, target))
        now = code()
        if self.source is not None:
            remark = self.source.check_code(target, now)
            if remark:
                self.emit(Noted, step=None, text=remark)
        return {"code": [target, now]}


def failure_of(error: BaseException) -> Failure:
    """Return `error` as it is recorded."""
    facts = error.facts if isinstance(error, AgentflowError) else {}
    trace = "".join(traceback.format_exception(error))
    return Failure(
        name=type(error).__name__,
        message=str(error),
        facts=facts,
        trace=trace[-MAX_TRACE_CHARS:],
    )
