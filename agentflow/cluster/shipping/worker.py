"""What carries whole runs out on a node: a process with an event loop of its own.

Owns nothing that an evaluation could miss: what it does is recorded by the run it does it in, in the journal
that the driver reads. It may die at any moment, and ends with the driver.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio

from agentflow.cluster.fitting import misfit
from agentflow.cluster.shipping.far import FarLedger, FarResources, Line
from agentflow.cluster.shipping.wire import Done, Failure, Message, Setup, Told
from agentflow.engine.ledger import Ledger
from agentflow.errors import AgentflowError, NodeRefusedError
from agentflow.resources import Resources

Work = Callable[[Any], Awaitable[Any]]
SAME = "install the same versions everywhere"


@dataclass(frozen=True, slots=True)
class Bench:
    """What an opener is given besides its setup."""

    resources: Resources
    within: Ledger


class Worker:
    """One of a node's processes; its methods are asked from afar."""

    def __init__(self, jails: int) -> None:
        self._jails = jails
        self._line = Line()
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._resources: FarResources | None = None
        self._work: Work | None = None

    async def open(self, setup: Setup) -> tuple[str, str] | None:
        """Make ready for work; return problem and remedy if this node cannot do it."""
        different = misfit(setup.expected, setup.packages)
        if different:
            return f"it has {different}", SAME
        self._resources = FarResources(self._line, setup.models, self._jails)
        ledger = FarLedger(
            self._line, limits_tokens=setup.limits_tokens, limits_usd=setup.limits_usd
        )
        module, _, name = setup.opener.partition(":")
        opener = getattr(import_module(module), name)
        _go_to(setup.folder)
        try:
            self._work = await opener(setup.given, Bench(self._resources, ledger))
        except NodeRefusedError as error:
            return error.problem, error.remedy
        return None

    async def listen(self) -> AsyncIterator[list[Message]]:
        """Yield what is to be told to the driver, for ever."""
        async for batch in self._line.said():
            yield batch

    async def tell(self, told: Sequence[Told]) -> None:
        """Take what the driver says of attempts."""
        for one in told:
            self._line.hear(one)

    async def work(self, job: int, given: Any) -> Done:
        """Do a piece of work; None as the content when it was stopped."""
        assert self._work is not None, "a worker is opened before it is used"
        with anyio.CancelScope() as scope:
            self._scopes[job] = scope
            try:
                return Done(content=await self._work(given))
            except AgentflowError as error:
                return Done(failure=Failure.of(error))
            finally:
                del self._scopes[job]
        return Done()

    async def stop(self, job: int) -> None:
        """Cancel a piece of work that is under way."""
        scope = self._scopes.get(job)
        if scope is not None:
            scope.cancel()

    async def process(self) -> int:
        """Return the id of this process."""
        return os.getpid()


def _go_to(folder: str) -> None:
    """Work where the driver does, if this node has that folder: its plan may name files."""
    if folder and Path(folder).is_dir():
        os.chdir(folder)
