"""What crosses between a driver and the processes on nodes that carry whole runs out for it.

Owns the messages and what a node must have in common with the driver. A model's key is in none of them: a
process on a node asks for a call, and the driver, which has the model, its permits and the account, makes it.
"""

import hashlib
import importlib.resources
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources.abc import Traversable
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


@cache
def fitting(packages: tuple[str, ...]) -> dict[str, str]:
    """Return what has to be the same on every node: runs begun on one may go on on another."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for package in packages:
        digest = hashlib.blake2b(digest_size=8)
        for name, file in _sources(importlib.resources.files(package), ""):
            digest.update(name.encode() + b"\0" + file.read_bytes())
        found[package] = digest.hexdigest()
    return found


def misfit(expected: Mapping[str, str], packages: tuple[str, ...]) -> str:
    """Return in words where this process differs from what is expected; empty if it does not."""
    try:
        here = fitting(packages)
    except ModuleNotFoundError as error:
        return f"no package {error.name}"
    differing: Sequence[str] = [
        f"{name} {here.get(name)} where the driver has {wanted}"
        for name, wanted in expected.items()
        if here.get(name) != wanted
    ]
    return ", ".join(differing)


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    """Yield the Python files below a folder by their paths, in order."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{path}/{item.name}"
        if item.is_dir():
            yield from _sources(item, name)
        elif name.endswith(".py"):
            yield name, item
