"""What crosses between a driver and the processes on nodes that carry whole runs out for it.

Owns the messages. A model's key is in none of them: a
process on a node asks for a call, and the driver, which has the model, its permits and the account, makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentflow.errors import AgentflowError, rebuild
from agentflow.models.protocol import ModelSpec, Price, Reply, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the driver knows of a model that it has opened."""

    price: Price | None
    concurrency: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is opened with.

    `opener` is `MODULE:NAME` of a function that is called with `given` and what the worker has, and returns what
    does the work. `packages` are those whose code takes part, `folder` is where to work if it is there. `models`
    is by specification, as JSON. `limits_*` say whether the account above is limited.
    """

    opener: str
    given: Any
    packages: tuple[str, ...]
    folder: str = ""
    expected: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Known] = field(default_factory=dict)
    limits_tokens: bool = False
    limits_usd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a call may cost at most, to be taken from the driver's account before it is made."""

    number: int
    step: str
    tokens: int
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One attempt of a model, wanted by a worker; it waits for money, room and pace at the driver."""

    call: int
    spec: ModelSpec
    promise: Promise | None
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Nobody waits for an attempt any more."""

    call: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Nobody will use a promise any more."""

    promise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as data."""

    name: str
    message: str
    facts: dict[str, Any]

    @staticmethod
    def of(error: Exception) -> "Failure":
        """Return an error as data; one that is not ours keeps its name and message."""
        facts = error.facts if isinstance(error, AgentflowError) else {}
        return Failure(name=type(error).__name__, message=str(error), facts=facts)

    def error(self) -> AgentflowError:
        """Return the error."""
        return rebuild(self.name, self.message, self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of an attempt, and how long it took, without the wait before it."""

    call: int
    reply: Reply | None = None
    failure: Failure | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a piece of work; `failure` is a typed error that it ended with."""

    content: Any = None
    failure: Failure | None = None

    def value(self) -> Any:
        """Return the content.

        Raises:
            AgentflowError: It is a failure.
        """
        if self.failure is not None:
            raise self.failure.error()
        return self.content


Message = Ask | Drop | Release
