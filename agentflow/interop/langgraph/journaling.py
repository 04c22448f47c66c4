"""A copy of a LangGraph graph whose nodes are steps.

Owns which nodes those are: every one that runs somebody's code, also in subgraphs. A subgraph that is a
node is copied along with its parent. One that a node's function calls cannot be exchanged for a copy, so
its own nodes are given a switch: inside a run of ours they are steps, anywhere else nothing changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.constants import START
from langgraph.pregel import Pregel
from langgraph.pregel._read import PregelNode
from langgraph.pregel._write import ChannelWrite

from agentflow.interop.langgraph.codec import Codec
from agentflow.interop.langgraph.messages import MessageIds
from agentflow.interop.langgraph.nodes import JournaledNode

AnyGraph = Pregel[Any, Any, Any, Any]

_WATCHED: ContextVar[bool] = ContextVar("agentflow_langgraph_watched", default=False)


@contextmanager
def watching() -> Iterator[None]:
    """Have switched nodes be steps in the body."""
    token = _WATCHED.set(True)
    try:
        yield
    finally:
        _WATCHED.reset(token)


def journaled(graph: AnyGraph, codec: Codec) -> AnyGraph:
    """Return a copy of the graph whose nodes are steps."""
    ids = MessageIds(graph.channels)
    nodes = {name: _journaled_node(name, node, codec, ids) for name, node in graph.nodes.items()}
    return graph.copy({"nodes": nodes, "checkpointer": None, "channels": dict(graph.channels)})


def _journaled_node(name: str, node: PregelNode, codec: Codec, ids: MessageIds) -> PregelNode:
    if name == START and all(isinstance(item, ChannelWrite) for item in node.writers):
        return node  # it only spreads the input, and that is recorded
    bound = node.bound
    if isinstance(bound, Pregel):
        bound = journaled(bound, codec)
    else:
        for graph in node.subgraphs:
            if isinstance(graph, Pregel):
                _switch(graph, codec)
    made = node.copy({"bound": bound})
    inner = made.node
    if inner is not None:
        _set_node(made, JournaledNode(name, inner, codec, ids))
    return made


def _switch(graph: AnyGraph, codec: Codec) -> None:
    ids = MessageIds(graph.channels)
    for name, node in graph.nodes.items():
        plain = node.node.plain if isinstance(node.node, _Switched) else node.node
        if plain is not None:
            _set_node(node, plain)
            journaled_node = _journaled_node(name, node, codec, ids).node
            assert journaled_node is not None
            _set_node(node, _Switched(plain, journaled_node))


def _set_node(node: PregelNode, runnable: Runnable[Any, Any]) -> None:
    # `node` is a cached property; what is cached is what LangGraph runs.
    node.__dict__["node"] = runnable


class _Switched(Runnable[Any, Any]):
    """A node of a graph that is also used outside our runs."""

    def __init__(self, plain: Runnable[Any, Any], steps: Runnable[Any, Any]) -> None:
        self.plain, self._steps = plain, steps

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # noqa: A002 - the protocol's
        """Run the node as it is: what is sync belongs to the node that called its graph."""
        return self.plain.invoke(input, config, **options)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - the protocol's
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> Any:
        """Run the node, as a step where a run of ours called its graph."""
        node = self._steps if _WATCHED.get() else self.plain
        return await node.ainvoke(input, config, **options)
