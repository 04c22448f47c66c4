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
from agentflow.journal.replay import Recorded
from agentflow.models.protocol import Model, ModelSpec
from agentflow.sandbox.protocol import ProgramSandbox

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


class Source(Protocol):
    """Recorded results that a run may be answered from; `journal/replay.py` is the one there is."""

    async def take(self, key: bytes, label: str, input_json: bytes) -> Recorded | None:
        """Return what was recorded for a step, None when it has to run; raise a recorded failure."""
        ...

    def verify(self, key: bytes, label: str, output: bytes) -> None:
        """Compare the output of a step that ran again with the recorded one."""
        ...

    def number_of(self, key: bytes) -> int | None:
        """Return the number under which a replayed step was recorded."""
        ...


class Step:
    """One step under way. `details` is what its body wants recorded with the result."""

    __slots__ = (
        "_claimed",
        "children",
        "depth",
        "details",
        "key",
        "kind",
        "name",
        "number",
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
        self.children = 0
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

    def __str__(self) -> str:
        return f"step {self.number} ({self.name})"


@dataclass(kw_only=True)
class ActiveRun:
    """The state that all steps of one run share."""

    id: str
    ledger: Ledger
    sink: Sink
    services: Services
    source: Source | None = None
    durability: Durability = "results"
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    clock: Callable[[], float] = time.time
    last_event: int = 0
    last_step: int = 0
    _choosing: anyio.Lock = field(default_factory=anyio.Lock)

    def emit(self, event_type: type[Happening], /, *, keep: bool = False, **fields: Any) -> None:
        """Number, stamp and record one event, then tell the listeners; `keep`: see `Sink.append`."""
        self.last_event += 1
        event: Any = event_type(number=self.last_event, at=self.clock(), **fields)
        self.sink.append(event, keep=keep)
        for listener in self.listeners:
            listener(event)

    def stream_text(self, step: Step, text: str) -> None:
        """Tell the listeners about a piece of a model's text; nothing is recorded."""
        event = TextStreamed(number=self.last_event, at=self.clock(), step=step.number, text=text)
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
