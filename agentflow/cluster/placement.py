"""Carry out sandboxed work and remote tools on the nodes of a Ray cluster.

Owns what happens to a piece of work: where it goes, and that it is given to another node when its own is lost. Steps, budget, permits and journal stay where the run is, so what was recorded
is never done again, whatever dies.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread

from agentflow.cancelling import uncancelled
from agentflow.cluster.asking import LostError, asked, losses
from agentflow.cluster.calls import Calls
from agentflow.cluster.connection import join, leave, ray
from agentflow.cluster.fitting import fitting
from agentflow.cluster.nodes import Node, Nodes
from agentflow.cluster.wire import (
    Answer,
    read_end,
    read_issued,
    write_turn,
)
from agentflow.engine.notes import current_step, note
from agentflow.errors import (
    NodeRefusedError,
    NoRunError,
    SandboxUnavailableError,
    WorkLostError,
)
from agentflow.placement import RemoteCall
from agentflow.sandbox.execution import execute
from agentflow.sandbox.protocol import CallHandler, Finished, Limits
from agentflow.sandbox.turns import Issued, Turn, TurnEnd
from agentflow.sandbox.workers.protocol import Examination, Examined, Observed, Trial

WAIT_S = 60.0  # for a node to come, when there is none
MOST_TRIES = 4

Begin = Callable[[Node], Any]
Attempt = Callable[[bool], Awaitable[tuple[Node, Answer]]]


def open_placement(address: str | None) -> "RayPlacement":
    """Return the cluster at `address`, not joined yet; see `placement_for`.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    ray()
    return RayPlacement(address)


class RayPlacement:
    """A Ray cluster as a place to work in; see `Placement`.

    Args:
        address: `HOST:PORT` of its head, `auto`, or None for a cluster on this machine.
        wait_s: How long to wait for a node when there is none.
    """

    def __init__(self, address: str | None = None, *, wait_s: float = WAIT_S) -> None:
        self._address = address
        self._nodes = Nodes(address or "local", wait_s)
        self._calls = Calls(self._nodes)
        self._joining = anyio.Lock()
        self._is_joined = self._is_proved = False

    @property
    def refused(self) -> list[NodeRefusedError]:
        """The nodes that are there and not used, each with the reason."""
        return list(self._nodes.refused.values())

    async def sandbox(self) -> "RemoteSandbox":
        """Return what runs plan code; its nodes have been proved."""
        return RemoteSandbox(await self._proved())

    async def workers(self) -> "RemoteWorkers":
        """Return what runs generated functions; its nodes have been proved."""
        return RemoteWorkers(await self._proved())

    async def call(self, call: RemoteCall) -> bytes:
        """Call a tool in a process of some node, see `Placement.call`; one that was lost goes on its own."""
        await self._proved()

        async def carried(is_lost: bool) -> tuple[Node, Answer]:
            given, answer = (None, None) if is_lost else await self._calls.carry(call)
            if given is not None and answer is not None:
                return given, answer
            done = await self._alone(lambda node: node.tools.remote(call, fitting()), given)
            self._calls.learn(call, done[1].spent_s)
            return done

        content: bytes = (await self._until_done(call.tool, carried)).value()
        return content

    async def done(self, what: str, begin: Begin) -> Answer:
        """Have a node do a piece of work; one that is lost is begun again on another.

        Raises:
            WorkLostError: It was lost too often.
            NodeRefusedError, ClusterError: There is no node for it.
        """
        return await self._until_done(what, lambda _is_lost: self._alone(begin))

    async def _until_done(self, what: str, attempt: Attempt) -> Answer:
        lost: list[str] = []
        while len(lost) < MOST_TRIES:
            try:
                node, answer = await attempt(bool(lost))
            except LostError as loss:
                lost.append(loss.node)
                text = f"{what} was lost with node {loss.node}, and is begun again"
                _say(text, loss.node, loss.why)
                continue
            if answer.name == SandboxUnavailableError.__name__:
                self._nodes.refuse(node, **(answer.facts or {}))
                _say(f"node {node.name} is used no more: {answer.message}", node.name)
                continue
            with suppress(NoRunError):
                current_step().details["node"] = node.name
            return answer
        raise WorkLostError(what=what, nodes=lost)

    async def _alone(self, begin: Begin, given: Node | None = None) -> tuple[Node, Answer]:
        """Do work that nothing travels with; `given` is a node with a slot taken for it.

        Raises:
            LostError: Its process or node was.
        """
        node = given or await self._nodes.take()
        try:
            return node, await asked(begin(node))
        except losses() as error:
            if not isinstance(error, ray().exceptions.WorkerCrashedError):
                self._nodes.lose(node)
            raise LostError(node.name, error) from error
        finally:
            self._nodes.give_back(node)

    async def aclose(self) -> None:
        """End the agents and leave the cluster."""
        if self._is_joined:
            self._is_joined = self._is_proved = False
            await self._calls.aclose()
            self._nodes.close()
            await uncancelled(anyio.to_thread.run_sync(leave))

    async def _proved(self) -> "RayPlacement":
        if self._is_proved:
            return self
        async with self._joining:
            if not self._is_joined:
                # In a thread: Ray leaves the signals of the process alone there.
                await uncancelled(anyio.to_thread.run_sync(join, self._address))
                self._is_joined = True
                try:
                    self._nodes.give_back(await self._nodes.take())
                except BaseException:
                    await self.aclose()
                    raise
                for refusal in self.refused:
                    with suppress(NoRunError):
                        note(str(refusal), **refusal.facts)
                self._is_proved = True
        return self


class RemoteSandbox:
    """Runs programs turn by turn, each on any node; calls are answered here in between."""

    def __init__(self, place: RayPlacement) -> None:
        self._place = place

    async def run(
        self,
        code: str,
        inputs: Mapping[str, object],
        *,
        call: CallHandler,
        parallel: bool,
        limits: Limits,
    ) -> Finished:
        """Run one program; see `ProgramSandbox.run`."""
        return await execute(
            self._take_turn, code, inputs, call=call, parallel=parallel, limits=limits
        )

    async def aclose(self) -> None:
        """Nothing to close: the place is closed by whoever opened it."""

    async def _take_turn(self, turn: Turn, issue: Callable[[Issued], None]) -> TurnEnd:
        written = write_turn(turn)
        answer = await self._place.done(
            "a turn of the program", lambda node: node.agent.take_turn.remote(written)
        )
        for call in answer.issued:
            issue(read_issued(call))
        if answer.name and answer.issued:
            await anyio.lowlevel.checkpoint()  # they had begun when it failed
        end: TurnEnd = answer.value()
        return read_end(end)


class RemoteWorkers:
    """Runs trials and examinations on any node; see `Workers`."""

    def __init__(self, place: RayPlacement) -> None:
        self._place = place

    async def observe(self, trial: Trial) -> Observed:
        """Carry out a trial."""
        asked = trial.model_dump()
        answer = await self._place.done("a trial", lambda node: node.agent.observe.remote(asked))
        return Observed.model_validate(json.loads(answer.value()))

    async def examine(self, examination: Examination) -> Examined:
        """Carry out an examination."""
        asked = examination.model_dump()
        begin: Begin = lambda node: node.agent.examine.remote(asked)  # noqa: E731 - as above
        answer = await self._place.done("an examination", begin)
        return Examined.model_validate(json.loads(answer.value()))

    async def aclose(self) -> None:
        """Nothing to close: the place is closed by whoever opened it."""


def _say(text: str, node: str, error: Exception | None = None) -> None:
    with suppress(NoRunError):
        why = {} if error is None else {"why": type(error).__name__}
        note(text, node=node, **why)
