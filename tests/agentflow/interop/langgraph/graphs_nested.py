"""Graphs of the suite with graphs in them."""

import operator
from typing import Annotated, Any

from langgraph.graph import END, START
from langgraph.types import Command
from typing_extensions import TypedDict

from tests.agentflow.interop.langgraph.graphs import (
    Builder,
    Log,
    case,
    chain,
    graph_of,
    says,
    speakers,
)
from tests.agentflow.interop.langgraph.recording import did


@case({"n": 0})
def a_subgraph_as_a_node() -> Builder:
    below = chain(speakers("x", "y"), "x", "y").compile()
    return chain(speakers("a", "b").add_node("below", below), "a", "below", "b")


class Other(TypedDict, total=False):
    word: str
    words: Annotated[list[str], operator.add]


def wordy() -> Builder:
    async def say(state: Other) -> dict[str, Any]:
        did(f"say {state['word']}")
        return {"words": [state["word"]]}

    builder = graph_of(Other)
    return chain(builder.add_node("say", say).add_node("again", say), "say", "again")


@case({"n": 0})
def a_subgraph_that_a_function_calls_twice() -> Builder:
    below = wordy().compile()

    async def call(state: Log) -> dict[str, Any]:
        did("call")
        first = await below.ainvoke({"word": "one"})
        second = await below.ainvoke({"word": "two"})
        return {"log": first["words"] + second["words"]}

    return chain(speakers("a", "b").add_node("call", call), "a", "call", "b")


@case({"n": 0})
def a_subgraph_that_a_sync_function_calls() -> Builder:
    def say(state: Other) -> dict[str, Any]:
        did(f"say {state['word']}")
        return {"words": [state["word"]]}

    builder = graph_of(Other)
    below = chain(builder.add_node("say", say), "say").compile()

    def call(state: Log) -> dict[str, Any]:
        did("call")
        return {"log": below.invoke({"word": "one"})["words"]}

    return chain(speakers("a").add_node("call", call), "a", "call")


@case({"n": 0}, {"n": 3}, side_by_side=True)
def subgraphs_within_subgraphs_with_a_loop_and_side_by_side() -> Builder:
    def narrow(update: dict[str, Any]) -> dict[str, Any]:
        return {"log": update["log"]}

    class Inner(TypedDict, total=False):
        n: int
        log: Annotated[list[str], operator.add]

    class Out(TypedDict):
        log: Annotated[list[str], operator.add]

    def more(state: Inner) -> dict[str, Any]:
        did(f"more {state['n']}")
        return {"n": state["n"] + 1, "log": [str(state["n"])]}

    deepest = graph_of(Inner, output_schema=Out).add_node("more", more)
    deepest.add_edge(START, "more")
    deepest.add_conditional_edges("more", lambda state: END if state["n"] > 3 else "more")
    middle = graph_of(Inner, output_schema=Out)
    middle.add_node("deep", deepest.compile()).add_node("x", says("x"))
    below = chain(middle, "x", "deep").compile()
    builder = chain(speakers("first", "last"), "first")
    builder.add_node("left", below).add_node("right", below)
    builder.add_edge("first", "left").add_edge("first", "right")
    return builder.add_edge(["left", "right"], "last")


@case({"n": 0}, {"n": 1})
def a_command_that_leaves_a_subgraph() -> Builder:
    def leave(state: Log) -> Any:
        did("leave")
        if state["n"]:
            return {"log": ["stays"]}
        return Command(graph=Command.PARENT, update={"log": ["left"]}, goto="elsewhere")

    below = graph_of(Log).add_node("leave", leave).add_node("x", says("x"))
    inner = chain(below, "leave", "x").compile()
    builder = speakers("a", "elsewhere", "b")
    builder.add_node("below", inner, destinations=("elsewhere",))
    return chain(builder, "a", "below", "b")
