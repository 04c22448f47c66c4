"""LangGraph's StateGraph. The tree is a graph that invokes itself, the way to get results back."""

import asyncio
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from pydantic import BaseModel

from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.peers.langgraph_savers import Saving, either, saving
from benchmarks.workloads import FIRST, Answer, Question, Workload, follow_up

Built = tuple[Any, dict[str, Any], str]  # a compiled graph, its input, the key of its result


class Place(TypedDict):
    place: int


class Sum(TypedDict):
    total: Annotated[int, operator.add]


class Branch(TypedDict):
    place: int
    left: int


class Node(TypedDict):
    depth: int
    total: int


class Asked(BaseModel):
    question: Question
    answer: Answer | None = None
    number: int = 0


@asynccontextmanager
async def opened(configuration: str, folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    build = {"chain": _chain, "typed": _typed, "fan": _fan, "tree": _tree, "chains": _chains}
    async with saving(configuration, folder) as kept:
        graph, given, key = build[workload.shape](kept, workload)

        async def once() -> int:
            return int((await kept.run(graph, given))[key])

        yield once


def _chain(kept: Saving, workload: Workload) -> Built:
    async def step(state: Place) -> Place:
        return {"place": await workloads.advance(state["place"])}

    def step_now(state: Place) -> Place:
        return {"place": workloads.advance_now(state["place"])}

    graph = StateGraph(Place)
    graph.add_node("step", either(kept, step, step_now))
    graph.add_edge(START, "step")
    graph.add_conditional_edges(
        "step", lambda state: "step" if state["place"] < workload.length else END, ["step", END]
    )
    return graph.compile(checkpointer=kept.saver), {"place": 0}, "place"


def _typed(kept: Saving, workload: Workload) -> Built:
    def moved_on(given: Answer) -> dict[str, Any]:
        return {"question": follow_up(given), "answer": given, "number": given.number}

    async def step(state: Asked) -> dict[str, Any]:
        return moved_on(await workloads.answer(state.question))

    def step_now(state: Asked) -> dict[str, Any]:
        return moved_on(workloads.answer_now(state.question))

    graph = StateGraph(Asked)
    graph.add_node("step", either(kept, step, step_now))
    graph.add_edge(START, "step")
    graph.add_conditional_edges(
        "step", lambda state: "step" if state.number < workload.length else END, ["step", END]
    )
    return graph.compile(checkpointer=kept.saver), {"question": FIRST}, "number"


def _fan(kept: Saving, workload: Workload) -> Built:
    async def step(state: Place) -> Sum:
        return {"total": await workloads.advance(state["place"])}

    def step_now(state: Place) -> Sum:
        return {"total": workloads.advance_now(state["place"])}

    async def join(_state: Sum) -> Sum:
        await asyncio.sleep(0)
        return {"total": 0}  # the reducer has added the branches up

    def join_now(_state: Sum) -> Sum:
        return {"total": 0}

    graph = StateGraph(Sum)
    graph.add_node("step", either(kept, step, step_now))
    graph.add_node("join", either(kept, join, join_now))
    graph.add_conditional_edges(
        START,
        lambda _state: [Send("step", {"place": place}) for place in range(workload.width)],
        ["step"],
    )
    graph.add_edge("step", "join")
    graph.add_edge("join", END)
    return graph.compile(checkpointer=kept.saver), {"total": 0}, "total"


def _tree(kept: Saving, workload: Workload) -> Built:
    async def expand(state: Node) -> dict[str, int]:
        await asyncio.sleep(0)
        if state["depth"] == 0:
            return {"total": 1}
        child = {"depth": state["depth"] - 1, "total": 0}
        left, right = await asyncio.gather(inner.ainvoke(child), inner.ainvoke(child))
        return {"total": 1 + left["total"] + right["total"]}

    def expand_now(state: Node) -> dict[str, int]:
        if state["depth"] == 0:
            return {"total": 1}
        child = {"depth": state["depth"] - 1, "total": 0}
        left, right = inner.invoke(child), inner.invoke(child)
        return {"total": 1 + left["total"] + right["total"]}

    graph = StateGraph(Node)
    graph.add_node("expand", either(kept, expand, expand_now))
    graph.add_edge(START, "expand")
    graph.add_edge("expand", END)
    inner = graph.compile()  # takes the checkpointer of the graph that invokes it, as documented
    outer = graph.compile(checkpointer=kept.saver) if kept.saver else inner
    return outer, {"depth": workload.length, "total": 0}, "total"


def _chains(kept: Saving, workload: Workload) -> Built:
    """Let each branch send itself on; all of them still meet after every step."""

    def moved_on(place: int, left: int) -> Command[Any]:
        if left == 1:
            return Command(update={"total": place})
        return Command(goto=Send("step", {"place": place, "left": left - 1}))

    body = workloads.pause if workload.uneven else workloads.advance
    body_now = workloads.pause_now if workload.uneven else workloads.advance_now

    async def step(state: Branch) -> Command[Any]:
        return moved_on(await body(state["place"]), state["left"])

    def step_now(state: Branch) -> Command[Any]:
        return moved_on(body_now(state["place"]), state["left"])

    starts = [
        Send("step", {"place": number * workload.length, "left": workload.length})
        for number in range(workload.width)
    ]
    graph = StateGraph(Sum)
    graph.add_node("step", either(kept, step, step_now), destinations=("step",))
    graph.add_conditional_edges(START, lambda _state: starts, ["step"])
    return graph.compile(checkpointer=kept.saver), {"total": 0}, "total"
