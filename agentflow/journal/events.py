"""What can happen in a run, as values.

Owns the closed union `Event`. Events know no clock, database, flow or model, so the engine, the
store, replay and every viewer share them. `number` is dense within a run and is the cursor of
live readers; `step` numbers the steps in start order, a parent always before its children. Events
are values: nobody changes one. They are not frozen, because freezing triples the cost of making one
and the engine makes two a step.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

StepKind = Literal["flow", "model", "tool", "code", "ask"]
RunStatus = Literal["succeeded", "failed", "interrupted", "paused"]
Details = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Happening:
    """What every event has: its number within the run, and when (Unix seconds)."""

    number: int
    at: float


@dataclass(slots=True, kw_only=True)
class Failure:
    """An error as recorded: type name, message, the facts that rebuild it, the traceback."""

    name: str
    message: str
    facts: Details = field(default_factory=dict)
    trace: str = ""


@dataclass(slots=True, kw_only=True)
class RunStarted(Happening):
    """A run began, or went on after a stop. `target` is `module:name` of the root flow."""

    flow: str
    target: str
    input: bytes
    settings: Details


@dataclass(slots=True, kw_only=True)
class StepStarted(Happening):
    """A step began. `key` is its identity by lineage, `input` its canonical JSON.

    `details` may hold: version, model, parameters, links (steps that fed it), effect.
    """

    step: int
    key: bytes
    parent: int | None
    name: str
    kind: StepKind
    input: bytes
    details: Details = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class StepFinished(Happening):
    """A step returned. `details` may hold: attempts, attempt_s, thread_s, usage, cost_usd, model, origin."""

    step: int
    output: bytes
    details: Details = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class StepFailed(Happening):
    """A step raised, or was refused by the budget before it began (`refused`)."""

    step: int
    failure: Failure
    refused: bool = False
    details: Details = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class StepCancelled(Happening):
    """A step was cut short because a sibling failed or a deadline passed."""

    step: int


@dataclass(slots=True, kw_only=True)
class Expanded(Happening):
    """A step turned into a plan or a program; written before anything of it starts."""

    step: int
    kind: Literal["plan", "program"]
    content: bytes


@dataclass(slots=True, kw_only=True)
class Noted(Happening):
    """A remark about a step: a retry, a repair, a log line of the flow's author."""

    step: int | None
    text: str
    details: Details = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class TextStreamed(Happening):
    """A piece of a model's text, for live readers only: it is never stored.

    Its `number` repeats that of the last stored event.
    """

    step: int
    text: str


@dataclass(slots=True, kw_only=True)
class RunFinished(Happening):
    """The run ended; `output` is None unless it succeeded, `failure` None unless it failed.

    `paused`: everything that could go on without a person has; an answer is waited for.
    """

    status: RunStatus
    output: bytes | None = None
    failure: Failure | None = None


Stored = (
    RunStarted
    | StepStarted
    | StepFinished
    | StepFailed
    | StepCancelled
    | Expanded
    | Noted
    | RunFinished
)
Event = Stored | TextStreamed
