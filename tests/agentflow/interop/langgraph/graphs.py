"""Graphs of LangGraph for the conformance suite: each says what it is given and what people answer."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from langgraph.errors import GraphRecursionError, NodeError
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send
from typing_extensions import TypedDict

from tests.agentflow.interop.langgraph.recording import did

Builder = Any  # StateGraph is generic in four types that the cases do not share


@dataclass(frozen=True)
class Case:
    """One graph. `side_by_side`: some of its nodes run in parallel, so their order is not compared."""

    name: str
    build: Callable[[], Builder]
    given: tuple[Any, ...]
    answers: dict[str, list[Any]] = field(default_factory=dict)
    side_by_side: bool = False
    error: type[Exception] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    context: Any = None


CASES: list[Case] = []


def case(*given: Any, **options: Any) -> Callable[[Callable[[], Builder]], Callable[[], Builder]]:
    """Put a graph into the suite under the name of the function that builds it."""

    def keep(build: Callable[[], Builder]) -> Callable[[], Builder]:
        CASES.append(Case(build.__name__, build, given, **options))
        return build

    return keep


class Log(TypedDict, total=False):
    n: int
    log: Annotated[list[str], operator.add]


def says(name: str, **update: Any) -> Callable[[Log], dict[str, Any]]:
    """Return a node that records itself and writes its name to the log."""

    def node(state: Log) -> dict[str, Any]:
        did(name)
        return {"log": [name], **update}

    return node


def graph_of(schema: Any, **options: Any) -> Builder:
    """Return a builder; its own type knows too much of its nodes for the cases."""
    return StateGraph(schema, **options)


def chain(builder: Builder, *names: str) -> Builder:
    """Join nodes one after the other, from the start."""
    for left, right in zip((START, *names), names, strict=False):
        builder.add_edge(left, right)
    return builder


def speakers(*names: str, schema: Any = Log) -> Builder:
    builder: Builder = StateGraph(schema)
    for name in names:
        builder.add_node(name, says(name))
    return builder


@case({"n": 1, "log": ["in"]}, {"log": []})
def a_line() -> Builder:
    return chain(speakers("a", "b", "c"), "a", "b", "c")


@case({"n": 1}, {"n": 2})
def an_async_line_with_an_early_end() -> Builder:
    async def double(state: Log) -> dict[str, Any]:
        did("double")
        return {"n": state["n"] * 2, "log": ["double"]}

    def go_on(state: Log) -> str:
        did("choose")
        return END if state["n"] > 3 else "b"

    builder = speakers("b")
    builder.add_node("double", double)
    return chain(builder, "double").add_conditional_edges("double", go_on, ["b", END])


@case({"n": 1}, {"n": 5})
def a_branch() -> Builder:
    def way(state: Log) -> Literal["low", "high"]:
        return "low" if state["n"] < 3 else "high"

    builder = chain(speakers("first", "low", "high", "last"), "first")
    builder.add_conditional_edges("first", way)
    return builder.add_edge("low", "last").add_edge("high", "last")


@case({"n": 1}, {"n": 2})
def a_branch_with_a_map_at_the_start() -> Builder:
    def is_odd(state: Log) -> bool:
        did("is_odd")
        return state["n"] % 2 == 1

    builder = speakers("odd", "even")
    return builder.add_conditional_edges(START, is_odd, {True: "odd", False: "even"})


@case({"n": 2}, {"n": 3}, side_by_side=True)
def a_branch_to_several() -> Builder:
    def several(state: Log) -> list[str]:
        return ["a", "b", "c"][: state["n"]]

    builder = chain(speakers("first", "a", "b", "c", "last"), "first")
    builder.add_conditional_edges("first", several, ["a", "b", "c"])
    for name in "abc":
        builder.add_edge(name, "last")
    return builder


def counting(limit: int) -> Builder:
    def more(state: Log) -> dict[str, Any]:
        did(f"more {state['n']}")
        return {"n": state["n"] + 1, "log": [str(state["n"])]}

    builder = graph_of(Log).add_node("more", more)
    builder.add_edge(START, "more")
    return builder.add_conditional_edges(
        "more", lambda state: END if state["n"] > limit else "more"
    )


@case({"n": 0}, {"n": 9})
def a_loop() -> Builder:
    return counting(4)


@case({"n": 0}, error=GraphRecursionError, config={"recursion_limit": 5})
def an_endless_loop() -> Builder:
    return counting(10**9)


@case({"n": 1}, side_by_side=True)
def fan_out_and_in() -> Builder:
    builder = chain(speakers("first", "a", "b", "c", "last"), "first")
    for name in "abc":
        builder.add_edge("first", name).add_edge(name, "last")
    return builder


@case({"n": 1}, side_by_side=True)
def uneven_branches_that_wait_for_each_other() -> Builder:
    builder = chain(speakers("first", "long", "longer", "short", "last"), "first", "long", "longer")
    return builder.add_edge("first", "short").add_edge(["longer", "short"], "last")


@case({"n": 1}, side_by_side=True)
def a_deferred_node() -> Builder:
    builder = chain(speakers("first", "long", "longer", "short"), "first", "long", "longer")
    builder.add_node("last", says("last"), defer=True)
    return builder.add_edge("first", "short").add_edge("short", "last").add_edge("longer", "last")


@case({"n": 3}, {"n": 0}, side_by_side=True)
def send_maps_and_reduces() -> Builder:
    async def work(item: dict[str, Any]) -> dict[str, Any]:
        did(f"work {item['item']}")
        return {"log": [f"work {item['item']}"]}

    def spread(state: Log) -> list[Send]:
        return [Send("work", {"item": item}) for item in range(state["n"])]

    builder = chain(speakers("first", "last"), "first").add_node("work", work)
    return builder.add_conditional_edges("first", spread, ["work"]).add_edge("work", "last")


@case({"n": 2}, side_by_side=True)
def send_to_different_nodes_and_on_from_there() -> Builder:
    def spread(state: Log) -> list[Any]:
        return [Send("a", {"n": 10}), Send("b", {"n": 20}), Send("a", {"n": 30}), "c"]

    def of(name: str) -> Callable[[Log], dict[str, Any]]:
        def node(state: Log) -> dict[str, Any]:
            did(f"{name} {state['n']}")
            return {"log": [f"{name} {state['n']}"]}

        return node

    builder = chain(speakers("first", "last"), "first")
    for name in "abc":
        builder.add_node(name, of(name))
    builder.add_conditional_edges("first", spread, ["a", "b", "c"])
    builder.add_conditional_edges("a", lambda state: [Send("last", state)])
    return builder


@case({"n": 1}, {"n": 4})
def commands_write_and_lead_on() -> Builder:
    def first(state: Log) -> Command[Literal["low", "high"]]:
        did("first")
        where: Literal["low", "high"] = "low" if state["n"] < 3 else "high"
        return Command(update={"log": ["first"], "n": state["n"] + 1}, goto=where)

    def low(state: Log) -> Command[Literal["first"]]:
        did("low")
        return Command(update={"log": ["low"]}, goto="first")

    return chain(speakers("high").add_node("first", first).add_node("low", low), "first")


@case({"n": 2}, side_by_side=True)
def commands_lead_to_several_and_send() -> Builder:
    def first(state: Log) -> Any:
        did("first")
        sent = Send("work", {"n": 9})
        return [Command(goto=["a", sent]), Command(update={"log": ["second command"]}, goto="b")]

    def work(state: Log) -> dict[str, Any]:
        did(f"work {state['n']}")
        return {"log": ["work"]}

    builder = speakers("a", "b").add_node("work", work)
    return chain(builder.add_node("first", first, destinations=("a", "b", "work")), "first")


@case({"n": 1}, error=ValueError)
def a_node_that_fails() -> Builder:
    def fail(state: Log) -> dict[str, Any]:
        did("fail")
        raise ValueError("no good")

    return chain(speakers("a", "b").add_node("fail", fail), "a", "fail", "b")


@case({"n": 1}, error=KeyError)
def a_node_that_fails_in_a_subgraph() -> Builder:
    async def fail(state: Log) -> dict[str, Any]:
        did("fail")
        raise KeyError("missing")

    below = chain(speakers("x").add_node("fail", fail), "x", "fail").compile()
    return chain(speakers("a", "b").add_node("below", below), "a", "below", "b")


@case({"n": 1})
def a_node_that_is_tried_again() -> Builder:
    tries: list[int] = []

    def shaky(state: Log) -> dict[str, Any]:
        tries.append(1)
        did(f"try {(len(tries) - 1) % 3}")
        if len(tries) % 3:
            raise ConnectionError("try again")
        return {"log": ["shaky"]}

    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3)
    builder = speakers("a", "b").add_node("shaky", shaky, retry_policy=policy)
    return chain(builder, "a", "shaky", "b")


@case({"n": 1})
def a_node_with_an_error_handler() -> Builder:
    def fail(state: Log) -> dict[str, Any]:
        did("fail")
        raise ValueError("handled")

    def mend(state: Log, error: NodeError) -> dict[str, Any]:
        did(f"mend {error.error}")
        return {"log": [f"mended {error.error}"]}

    builder = speakers("a", "b").add_node("fail", fail, error_handler=mend)
    return chain(builder, "a", "fail", "b")
