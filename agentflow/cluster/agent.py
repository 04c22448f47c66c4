"""What runs on a node: its sandbox and its jails; its tools have processes of their own (`worker`).

Owns nothing that a run could miss: it is given everything with each piece of work, keeps nothing in between,
and may die at any moment. Knows neither the run nor the journal nor the cluster's engine.
"""

from typing import Any

from agentflow.cluster.fitting import misfit
from agentflow.cluster.wire import (
    Answer,
    answered,
    read_turn,
    write_end,
    write_issued,
)
from agentflow.data import canonical
from agentflow.errors import SandboxUnavailableError
from agentflow.sandbox.monty import MontySandbox, open_sandbox
from agentflow.sandbox.turns import Issued, Turn, TurnEnd
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers
from agentflow.sandbox.workers.protocol import Examination, Trial


class NodeAgent:
    """One on each node; its methods are asked from afar."""

    def __init__(self) -> None:
        self._sandbox: MontySandbox | None = None
        self._workers: TrialWorkers | None = None

    async def prove(self, expected: dict[str, str], at_once: int) -> tuple[str, str] | None:
        """Open the sandbox and the jails, which prove that they confine; return problem and remedy.

        Args:
            expected: What the run has and this node must have, see `fitting`.
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

    async def here(self) -> None:
        """Answer, which says that the node is there."""

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
