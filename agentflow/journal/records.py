"""What became of a run: its events folded into a tree of steps.

Owns the reading side of the journal. A `RunRecord` grows by `apply`, one event at a time, so the
same fold serves a finished run, a live one and any moment in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentflow.data import from_json
from agentflow.journal.events import (
    Event,
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    RunStatus,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepKind,
    StepStarted,
    TextStreamed,
)
from agentflow.models.protocol import Usage

StepStatus = Literal["running", "succeeded", "failed", "refused", "cancelled"]


@dataclass(kw_only=True)
class StepRecord:
    """One step as far as it is known. Times are Unix seconds, `cost_usd` None is an unknown price."""

    number: int
    key: bytes
    parent: int | None
    name: str
    kind: StepKind
    input: bytes
    started_at: float
    status: StepStatus = "running"
    ended_at: float | None = None
    output: bytes | None = None
    failure: Failure | None = None
    details: dict[str, Any] = field(default_factory=dict)
    expansions: list[Expanded] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    children: list["StepRecord"] = field(default_factory=list)
    finished_event: int = 0
    text: str = ""

    @property
    def usage(self) -> Usage:
        """Tokens of this step alone; none for a result that was taken over."""
        if "origin" in self.details:
            return Usage()
        return Usage(**self.details.get("usage", {}))

    @property
    def cost_usd(self) -> float | None:
        """Dollars of this step alone; 0 for a step that calls no model."""
        if self.kind != "model" or self.status != "succeeded" or "origin" in self.details:
            return 0.0
        cost: float | None = self.details.get("cost_usd")
        return cost

    @property
    def reuse(self) -> Usage | None:
        """Usage without what went ahead of the call; None where nothing is known to have been read before.

        Its `cached_tokens` of its `input_tokens` were not read again.
        """
        ahead = Usage(**(self.details.get("warm_up") or {}).get("usage", {}))
        usage = self.usage
        own = Usage(
            input_tokens=usage.input_tokens - ahead.input_tokens,
            output_tokens=usage.output_tokens - ahead.output_tokens,
            cached_tokens=usage.cached_tokens - ahead.cached_tokens,
        )
        return own if own.cached_tokens > 0 or "state" in self.details else None

    @property
    def total_usage(self) -> Usage:
        """Tokens of this step and everything below it."""
        return sum((step.usage for step in self.walk()), Usage())

    @property
    def total_cost_usd(self) -> float | None:
        """Dollars of this step and everything below it; None when a part has no known price."""
        costs = [step.cost_usd for step in self.walk()]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def origin(self) -> str:
        """Where the result was taken from, in words; empty for a step that did its work."""
        origin = self.details.get("origin")
        if not origin:
            return ""
        if "run" not in origin:
            return "given"
        where = f"step {origin['step']} of {origin['run']}"
        return f"cached from {where}" if origin.get("cache") else f"taken from {where}"

    @property
    def links(self) -> tuple[int, ...]:
        """Numbers of the sibling steps whose results this one took."""
        return tuple(self.details.get("links", ()))

    def walk(self) -> Iterator["StepRecord"]:
        """Yield this step and all below it, parents first."""
        pending = [self]
        while pending:
            step = pending.pop()
            yield step
            pending.extend(reversed(step.children))


@dataclass(kw_only=True)
class RunRecord:
    """One run as far as it is known; status None means that it has not ended.

    `events` are those it was folded from, where it was read from a journal.
    """

    id: str
    flow: str = ""
    target: str = ""
    input: bytes = b"{}"
    settings: dict[str, Any] = field(default_factory=dict)
    started_at: float = 0.0
    ended_at: float | None = None
    status: RunStatus | None = None
    output: bytes | None = None
    failure: Failure | None = None
    steps: dict[int, StepRecord] = field(default_factory=dict)
    last_event: int = 0
    events: Sequence[Event] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, run: str, events: Sequence[Event]) -> "RunRecord":
        """Return the fold of `events`."""
        record = cls(id=run, events=events)
        for event in events:
            record.apply(event)
        return record

    @property
    def parent(self) -> str | None:
        """The run that this one was forked from."""
        parent: str | None = (self.settings.get("fork") or {}).get("run")
        return parent

    @property
    def questions(self) -> list[StepRecord]:
        """The questions to a person that have no answer yet, in the order asked."""
        if self.status in ("succeeded", "failed"):
            return []
        last = {step.key: step for step in self.steps.values() if step.kind == "ask"}
        return [step for step in last.values() if step.status != "succeeded"]

    @property
    def root(self) -> StepRecord | None:
        """The step of the root flow; the newest one where a run was resumed."""
        roots = [step for step in self.steps.values() if step.parent is None]
        return roots[-1] if roots else None

    @property
    def usage(self) -> Usage:
        """Tokens of the whole run."""
        return sum((step.usage for step in self.steps.values()), Usage())

    @property
    def cost_usd(self) -> float | None:
        """Dollars of the whole run; None when a part has no known price."""
        costs = [step.cost_usd for step in self.steps.values()]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def seconds(self) -> float | None:
        """Wall time; None while it runs."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    def value(self) -> Any:
        """Return the output as plain data: models as dictionaries; None without an output."""
        return None if self.output is None else from_json(self.output)

    def apply(self, event: Event) -> None:
        """Take in one more event."""
        match event:
            case RunStarted():
                self._start(event)
            case StepStarted():
                self._start_step(event)
            case StepFinished() | StepFailed() | StepCancelled():
                self._end_step(event)
            case Expanded():
                self.steps[event.step].expansions.append(event)
            case Noted(step=None):
                self.settings |= event.details
            case Noted(step=int(number)):
                self.steps[number].notes.append(event)
            case TextStreamed():
                self.steps[event.step].text += event.text
            case RunFinished():
                self._finish(event)
        self.last_event = event.number

    def _start(self, event: RunStarted) -> None:
        self.flow, self.target, self.input = event.flow, event.target, event.input
        self.settings = event.settings
        self.started_at = self.started_at or event.at
        self.status, self.ended_at = None, None

    def _start_step(self, event: StepStarted) -> None:
        step = StepRecord(
            number=event.step,
            key=event.key,
            parent=event.parent,
            name=event.name,
            kind=event.kind,
            input=event.input,
            started_at=event.at,
            details=dict(event.details),
        )
        self.steps[event.step] = step
        if event.parent is not None:
            self.steps[event.parent].children.append(step)

    def _end_step(self, event: StepFinished | StepFailed | StepCancelled) -> None:
        step = self.steps[event.step]
        step.ended_at, step.finished_event = event.at, event.number
        match event:
            case StepFinished():
                step.status, step.output = "succeeded", event.output
            case StepFailed():
                step.status = "refused" if event.refused else "failed"
                step.failure = event.failure
            case StepCancelled():
                step.status = "cancelled"
                return
        step.details |= event.details

    def _finish(self, event: RunFinished) -> None:
        self.status, self.ended_at = event.status, event.at
        self.output, self.failure = event.output, event.failure
