"""Conformance: a graph of ours does the same in our engine, in LangGraph's, and in LangGraph's in ours.

For every case: the same output, and the same effects (calls of tools), each once. Where the nodes are in
one line the order is the same; elsewhere every effect comes after those it depends on.
"""

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph", reason="the extra `langgraph` is not installed")

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentflow import Graph, Input, Journal, Node, Runner
from agentflow.engine.people import Question
from agentflow.interop.langgraph import UnmappableError, from_langgraph, read_output, to_langgraph
from tests.agentflow.interop.langgraph.flows import (
    DIAMOND,
    NESTED,
    NESTED_REVIEW,
    OUR_CASES,
    REVIEWED,
    OurCase,
    act,
    fetch,
    line,
    say,
)
from tests.agentflow.interop.langgraph.recording import effects

pytestmark = pytest.mark.anyio

Seen = tuple[Any, list[str]]
THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


class Person:
    def __init__(self, case: OurCase) -> None:
        self._left = copy.deepcopy(case.answers)

    def __call__(self, question: Question) -> Any:
        return self.answer(question.text)

    def answer(self, text: str) -> Any:
        return self._left[text].pop(0)


def runner_of(journal: str, **options: Any) -> Runner:
    return Runner(journal=journal, tools=[act, fetch], **options)


async def natively(case: OurCase, journal: str) -> Seen:
    with effects() as found:
        try:
            runner = runner_of(journal, ask=Person(case))
            output = (await runner.run_as("native", case.flow, **case.given)).output
        except Exception as error:  # noqa: BLE001 - compared
            output = error
    return output, [what for _, what in found]


async def in_langgraph(case: OurCase, journal: str) -> Seen:
    graph = to_langgraph(case.flow, runner=runner_of(journal), checkpointer=InMemorySaver())
    person = Person(case)
    with effects() as found:
        try:
            state = await graph.ainvoke(case.given, THREAD)
            while state.get("__interrupt__"):
                asked = state["__interrupt__"]
                answers = {item.id: person.answer(item.value["question"]) for item in asked}
                state = await graph.ainvoke(Command(resume=answers), THREAD)
            output = read_output(case.flow, state)
        except Exception as error:  # noqa: BLE001 - compared
            output = error
    return output, [what for _, what in found]


async def there_and_back(case: OurCase, journal: str) -> Seen:
    graph = to_langgraph(case.flow)
    with effects() as found:
        try:
            runner = runner_of(journal, ask=Person(case))
            result = await runner.run_as("back", from_langgraph(graph), case.given)
            output = read_output(case.flow, result.output)
        except Exception as error:  # noqa: BLE001 - compared
            output = error
    return output, [what for _, what in found]


def assert_same(case: OurCase, seen: Seen, native: Seen) -> None:
    if case.error is not None:
        assert type(seen[0]) is type(native[0]) is case.error
        assert str(seen[0]) == str(native[0])
    else:
        assert seen[0] == native[0]
        assert type(seen[0]) is type(native[0])
    assert native[1], "a case without effects shows nothing"
    if case.after is None:
        assert seen[1] == native[1]
        return
    assert sorted(seen[1]) == sorted(native[1])
    for what, before in case.after.items():
        for order in (seen[1], native[1]):
            assert all(order.index(other) < order.index(what) for other in before)


@pytest.mark.parametrize("case", OUR_CASES, ids=lambda case: case.name)
async def test_a_graph_does_the_same_in_all_three(case: OurCase, journal: str) -> None:
    native = await natively(case, journal)
    assert_same(case, await in_langgraph(case, journal), native)
    assert_same(case, await there_and_back(case, journal), native)


async def test_an_answer_that_does_not_fit_is_asked_for_again(journal: str) -> None:
    graph = to_langgraph(REVIEWED, runner=runner_of(journal), checkpointer=InMemorySaver())
    with effects() as found:
        state = await graph.ainvoke({"text": "t"}, THREAD)
        asked = state["__interrupt__"][0].value
        assert (asked["question"], asked["choices"]) == ("keep t?", ["yes", "no"])
        state = await graph.ainvoke(Command(resume="maybe"), THREAD)
        assert "'maybe' is not one of yes, no" in state["__interrupt__"][0].value["problem"]
        state = await graph.ainvoke(Command(resume="no"), THREAD)
    assert state["output"] == "t no."
    assert [what for _, what in found] == ["t", "show t", "t no", "t no."]


async def test_two_questions_side_by_side_are_answered_one_by_one(journal: str) -> None:
    graph = to_langgraph(
        Graph(
            "pair",
            inputs={"text": str},
            nodes={
                "one": Node(REVIEWED, text=Input("text")),
                "two": Node(REVIEWED, text="other"),
            },
            output=("one", "two"),
        ),
        runner=runner_of(journal),
        checkpointer=InMemorySaver(),
    )
    with effects() as found:
        state = await graph.ainvoke({"text": "t"}, THREAD)
        asked = {item.value["question"]: item.id for item in state["__interrupt__"]}
        assert sorted(asked) == ["keep other?", "keep t?"]
        state = await graph.ainvoke(Command(resume={asked["keep t?"]: "yes"}), THREAD)
        state = await graph.ainvoke(Command(resume={asked["keep other?"]: "no"}), THREAD)
    assert state["output"] == {"one": "t yes.", "two": "other no."}
    assert len(found) == len(set(found)) == 8


async def test_the_runs_of_a_thread_are_in_our_journal(journal: str) -> None:
    graph = to_langgraph(NESTED, runner=runner_of(journal), checkpointer=InMemorySaver())
    with effects():
        await graph.ainvoke({"text": "t"}, THREAD)
    with Journal(journal) as opened:
        records = list(opened.runs())
    assert [record.flow for record in reversed(records)] == ["first", "x", "y", "last"]
    assert {record.settings["labels"]["langgraph"] for record in records} == {"one"}


async def test_back_in_our_engine_every_node_is_a_step_of_one_run(journal: str) -> None:
    flow = from_langgraph(to_langgraph(NESTED), name="back")
    with effects():
        result = await runner_of(journal).run_async(flow, {"text": "t"})
    steps = result.record.steps
    path = []
    for step in steps.values():
        above = steps[step.parent].name if step.parent else None
        path.append((above, step.kind, step.name))
    assert path[:4] == [
        (None, "flow", "back"),
        ("back", "code", "first"),
        ("first", "flow", "first"),
        ("first", "tool", "act"),
    ]
    assert ("back", "code", "below") in path
    assert ("below", "code", "x") in path
    with Journal(journal) as opened:
        assert len(list(opened.runs())) == 1


def test_a_thread_goes_on_in_another_process_with_sqlite(tmp_path: Path, journal: str) -> None:
    sqlite = pytest.importorskip(
        "langgraph.checkpoint.sqlite", reason="langgraph-checkpoint-sqlite is not installed"
    )
    found: list[str] = []
    state: dict[str, Any] = {}
    inputs: list[Any] = [{"text": "t"}, Command(resume="yes"), Command(resume="no")]
    for given in inputs:
        with sqlite.SqliteSaver.from_conn_string(str(tmp_path / "saver.db")) as saver:
            graph = to_langgraph(NESTED_REVIEW, runner=runner_of(journal), checkpointer=saver)
            with effects() as once:
                state = graph.invoke(given, THREAD)
        found += [what for _, what in once]
    assert state["output"] == "t yes. no."
    assert found == [
        "t",
        "show t",
        "t yes",
        "t yes.",
        "t yes.",
        "show t yes.",
        "t yes. no",
        "t yes. no.",
    ]


def test_studio_sees_nodes_and_subgraphs_and_what_goes_in() -> None:
    graph = to_langgraph(NESTED)
    assert set(graph.get_input_jsonschema()["properties"]) == {"text"}
    assert [name for name, _ in graph.get_subgraphs()] == ["below"]
    drawn = set(graph.get_graph(xray=True).nodes)
    assert {"first", "below:x", "below:y", "last"} <= drawn
    edges = {(edge.source, edge.target) for edge in to_langgraph(DIAMOND).get_graph().edges}
    assert {("__start__", "top"), ("top", "l"), ("top", "r"), ("l", "join"), ("r", "join")} <= edges


@pytest.mark.parametrize(
    ("inputs", "node", "problem"),
    [
        ({"output": str}, "a", "input 'output' has the name of a part of the state"),
        ({"text": str}, "text", "node 'text' has the name of a part of the state"),
        ({"text": str}, "a:b", "node 'a:b' has a name that LangGraph keeps for itself"),
    ],
)
def test_a_name_that_cannot_be_one_is_named(
    inputs: dict[str, Any], node: str, problem: str
) -> None:
    graph = Graph(
        "odd", inputs=inputs, nodes={node: Node(say, text=Input(next(iter(inputs))))}, output=node
    )
    with pytest.raises(UnmappableError, match=problem):
        to_langgraph(graph)


async def test_a_wrong_input_is_the_same_error(journal: str) -> None:
    graph = to_langgraph(line("typed", "a"), runner=runner_of(journal))
    with pytest.raises(Exception, match="text: Input should be a valid string, got 3"):
        await graph.ainvoke({"text": 3})
