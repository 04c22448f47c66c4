"""What of a compiled LangGraph graph cannot run as a flow.

Owns the look at a graph before it runs: everything that is outside its state and so outside the journal
(a store, a cache, a saver's own memory, channels and types that nothing can write down) is named at once.
"""

import typing
from collections.abc import Iterator
from typing import Any, NoReturn

from langchain_core.messages import BaseMessage
from langgraph import channels as kinds
from langgraph._internal._constants import PREVIOUS
from langgraph.channels import UntrackedValue
from langgraph.channels.base import BaseChannel
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.managed.base import is_managed_value
from langgraph.pregel import Pregel
from langgraph.pregel._read import PregelNode
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import All
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from agentflow.errors import UnmappableError

_CHANNELS = tuple(getattr(kinds, name) for name in kinds.__all__ if name != "BaseChannel")
_MANAGED = tuple(typing.get_args(kind)[1] for kind in (IsLastStep, RemainingSteps))
_INSTEAD_OF_BREAKPOINTS = "breakpoints have no counterpart: call interrupt() in the node"


def check_graph(graph: Any, name: str) -> None:
    """Look at a graph and the subgraphs that are its nodes.

    Raises:
        UnmappableError: Something in it has no counterpart here.
        TypeError: It is no compiled graph.
    """
    if isinstance(graph, PregelProtocol) and not isinstance(graph, Pregel):
        problem = f"it is a {_word(graph)}, whose nodes run elsewhere"
        raise UnmappableError(graph=name, problem=problem)
    if not isinstance(graph, Pregel):
        hint = "; compile it first" if hasattr(graph, "compile") else ""
        raise TypeError(f"from_langgraph takes a compiled graph, not a {_word(graph)}{hint}")
    _Check(graph, name).run()


class _Check:
    def __init__(self, graph: Pregel[Any, Any, Any, Any], name: str) -> None:
        self.graph, self.name = graph, name

    def run(self) -> None:
        graph = self.graph
        if PREVIOUS in graph.channels:
            self._fail("the functional API (@entrypoint) is not supported: declare a StateGraph")
        if graph.checkpointer is True:
            self._fail("checkpointer=True keeps state between calls, which a run does not have")
        self._outside(graph.store, "a store", "keep what nodes share in the state")
        self._outside(graph.cache or graph.cache_policy, "a cache", "use Runner(cache_models=True)")
        self._breakpoints(graph.interrupt_before_nodes, "interrupt_before")
        self._breakpoints(graph.interrupt_after_nodes, "interrupt_after")
        for channel, kept in graph.channels.items():
            self._channel(channel, kept)
        for name, node in graph.nodes.items():
            self._node(name, node)

    def _outside(self, found: Any, what: str, instead: str) -> None:
        if found:
            self._fail(f"{what} is outside its state, so the journal cannot keep it: {instead}")

    def _breakpoints(self, nodes: All | typing.Sequence[str], option: str) -> None:
        if nodes:
            self._fail(f"{option}={nodes!r}: {_INSTEAD_OF_BREAKPOINTS}")

    def _channel(self, name: str, kept: Any) -> None:
        if is_managed_value(kept):
            if kept not in _MANAGED:
                self._fail(f"{name!r} is a managed value of its own, {_word(kept)}")
            return
        if isinstance(kept, UntrackedValue):
            self._fail(f"{name!r} is an UntrackedValue, which is never written down")
        if type(kept) not in _CHANNELS:
            self._fail(f"{name!r} is a channel of its own kind, {type(kept).__name__}")
        for kind in _parts(_type_of(kept)):
            if not _is_data(kind):
                self._fail(f"{name!r} holds {kind.__name__}, which no journal can store")

    def _node(self, name: str, node: PregelNode) -> None:
        if node.cache_policy:
            self._fail(f"node {name!r} has a cache policy: use Runner(cache_models=True)")
        accepts = getattr(node.bound, "func_accepts", {})
        if "store" in accepts:
            self._fail(f"node {name!r} takes a store: keep what nodes share in the state")
        for below in node.subgraphs:
            check_graph(below, f"{self.name}.{name}")

    def _fail(self, problem: str) -> NoReturn:
        raise UnmappableError(graph=self.name, problem=problem)


def _type_of(channel: BaseChannel[Any, Any, Any]) -> Any:
    return getattr(channel, "typ", Any)


def _parts(kind: Any) -> Iterator[type]:
    """Yield the classes that a type is made of."""
    if isinstance(kind, type) and not typing.get_args(kind):
        yield kind
    for part in typing.get_args(kind):
        if not isinstance(part, str | bytes):
            yield from _parts(part)


def _is_data(kind: type) -> bool:
    """Whether values of a class can be written: what pydantic knows nothing of cannot."""
    if issubclass(kind, BaseMessage) or kind.__module__.startswith(
        ("langgraph.", "langchain_core.")
    ):
        return True
    try:
        TypeAdapter(kind)
    except PydanticUserError:
        return False
    return True


def _word(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__
