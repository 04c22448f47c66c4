"""A swarm as data: agents, each a small graph of prompts, and the edges between them.

Owns the values that an option of a flow file holds, the edges that there may be, and how they become one
graph of prompts. Knows no model, and nothing of how edges or prompts are found.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import networkx as nx
from pydantic import Field

from agentflow.errors import GraphError
from agentflow_planners.shared.fusing import Voice
from agentflow_planners.shared.values import Frozen

DECISION = "decision"

Key = Annotated[str, Field(min_length=1, max_length=80, pattern="^[^/]+$")]
Edge = tuple[str, str]
Strategy = Literal["references", "majority_vote", "self_consistency", "select_best"]


class PromptNode(Frozen):
    """One question of an agent, asked with the answers of those it `needs`, which are the agent's own."""

    id: Key
    prompt: Annotated[str, Field(min_length=1)]
    needs: tuple[str, ...] = ()


class Agent(Voice):
    """A graph of prompts with a voice; what its last node says is the agent's answer."""

    name: Key
    nodes: Annotated[tuple[PromptNode, ...], Field(min_length=1, max_length=16)]

    def key(self, node: str) -> str:
        """Return what a node of this agent is called in the swarm."""
        return f"{self.name}/{node}"

    @property
    def end(self) -> str:
        """The node whose answer is the agent's."""
        return self.key(self.nodes[-1].id)

    @property
    def beginnings(self) -> list[str]:
        """The nodes that see what other agents say."""
        return [self.key(node.id) for node in self.nodes if not node.needs]


Agents = Annotated[tuple[Agent, ...], Field(min_length=1, max_length=32)]


def agent(name: str, *prompts: str) -> Agent:
    """Return an agent that goes through its prompts, each with the answer to the one before in view."""
    numbers = range(1, len(prompts) + 1)
    nodes = (
        PromptNode(id=str(number), prompt=prompt, needs=(str(number - 1),) if number > 1 else ())
        for number, prompt in zip(numbers, prompts, strict=True)
    )
    return Agent(name=name, nodes=tuple(nodes))


DEFAULT: Agents = (
    agent("io", "Give the answer alone."),
    agent(
        "cot",
        "Think about it step by step, in a few sentences.",
        "Now give the answer alone.",
    ),
    agent(
        "reflection",
        "Give the answer with a short reason.",
        "Say in a few sentences what may be wrong with that answer.",
        "Correct the answer where it is wrong. Give the answer alone.",
    ),
)


def only_decision(agents: Sequence[Agent]) -> tuple[Edge, ...]:
    """Return the edges of agents that do not hear of each other, all of them before the decision."""
    return tuple((one.name, DECISION) for one in agents)


def possible_edges(agents: Sequence[Agent]) -> tuple[Edge, ...]:
    """Return every edge that there may be: from each agent to each other one and to the decision."""
    names = [one.name for one in agents]
    between = tuple((one, other) for one in names for other in names if one != other)
    return between + only_decision(agents)


def closes_circle(edges: Sequence[Edge], edge: Edge) -> bool:
    """Return whether an edge would lead back to where it starts; `edges` hold no circle."""
    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    source, target = edge
    return source == target or (graph.has_node(target) and source in nx.descendants(graph, target))


def node_edges(agents: Sequence[Agent], edges: Sequence[Edge]) -> list[Edge]:
    """Return the edges between all nodes of a swarm, the decision one of them.

    Raises:
        GraphError: Two agents or two nodes of one have the same name, an agent is called as the
            decision is, a node needs or an edge names what is not there, edges lead in a circle, or
            nothing leads to the decision.
    """
    by_name = {one.name: one for one in agents}
    for problem in _problems(agents, edges):
        raise GraphError(graph="gptswarm", problem=problem)
    inner = [
        (one.key(need), one.key(node.id))
        for one in agents
        for node in one.nodes
        for need in node.needs
    ]
    for source, target in edges:
        into = [DECISION] if target == DECISION else by_name[target].beginnings
        inner += [(by_name[source].end, key) for key in into]
    if not nx.is_directed_acyclic_graph(nx.DiGraph(inner)):
        circle = [source for source, _target in nx.find_cycle(nx.DiGraph(inner))]
        problem = f"nodes need each other in a circle: {' -> '.join([*circle, circle[0]])}"
        raise GraphError(graph="gptswarm", problem=problem)
    return inner


def _problems(agents: Sequence[Agent], edges: Sequence[Edge]) -> list[str]:
    names = [one.name for one in agents]
    ids = [one.key(node.id) for one in agents for node in one.nodes]
    problems = []
    if DECISION in names or len(set(names)) < len(names) or len(set(ids)) < len(ids):
        problems.append(f"agents, and nodes of one, need names of their own, none {DECISION!r}")
    needed = [one.key(need) for one in agents for node in one.nodes for need in node.needs]
    problems += [f"there is no node {key!r}" for key in needed if key not in ids]
    for source, target in edges:
        unknown = [one for one in (source, target) if one not in (*names, DECISION)]
        if unknown:
            problems.append(f"{source!r} -> {target!r}: there is no agent {unknown[0]!r}")
        if source == DECISION:
            problems.append(f"{source!r} -> {target!r}: nothing comes after the decision")
    if not any(target == DECISION for _, target in edges):
        problems.append(f"nobody's answer reaches it; add an edge from an agent to {DECISION!r}")
    return problems
