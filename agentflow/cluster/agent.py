"""What runs on a node: its sandbox, its jails, and the calling of tools.

Owns nothing that a run could miss: it is given everything with each piece of work, keeps nothing in between,
and may die at any moment. Knows neither the run nor the journal nor the cluster's engine.
"""

from functools import reduce
from importlib import import_module
from typing import Any

import anyio

from agentflow.cluster.wire import (
    Answer,
    answered,
    misfit,
    read_turn,
    write_end,
    write_issued,
)
from agentflow.data import canonical
from agentflow.errors import ClusterError, SandboxUnavailableError
from agentflow.placement import RemoteCall
from agentflow.sandbox.monty import MontySandbox, open_sandbox
from agentflow.sandbox.turns import Issued, Turn, TurnEnd
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers
from agentflow.sandbox.workers.protocol import Examination, Trial
from agentflow.tools import Tool


class NodeAgent:
    """One on each node; its methods are asked from afar."""

    def __init__(self) -> None:
        self._sandbox: MontySandbox | None = None
        self._workers: TrialWorkers | None = None

    async def prove(self, expected: dict[str, str], at_once: int) -> tuple[str, str] | None:
        """Open the sandbox and the jails, which prove that they confine; return problem and remedy.

        Args:
            expected: What the run has and this node must have, see `wire.fitting`.
            at_once: How many pieces of work to do side by side.
        """
        different = misfit(expected)
        if different:
            return f"it has {different}", "install the same versions everywhere"
        try:
            self._sandbox = await open_sandbox(at_once)
            self._workers = await open_workers(jails=at_once)
        except SandboxUnavailableError as error:
            return f"no sandbox: {error.problem}", error.remedy
        return None

    async def observe(self, trial: dict[str, Any]) -> Answer:
        """Carry out a trial; see `Workers.observe`."""
        asked, workers = Trial.model_validate(trial), self._proved_workers()

        async def work() -> bytes:
            return canonical((await workers.observe(asked)).model_dump())

        return await answered(work)

    async def examine(self, examination: dict[str, Any]) -> Answer:
        """Carry out an examination; see `Workers.examine`."""
        asked, workers = Examination.model_validate(examination), self._proved_workers()

        async def work() -> bytes:
            return canonical((await workers.examine(asked)).model_dump())

        return await answered(work)

    async def take_turn(self, turn: Turn) -> Answer:
        """Take one turn of a program."""
        assert self._sandbox is not None, "an agent is proved before it is used"
        sandbox, issued = self._sandbox, list[tuple[Any, ...]]()

        def issue(call: Issued) -> None:
            issued.append(write_issued(call))

        async def work() -> TurnEnd:
            return write_end(await sandbox.take_turn(read_turn(turn), issue))

        answer = await answered(work)
        return Answer(
            content=answer.content,
            name=answer.name,
            message=answer.message,
            facts=answer.facts,
            issued=tuple(issued),
        )

    def _proved_workers(self) -> TrialWorkers:
        assert self._workers is not None, "an agent is proved before it is used"
        return self._workers


def call_tool(call: RemoteCall, expected: dict[str, str]) -> Answer:
    """Call a tool in this process, which does nothing else meanwhile."""

    async def work() -> bytes:
        different = misfit(expected)
        if different:
            raise ClusterError(cluster="ray", problem=f"a node has {different}")
        return await _imported(call).carry_out(call.input)

    async def whole() -> Answer:
        return await answered(work)

    return anyio.run(whole)


def _imported(call: RemoteCall) -> Tool[..., Any]:
    """Return the tool, with the code that the run has.

    Raises:
        ClusterError: It is not there, or another one is.
    """
    module, _, name = call.target.partition(":")
    try:
        found: Any = reduce(getattr, name.split("."), import_module(module))
    except (ImportError, AttributeError) as error:
        problem = f"tool {call.tool}: {call.target} cannot be imported there ({error})"
        raise ClusterError(cluster="ray", problem=problem) from error
    if not isinstance(found, Tool) or found.code() != call.code:
        problem = f"tool {call.tool}: {call.target} is other code there than here"
        raise ClusterError(cluster="ray", problem=problem)
    return found
