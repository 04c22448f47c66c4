"""What of LangGraph has no counterpart is an error when the flow is made, and the error names it."""

import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest

pytest.importorskip("langgraph", reason="the extra `langgraph` is not installed")

from langgraph.cache.memory import InMemoryCache
from langgraph.channels import LastValue, UntrackedValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy
from typing_extensions import TypedDict

from agentflow.interop.langgraph import UnmappableError, from_langgraph
from tests.agentflow.interop.langgraph.graphs import Log, chain, graph_of, speakers


def line() -> Any:
    return chain(speakers("a", "b"), "a", "b")


class Own(LastValue[Any]):
    """A channel of somebody's own."""


class Untracked(TypedDict):
    value: Annotated[Any, UntrackedValue]


class Odd(TypedDict):
    value: Annotated[Any, Own]


class Locked(TypedDict):
    lock: list[threading.Event]


def with_store() -> Any:
    def node(state: Log, *, store: BaseStore) -> Any:
        return {"log": [str(store)]}

    return chain(graph_of(Log).add_node("node", node), "node").compile()


def cached_node() -> Any:
    builder = graph_of(Log)
    builder.add_node("node", lambda _: {"log": ["x"]}, cache_policy=CachePolicy())
    return chain(builder, "node").compile()


def of_state(schema: Any) -> Any:
    builder: Any = StateGraph(schema)
    return chain(builder.add_node("node", lambda _: {}), "node").compile()


def with_memory() -> Any:
    below = line().compile(checkpointer=True)
    return chain(speakers("a").add_node("below", below), "a", "below").compile()


@entrypoint()
async def functional(given: int) -> int:
    return given


CANNOT: dict[str, Callable[[], Any]] = {
    "a store is outside its state": lambda: line().compile(store=InMemoryStore()),
    "node 'node' takes a store": with_store,
    "a cache is outside its state": lambda: line().compile(cache=InMemoryCache()),
    "node 'node' has a cache policy": cached_node,
    r"interrupt_before=\['b'\]: breakpoints have no counterpart: call interrupt": (
        lambda: line().compile(checkpointer=InMemorySaver(), interrupt_before=["b"])
    ),
    r"interrupt_after=\['a'\]": (
        lambda: line().compile(checkpointer=InMemorySaver(), interrupt_after=["a"])
    ),
    "'value' is an UntrackedValue, which is never written down": lambda: of_state(Untracked),
    "'value' is a channel of its own kind, Own": lambda: of_state(Odd),
    "'lock' holds Event, which no journal can store": lambda: of_state(Locked),
    r"graph 'whole\.below': checkpointer=True keeps state between calls": with_memory,
    "the functional API": lambda: functional,
}


@pytest.mark.parametrize("problem", CANNOT)
def test_what_cannot_map_is_an_error_that_names_it(problem: str) -> None:
    with pytest.raises(UnmappableError, match=problem):
        from_langgraph(CANNOT[problem](), name="whole")


def test_a_graph_that_is_not_compiled_is_a_wrong_argument() -> None:
    with pytest.raises(
        TypeError, match="takes a compiled graph, not a StateGraph; compile it first"
    ):
        from_langgraph(line())


def test_a_saver_is_no_obstacle() -> None:
    assert (
        from_langgraph(line().compile(checkpointer=InMemorySaver()), name="whole").name == "whole"
    )
