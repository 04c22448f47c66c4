"""A compiled LangGraph graph as a flow.

Owns the flow: its state with types, its code by which a resume notices a change, its place in a run.
LangGraph's own loop decides what runs, reduces and branches; `journaling.py` makes steps of the nodes.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.pregel import Pregel
from langgraph.pregel._read import PregelNode
from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from agentflow.code import code_hash, text_hash
from agentflow.flows import Flow
from agentflow.interop.langgraph.checks import check_graph
from agentflow.interop.langgraph.codec import Codec
from agentflow.interop.langgraph.journaling import AnyGraph, journaled, watching
from agentflow.interop.langgraph.messages import MessageIds


class LangGraphFlow(Flow[[Any], Any]):
    """The flow `state -> state` of a compiled graph; see `from_langgraph`."""

    def __init__(
        self,
        compiled: AnyGraph,
        *,
        name: str,
        module: str,
        config: RunnableConfig,
        context: Any,
        types: Iterable[Any],
        version: str,
    ) -> None:
        codec = Codec([*types, *_declared(compiled)])
        self.compiled, self._ids = compiled, MessageIds(compiled.channels)
        graph = journaled(compiled, codec)
        state: Any = _state_type(codec)

        async def run_graph(state: Any) -> Any:
            given = self._ids.settle_all(state, "input")
            # A run of ours may stand in a node of another graph; this one is no part of that.
            token = var_child_runnable_config.set(None)
            try:
                with watching():
                    return await graph.ainvoke(given, config, context=context)
            finally:
                var_child_runnable_config.reset(token)

        run_graph.__annotations__ = {"state": state, "return": state}
        run_graph.__name__ = run_graph.__qualname__ = name
        run_graph.__module__ = module
        super().__init__(run_graph, name=name, version=version)
        self._code = text_hash(_described(compiled))


def from_langgraph(
    compiled: Any,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    context: Any = None,
    types: Iterable[Any] = (),
    version: str = "",
) -> Flow[[Any], Any]:
    """Return a flow that takes a state, runs the graph, and returns the state it ends in.

    Args:
        compiled: What `StateGraph.compile` returned. Its checkpointer is not used: the journal is.
        name: Its name in the tree of a run; by default the graph's.
        config: LangGraph's configuration, such as `recursion_limit` and `configurable`.
        context: The graph's run context, where it declares one.
        types: Classes of values in the state that its annotations do not name.
        version: As for `flow`.

    Raises:
        UnmappableError: Something in the graph has no counterpart here.
        TypeError: It is no compiled graph.
    """
    name = name or str(getattr(compiled, "name", "graph"))
    check_graph(compiled, name)
    return LangGraphFlow(
        compiled,
        name=name,
        module=sys._getframe(1).f_globals.get("__name__", "__main__"),
        config=cast("RunnableConfig", dict(config or {})),
        context=context,
        types=types,
        version=version,
    )


def _declared(graph: AnyGraph) -> list[Any]:
    """Return the types that a graph's state and inputs name, those of its subgraphs too."""
    builder = getattr(graph, "builder", None)
    found = [getattr(channel, "typ", None) for channel in graph.channels.values()]
    found += list(getattr(builder, "schemas", {}))
    for node in graph.nodes.values():
        for below in node.subgraphs:
            found += _declared(cast("AnyGraph", below))
    return found


def _state_type(codec: Codec) -> Any:
    """Return the type of a state: anything, kept with its types in JSON."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        return codec.read(value) if info.mode == "json" else value

    writes = PlainSerializer(codec.write, when_used="json")
    return Annotated[Any, PlainValidator(validate), writes]


def _described(graph: AnyGraph) -> str:
    """Return a graph as text that changes when its nodes, edges or functions do."""
    builder = getattr(graph, "builder", None)
    nodes = {name: _code_of(node) for name, node in graph.nodes.items()}
    edges = sorted(map(str, getattr(builder, "edges", ())))
    waiting = sorted(map(str, getattr(builder, "waiting_edges", ())))
    branches = {
        start: {name: _function_code(branch.path) for name, branch in found.items()}
        for start, found in getattr(builder, "branches", {}).items()
    }
    return f"{nodes} {edges} {waiting} {branches}"


def _code_of(node: PregelNode) -> str:
    below = [_described(cast("AnyGraph", graph)) for graph in node.subgraphs]
    own = "" if isinstance(node.bound, Pregel) else _function_code(node.bound)
    return f"{own} {below}"


def _function_code(runnable: Runnable[Any, Any]) -> str:
    function = getattr(runnable, "func", None) or getattr(runnable, "afunc", None)
    return type(runnable).__qualname__ if function is None else code_hash(function)
