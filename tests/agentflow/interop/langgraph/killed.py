"""A process that kills itself in the middle of a graph: `python -m ...killed KIND FOLDER`.

What nodes do is appended to a file, a line each, before anything else can happen; the node that is
named in the file `kill` kills the process in its midst, once.
"""

import operator
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import anyio
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from agentflow import Graph, Input, Node, Output, Runner, flow, tool
from agentflow.errors import UnknownRunError
from agentflow.interop.langgraph import from_langgraph, to_langgraph

FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
JOURNAL, SAVER = "journal.db", "saver.db"


def do(what: str) -> str:
    """Do something outside, and die there if that was asked for."""
    with (FOLDER / "done").open("a") as done:
        done.write(what + "\n")
    order = FOLDER / "kill"
    if order.exists() and order.read_text() == what:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return what


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def node(name: str) -> Any:
    return lambda _: {"log": [do(name)]}


def of_langgraph() -> Any:
    """Two nodes, a subgraph, three sent tasks and their sum."""
    below: Any = StateGraph(State).add_node("x", node("x")).add_node("y", node("y"))
    below.add_edge(START, "x").add_edge("x", "y")
    builder: Any = StateGraph(State)
    builder.add_node("a", node("a")).add_node("below", below.compile()).add_node(
        "last", node("last")
    )
    builder.add_node("work", lambda item: {"log": [do(f"work {item}")]})
    builder.add_edge(START, "a").add_edge("a", "below").add_edge("work", "last")
    builder.add_conditional_edges("below", lambda _: [Send("work", i) for i in range(3)], ["work"])
    return builder.compile()


@tool
async def act(what: str) -> str:
    """Do something outside."""
    return do(what)


@flow
async def steps(text: str) -> str:
    """Do three things one after the other."""
    for number in range(3):
        text = await act(f"{text}{number}")
    return text


INNER = Graph(
    "inner", inputs={"t": str}, nodes={"deep": Node(steps, text=Input("t"))}, output="deep"
)
OURS = Graph(
    "ours",
    inputs={"text": str},
    nodes={
        "one": Node(steps, text=Input("text")),
        "two": Node(INNER, t=Output("one")),
        "three": Node(steps, text=Output("two")),
    },
    output="three",
)


async def in_our_engine() -> str:
    runner, graph = Runner(journal=FOLDER / JOURNAL), from_langgraph(of_langgraph(), name="whole")
    try:
        result = await runner.resume(graph, "run")
    except UnknownRunError:
        result = await runner.run_as("run", graph, {"log": []})
    return ",".join(result.output["log"])


def in_langgraph() -> str:
    thread: Any = {"configurable": {"thread_id": "one"}}
    runner = Runner(journal=FOLDER / JOURNAL, tools=[act])
    with SqliteSaver.from_conn_string(str(FOLDER / SAVER)) as saver:
        graph = to_langgraph(OURS, runner=runner, checkpointer=saver)
        given = None if graph.get_state(thread).next else {"text": "t"}
        return str(graph.invoke(given, thread)["output"])


if __name__ == "__main__":
    (FOLDER / JOURNAL).touch()
    print(anyio.run(in_our_engine) if sys.argv[1] == "flow" else in_langgraph())
