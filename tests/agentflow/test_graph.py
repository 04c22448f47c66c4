"""Declared graphs: what is wrong is found at once and named; what is right runs as dataflow."""

from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agentflow import Graph, Input, Node, Output, Runner, flow
from agentflow.errors import GraphError
from agentflow.graph import fits
from tests.parts import shape

pytestmark = pytest.mark.anyio


class Outline(BaseModel):
    title: str
    sections: list[str]


@flow
async def plan(topic: str) -> Outline:
    return Outline(title=topic.title(), sections=[f"{topic} {number}" for number in range(2)])


@flow
async def draft(sections: list[str], tone: str = "plain") -> str:
    return f"{tone}: " + "; ".join(sections)


@flow
async def merge(title: str, text: str) -> str:
    return f"{title}. {text}"


def report(**changes: Any) -> Graph:
    nodes = {
        "final": Node(merge, title=Output("outline", "title"), text=Output("text")),
        "text": Node(draft, sections=Output("outline", "sections"), tone="dry"),
        "outline": Node(plan, topic=Input("topic")),
    }
    declared: dict[str, Any] = {
        "inputs": {"topic": str},
        "nodes": nodes,
        "output": "final",
    } | changes
    return Graph("report", **declared)


async def test_a_graph_runs_as_a_flow_and_records_what_fed_what(journal: str) -> None:
    runner = Runner(journal=journal)
    graph = report()
    result = await runner.run_async(graph, topic="tea")
    assert result.output == "Tea. dry: tea 0; tea 1"
    steps = {step.name: step for step in result.record.steps.values()}
    assert steps["final"].links == (steps["outline"].number, steps["text"].number)
    replayed = await runner.replay(graph, result.id)
    assert shape(replayed.record) == shape(result.record)


async def test_graphs_nest() -> None:
    outer = Graph(
        "outer",
        inputs={"topic": str},
        nodes={
            "inner": Node(report(), topic=Input("topic")),
            "again": Node(plan, topic=Output("inner")),
        },
        output=("inner", "again"),
    )
    result = await Runner(journal=":memory:").run_async(outer, topic="tea")
    assert result.output["inner"].startswith("Tea.")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {
                "nodes": {
                    "a": Node(plan, topic=Output("b")),
                    "b": Node(plan, topic=Output("a", "title")),
                },
                "output": "a",
            },
            "nodes need each other in a circle: b -> a -> b",
        ),
        ({"nodes": {"a": Node(plan)}, "output": "a"}, "node 'a' leaves 'topic' of plan unbound"),
        (
            {"nodes": {"a": Node(plan, topic=Input("theme"))}, "output": "a"},
            "a.topic takes input 'theme', which is not declared",
        ),
        (
            {"nodes": {"a": Node(plan, topic=Output("z"))}, "output": "a"},
            r"a.topic refers to node 'z', which does not exist \(nodes: a\)",
        ),
        (
            {"nodes": {"a": Node(plan, topic="x", size=2)}, "output": "a"},
            "node 'a' binds 'size', which plan does not take",
        ),
        (
            {
                "nodes": {"a": Node(plan, topic="x"), "b": Node(draft, sections=Output("a"))},
                "output": "b",
            },
            r"b.sections is list\[str\], but node 'a' gives Outline",
        ),
        (
            {
                "nodes": {
                    "a": Node(plan, topic="x"),
                    "b": Node(merge, title=Output("a", "name"), text=""),
                },
                "output": "b",
            },
            "b.title takes field 'name', which Outline does not have",
        ),
        (
            {
                "nodes": {
                    "a": Node(plan, topic="x"),
                    "b": Node(merge, title=Output("a", "sections"), text=""),
                },
                "output": "b",
            },
            r"b.title is str, but node 'a' field 'sections' gives list\[str\]",
        ),
        ({"nodes": {}, "output": "a"}, "it has no nodes"),
        ({"output": "nothing"}, "output refers to node 'nothing'"),
        ({"inputs": {"topic": int}}, "outline.topic is str, but input 'topic' gives int"),
    ],
)
def test_a_wrong_declaration_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(GraphError, match=f"graph 'report': {problem}"):
        report(**changes)


@pytest.mark.parametrize(
    ("given", "wanted", "is_fit"),
    [
        (int, float, True),
        (bool, int, True),
        (str, int, False),
        (int, int | None, True),
        (int | None, int, False),
        (list[int], list[str], False),
        (list[int], list[Any], True),
        (dict[str, int], dict[str, float], True),
        (list, list[int], True),
        (Any, int, True),
        (tuple[int, ...], tuple[int, int], True),
        (list[int], tuple[int, ...], False),
    ],
)
def test_types_fit_or_not(given: Any, wanted: Any, is_fit: bool) -> None:
    assert fits(given, wanted) is is_fit


async def test_a_node_does_not_wait_for_an_unrelated_slow_sibling() -> None:
    released = anyio.Event()

    @flow
    async def slow() -> str:
        await released.wait()  # with a barrier between layers nobody would ever set it
        return "slow"

    @flow
    async def quick() -> str:
        return "quick"

    @flow
    async def after(text: str) -> str:
        released.set()
        return f"after {text}"

    @flow
    async def join(left: str, right: str) -> str:
        return f"{left}, {right}"

    graph = Graph(
        "uneven",
        inputs={},
        nodes={
            "slow": Node(slow),
            "quick": Node(quick),
            "after": Node(after, text=Output("quick")),
            "join": Node(join, left=Output("slow"), right=Output("after")),
        },
        output="join",
    )
    assert (await Runner(journal=":memory:").run_async(graph)).output == "slow, after quick"
