"""A graph of ours for the LangGraph server: a graph within a graph, and a question to a person.

langgraph dev --allow-blocking
"""

from typing import NamedTuple

from agentflow import Graph, Input, Node, Output, ask, flow
from agentflow.interop.langgraph import to_langgraph


class Part(NamedTuple):
    """One heading of a report and its text."""

    heading: str
    text: str


@flow
async def outline(topic: str) -> list[str]:
    """Return the headings of a report."""
    return [f"{topic}: {word}" for word in ("past", "future")]


@flow
async def fill(headings: list[str]) -> list[Part]:
    """Return a text for every heading."""
    return [Part(heading, f"All about {heading}.") for heading in headings]


@flow
async def approve(parts: list[Part]) -> str:
    """Ask a person whether the report may go out."""
    answer = await ask(f"Publish {len(parts)} parts?", choices=("yes", "no"))
    return "\n".join(part.text for part in parts) if answer == "yes" else "kept back"


draft = Graph(
    "draft",
    inputs={"topic": str},
    nodes={
        "outline": Node(outline, topic=Input("topic")),
        "fill": Node(fill, headings=Output("outline")),
    },
    output="fill",
)
report = Graph(
    "report",
    inputs={"topic": str},
    nodes={
        "draft": Node(draft, topic=Input("topic")),
        "approve": Node(approve, parts=Output("draft")),
    },
    output="approve",
)

graph = to_langgraph(report)  # langgraph.json names it; the server brings its own checkpointer
