"""Graphs of the suite that interrupt themselves for people."""

from collections.abc import Callable
from typing import Any

import anyio.lowlevel
from langgraph.graph import END, START
from langgraph.types import interrupt

from tests.agentflow.interop.langgraph.graphs import Builder, Log, case, chain, graph_of, speakers
from tests.agentflow.interop.langgraph.recording import did


@case({"n": 1}, answers={"ok?": ["yes"]})
def an_interrupt() -> Builder:
    def review(state: Log) -> dict[str, Any]:
        did("before")
        answer = interrupt("ok?")
        did(f"after {answer}")
        return {"log": [f"answer {answer}"]}

    return chain(speakers("a", "b").add_node("review", review), "a", "review", "b")


@case({"n": 1}, answers={'{"what":"name"}': ["Ada"], '{"what":"age"}': [36]})
def two_interrupts_in_a_node_with_data() -> Builder:
    async def form(state: Log) -> dict[str, Any]:
        did("form")
        name = interrupt({"what": "name"})
        did(f"got {name}")
        age = interrupt({"what": "age"})
        return {"log": [f"{name} is {age + 1}"]}

    return chain(speakers("a", "b").add_node("form", form), "a", "form", "b")


@case({"n": 1}, answers={"x?": ["1"], "y?": [{"y": [2]}]}, side_by_side=True)
def interrupts_side_by_side() -> Builder:
    def of(name: str) -> Callable[[Log], dict[str, Any]]:
        def node(state: Log) -> dict[str, Any]:
            did(f"ask {name}")
            return {"log": [f"{name} {interrupt(f'{name}?')}"]}

        return node

    builder = chain(speakers("first", "quick", "last"), "first")
    for name in "xy":
        builder.add_node(name, of(name)).add_edge("first", name)
    return builder.add_edge("first", "quick").add_edge(["x", "y", "quick"], "last")


@case({"n": 1}, answers={"below?": ["deep answer"]})
def an_interrupt_in_a_subgraph() -> Builder:
    def node(state: Log) -> dict[str, Any]:
        did("ask")
        return {"log": [interrupt("below?")]}

    below: Builder = speakers("x", "y").add_node("ask", node)
    inner = chain(below, "x", "ask", "y").compile()
    return chain(speakers("a", "b").add_node("below", inner), "a", "below", "b")


@case({"n": 0}, answers={"how many?": ["few", "none", 3]})
def an_interrupt_in_a_loop_until_the_answer_will_do() -> Builder:
    def node(state: Log) -> dict[str, Any]:
        did("ask")
        answer = interrupt("how many?")
        return {"log": [str(answer)], "n": answer if isinstance(answer, int) else 0}

    builder = graph_of(Log).add_node("ask", node).add_edge(START, "ask")
    return builder.add_conditional_edges("ask", lambda state: END if state["n"] else "ask")


@case({"n": 0}, answers={"0?": ["a"], "1?": ["b"], "2?": ["c"]})
def interrupts_of_nodes_one_after_the_other() -> Builder:
    def of(number: int) -> Callable[[Log], dict[str, Any]]:
        def node(state: Log) -> dict[str, Any]:
            did(f"ask {number}")
            return {"log": [interrupt(f"{number}?")]}

        return node

    builder = graph_of(Log)
    for number in range(3):
        builder.add_node(f"ask{number}", of(number))
    return chain(builder, "ask0", "ask1", "ask2")


@case({"n": 0}, answers={"which way?": ["b"]})
def an_interrupt_in_an_edge() -> Builder:
    def way(state: Log) -> str:
        did("choose")
        return str(interrupt("which way?"))

    builder = chain(speakers("first", "a", "b"), "first")
    return builder.add_conditional_edges("first", way, ["a", "b"])


@case({"n": 1}, answers={"x?": ["for x"], "y?": ["for y"]}, side_by_side=True)
def interrupts_side_by_side_after_work_that_takes_turns() -> Builder:
    def working(name: str, turns: int) -> Any:
        async def node(state: Log) -> dict[str, Any]:
            did(name)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            return {"log": [name]}

        return node

    def asking(name: str) -> Any:
        def node(state: Log) -> dict[str, Any]:
            did(f"ask {name}")
            return {"log": [f"{name} {interrupt(f'{name}?')}"]}

        return node

    builder = graph_of(Log)
    for turns, name in enumerate("abcd"):
        builder.add_node(name, working(name, turns * 10)).add_edge(START, name)
    for name in "xy":
        builder.add_node(name, asking(name)).add_edge(list("abcd"), name)
    return builder
