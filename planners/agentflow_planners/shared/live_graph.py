"""A graph that may grow while it runs.

Owns when a node runs (as soon as everything that leads to it has ended) and which changes are allowed:
nothing new may lead to a node that has started. Knows nothing of what nodes do. It is a DAG at all
times. What a node does is found again on resume by the node's name, whatever order nodes end in, so a
step may have one such graph of each name below it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio
import networkx as nx

from agentflow import BranchFailure, Plan, SubTask, run_plan
from agentflow.errors import GraphError
from agentflow_planners.shared.acting import SETBACKS

Given = dict[str, Any]  # what the nodes before have come to: a value, or a `BranchFailure`
Work = Callable[[Given], Awaitable[Any]]


class LiveGraph:
    """Nodes by name, and edges between them. The setbacks of a node are handed to those after it.

    Any other error of a node ends the run of the graph. `results` has what came of each node so far.
    """

    def __init__(
        self, name: str, *, setbacks: tuple[type[Exception], ...] = SETBACKS, most: int = 1_000
    ) -> None:
        self.name, self.results = name, dict[str, Any]()
        self._setbacks, self._most = setbacks, most
        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._works: dict[str, Work] = {}
        self._started: set[str] = set()
        self._errors: list[Exception] = []
        self._changed = anyio.Event()

    def extend(self, nodes: Mapping[str, Work], edges: Iterable[tuple[str, str]] = ()) -> None:
        """Add nodes and edges (from, to), all of them or none.

        Raises:
            GraphError: A name is taken or unknown, a target has started, there is a circle, or there
                are too many nodes.
        """
        grown, wanted = self._graph.copy(), list(edges)
        self._refuse_names(nodes, wanted)
        grown.add_nodes_from(nodes)
        grown.add_edges_from(wanted)
        if not nx.is_directed_acyclic_graph(grown):
            circle = [edge[0] for edge in nx.find_cycle(grown)]
            problem = f"nodes need each other in a circle: {' -> '.join([*circle, circle[0]])}"
            raise GraphError(graph=self.name, problem=problem)
        self._graph = grown
        self._works |= nodes
        self._changed.set()

    def order(self) -> list[str]:
        """Return the nodes, each after those it waits for, else as they were added."""
        place = {node: number for number, node in enumerate(self._works)}
        return list(nx.lexicographical_topological_sort(self._graph, key=place.__getitem__))

    def after(self, node: str) -> set[str]:
        """Return the nodes that wait for `node`, directly or not."""
        return set(nx.descendants(self._graph, node))

    def before(self, node: str) -> set[str]:
        """Return the nodes that `node` waits for, directly or not."""
        return set(nx.ancestors(self._graph, node))

    async def run(self) -> dict[str, Any]:
        """Run every node once; return what came of each, by name.

        Raises:
            Exception: The first error that is no setback, once the other nodes have stopped.
        """
        async with anyio.create_task_group() as group:
            while len(self.results) < len(self._works):
                for node in self._ready():
                    self._started.add(node)
                    group.start_soon(self._work, node, group.cancel_scope)
                self._changed = anyio.Event()
                await self._changed.wait()
        if self._errors:
            raise self._errors[0]
        return {node: self.results[node] for node in self._works}

    def _ready(self) -> list[str]:
        return [
            node
            for node in self._works
            if node not in self._started
            and all(other in self.results for other in self._graph.predecessors(node))
        ]

    async def _work(self, node: str, scope: anyio.CancelScope) -> None:
        given = {other: self.results[other] for other in sorted(self._graph.predecessors(node))}
        after = f"after {', '.join(given)}" if given else "at once"
        # A plan of one sub-task: its steps are known by the name, not by when the task was created.
        plan = Plan(subtasks=(SubTask(id=f"{self.name}/{node}", goal=after),))
        try:
            self.results[node] = await run_plan(
                plan, lambda _task, _needed: self._works[node](given)
            )
        except self._setbacks as error:
            self.results[node] = BranchFailure(error)
        except Exception as error:  # noqa: BLE001 - `run` raises the first
            self._errors.append(error)
            scope.cancel()
        self._changed.set()

    def _refuse_names(self, nodes: Mapping[str, Work], edges: list[tuple[str, str]]) -> None:
        known = {*self._works, *nodes}
        taken = [node for node in nodes if node in self._works]
        unknown = [(edge, node) for edge in edges for node in edge if node not in known]
        late = [target for _, target in edges if target in self._started]
        if taken:
            problem = f"there is a node {taken[0]!r} already"
        elif unknown:
            (source, target), missing = unknown[0]
            problem = f"{source!r} -> {target!r}: there is no node {missing!r}"
        elif late:
            problem = f"{late[0]!r} has started, so nothing more can come before it"
        elif len(known) > self._most:
            problem = f"it would have {len(known)} nodes; at most {self._most} are allowed"
        else:
            return
        raise GraphError(graph=self.name, problem=problem)
