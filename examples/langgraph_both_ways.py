"""LangGraph both ways: our graph under its checkpointer, its graph as our flow. No model, no key.

python examples/langgraph_both_ways.py
"""

import operator
import tempfile
from pathlib import Path
from typing import Annotated, Any

import anyio
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from agentflow import Graph, Input, Journal, Node, Output, Runner, RunPausedError, ask, flow
from agentflow.interop.langgraph import from_langgraph, to_langgraph

# Ours, for LangGraph -----------------------------------------------------------------------


@flow
async def outline(topic: str) -> list[str]:
    return [f"{topic}: {part}" for part in ("past", "future")]


@flow
async def approve(parts: list[str]) -> str:
    answer: str = await ask(f"Publish {len(parts)} parts?", choices=("yes", "no"))
    return "published" if answer == "yes" else "kept"


REPORT = Graph(
    "report",
    inputs={"topic": str},
    nodes={
        "outline": Node(outline, topic=Input("topic")),
        "approve": Node(approve, parts=Output("outline")),
    },
    output="approve",
)

# For LangGraph Studio: langgraph.json names this variable, and the server brings its own checkpointer.
studio = to_langgraph(REPORT)

# LangGraph's, for us -----------------------------------------------------------------------


class State(TypedDict, total=False):
    words: list[str]
    found: Annotated[list[str], operator.add]


def spread(state: State) -> list[Send]:
    return [Send("look", {"word": word}) for word in state["words"]]


def look(item: dict[str, str]) -> dict[str, Any]:
    return {"found": [item["word"].upper()]}


def choose(state: State) -> dict[str, Any]:
    chosen = interrupt(f"Which one of {', '.join(state['found'])}?")
    return {"found": [f"chosen: {chosen}"]}


builder: Any = StateGraph(State)
builder.add_node("look", look).add_node("choose", choose)
builder.add_conditional_edges(START, spread, ["look"]).add_edge("look", "choose")
search = from_langgraph(builder.compile(), name="search")


async def main(folder: Path) -> None:
    runner = Runner(journal=folder / "journal.db")

    graph = to_langgraph(REPORT, runner=runner, checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({"topic": "tea"}, thread)
    print("LangGraph asks:", state["__interrupt__"][0].value["question"])
    state = await graph.ainvoke(Command(resume="yes"), thread)
    print("and ends with:", state["output"])

    try:
        await runner.run_as("search-1", search, {"words": ["salt", "sand"]})
    except RunPausedError as paused:
        print("Our run asks:", paused.questions[0]["text"])
    with Journal(runner.journal) as journal:
        journal.answer("search-1", "SAND")
    result = await runner.resume(search, "search-1")
    print("and ends with:", result.output["found"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, Path(folder))
