"""The nodes of a cluster: which ones may be used, and how much each is doing.

Owns the slots. A node is used after its agent has shown that it fits and that it confines; one that is lost is
looked for again. Whoever wants a slot waits in order of arrival. Belongs to one event loop.
"""

import time
from asyncio import CancelledError, Future, Task, get_running_loop
from collections import deque
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread

from agentflow.cluster.agent import NodeAgent
from agentflow.cluster.asking import last_line
from agentflow.cluster.connection import ray
from agentflow.cluster.fitting import fitting
from agentflow.cluster.members import Member, members, on
from agentflow.cluster.worker import ToolWorker, call_tool
from agentflow.errors import ClusterError, NodeRefusedError

OPEN_S = 120.0  # to start an agent and prove its sandbox, on a busy machine
LOOK_S = 5.0  # how often to look for more nodes when all are busy
HERE_S = 10.0  # for an agent to answer
POLL_S = 0.5
SLOTS_PER_CORE = 2  # one at work, one on its way


@dataclass(eq=False, kw_only=True)
class Worker:
    """A process for tools: `is_held` by a long call, `is_ended` by us, because of one that was cancelled."""

    actor: Any
    in_flight: int = 0
    is_held: bool = False
    is_ended: bool = False


@dataclass(eq=False, kw_only=True)
class Node:
    """A node in use: `agent` is asked for sandboxed work, `tools` starts a process for one call of a tool.

    `crew` are its processes for short calls; `hire` starts one.
    """

    id: str
    name: str
    cores: int
    agent: Any
    tools: Any
    hire: Any
    crew: list[Worker] = field(default_factory=list)
    busy: int = 0
    is_lost: bool = False

    @property
    def slots(self) -> int:
        """How many pieces of work may be in flight."""
        return SLOTS_PER_CORE * self.cores

    def worker(self) -> Worker:
        """Return the process with least to do, and none that is held."""
        # Those beyond the cores were hired beside held ones; they stay, because a start takes long.
        free = [worker for worker in self.crew if not worker.is_held][: self.cores]
        least = min(free, key=lambda worker: worker.in_flight, default=None)
        if least is None or (least.in_flight and len(free) < self.cores):
            least = Worker(actor=self.hire.remote())
            self.crew.append(least)
        return least

    def dismiss(self, worker: Worker) -> None:
        """End a process, and what it does."""
        worker.is_ended = True
        if worker in self.crew:
            self.crew.remove(worker)
            ray().kill(worker.actor)


class Nodes:
    """Hands out slots. With nothing to hand out, it looks for nodes for `wait_s` before it gives up."""

    def __init__(self, cluster: str, wait_s: float) -> None:
        self._cluster, self._wait_s = cluster, wait_s
        self._nodes: dict[str, Node] = {}
        self.refused: dict[str, NodeRefusedError] = {}
        self._waiting: deque[Future[Node | None]] = deque()
        self._looking = anyio.Lock()
        self._looker: Task[None] | None = None  # ended in `close`
        self._looked_at = float("-inf")

    async def take(self) -> Node:
        """Return a node with a slot taken on it; give it back with `give_back`.

        Raises:
            NodeRefusedError: There are nodes, and none may be used.
            ClusterError: There are none.
        """
        while True:
            if not self._nodes:
                await self._find()
            node = self._freest()
            if node is None and time.monotonic() > self._looked_at + LOOK_S:
                self._look_aside()
            node = node or await self._turn()
            if node is not None:
                return node

    def free(self) -> int:
        """Return how many slots nobody has."""
        return sum(max(0, node.slots - node.busy) for node in self._nodes.values())

    def give_back(self, node: Node) -> None:
        """Free a slot, for the first who waits."""
        node.busy -= 1
        while self._waiting and not node.is_lost and node.busy < node.slots:
            future = self._waiting.popleft()
            if not future.done():
                node.busy += 1
                future.set_result(node)

    def lose(self, node: Node) -> None:
        """Use a node no more, until it is found again."""
        node.is_lost = True
        if self._nodes.get(node.id) is node:
            del self._nodes[node.id]
            self._looked_at = float("-inf")
            ray().kill(node.agent)
            for worker in list(node.crew):
                ray().kill(worker.actor)
        if not self._nodes:
            while self._waiting:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_result(None)  # to look for others

    async def look_after(self, node: Node) -> None:
        """Ask whether a node is there, of which a process was lost; use it no more if it is not."""
        try:
            with anyio.fail_after(HERE_S):
                await node.agent.here.remote()
        except (ray().exceptions.RayError, TimeoutError):
            self.lose(node)

    def refuse(self, node: Node, problem: str, remedy: str) -> None:
        """Use a node no more: it cannot confine any longer."""
        self.refused[node.id] = NodeRefusedError(node=node.name, problem=problem, remedy=remedy)
        self.lose(node)

    def close(self) -> None:
        """End all agents."""
        if self._looker is not None:
            self._looker.cancel()
        for node in list(self._nodes.values()):
            self.lose(node)

    def _freest(self) -> Node | None:
        """Return the node with most room, one slot of it taken; None if there is none."""
        best = max(self._nodes.values(), key=lambda node: node.slots - node.busy, default=None)
        if best is None or best.busy >= best.slots:
            return None
        best.busy += 1
        return best

    async def _turn(self) -> Node | None:
        """Wait for a slot; None when the last node was lost meanwhile."""
        if not self._nodes:
            return None
        future: Future[Node | None] = get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except CancelledError:
            if future.done() and not future.cancelled() and (node := future.result()):
                self.give_back(node)
            raise

    async def _find(self) -> None:
        """Look until there is a node."""
        async with self._looking:
            until = time.monotonic() + self._wait_s
            while not self._nodes:
                await self._look()
                if self._nodes:
                    return
                if self.refused:
                    raise next(iter(self.refused.values()))
                if time.monotonic() > until:
                    problem = f"no node with a core to work on was there for {self._wait_s:g} s"
                    raise ClusterError(cluster=self._cluster, problem=problem)
                await anyio.sleep(POLL_S)

    def _look_aside(self) -> None:
        """Look while whoever wants a slot waits for one: a node that is dying may take long to open."""
        if self._looker is not None and not self._looker.done():
            return
        if self._looker is not None:
            self._looker.result()  # raises what went wrong
        self._looker = get_running_loop().create_task(self._look_once(), context=Context())

    async def _look_once(self) -> None:
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        """Take in the nodes that are new, all of them at once."""
        self._looked_at = time.monotonic()
        alive = {found.id: found for found in await members()}
        for gone in self.refused.keys() - alive.keys():
            del self.refused[gone]
        async with anyio.create_task_group() as group:
            for name, found in alive.items():
                if name not in self._nodes and name not in self.refused:
                    group.start_soon(self._open, found)
        self._looked_at = time.monotonic()

    async def _open(self, found: Member) -> None:
        """Start an agent on a node and use it if it can be."""
        node = _node(found)
        try:
            with anyio.fail_after(OPEN_S):
                refusal = await node.agent.prove.remote(fitting(), found.cores)
        except ray().exceptions.RayTaskError as error:
            remedy = "install agentflow there as it is here"
            refusal = (f"its agent does not start: {last_line(error)}", remedy)
        except (ray().exceptions.RayError, TimeoutError):
            ray().kill(node.agent)  # it is gone again; if not, it is found the next time
            return
        if refusal is not None:
            self.refuse(node, *refusal)
            ray().kill(node.agent)
            return
        self._nodes[node.id] = node
        node.busy += 1
        self.give_back(node)  # to those who wait


def _node(found: Member) -> Node:
    here = on(found)
    agents, workers = (
        ray()
        .remote(made)
        .options(num_cpus=0, max_restarts=0, max_concurrency=1_000, scheduling_strategy=here)
        for made in (NodeAgent, ToolWorker)
    )
    tools = ray().remote(call_tool).options(num_cpus=1, max_retries=0, scheduling_strategy=here)
    return Node(
        id=found.id,
        name=found.name,
        cores=found.cores,
        agent=agents.remote(),
        tools=tools,
        hire=workers,
    )
