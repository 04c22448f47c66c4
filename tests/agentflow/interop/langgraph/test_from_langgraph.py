"""Conformance: a graph of LangGraph does the same natively and as a flow of ours.

For every case: the same output, and the same effects in the same order; where nodes run side by side,
the same set of effects in every superstep. Cases with interrupts are compared three ways: natively,
with somebody there to answer, and with a run that pauses for every answer.
"""

import copy
from typing import Any

import pytest

pytest.importorskip("langgraph", reason="the extra `langgraph` is not installed")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentflow import Flow, Journal, Runner, RunPausedError
from agentflow.data import canonical
from agentflow.engine.people import Question
from agentflow.interop.langgraph import from_langgraph
from tests.agentflow.interop.langgraph import graphs_asking, graphs_nested, graphs_of_states
from tests.agentflow.interop.langgraph.graphs import CASES, Case
from tests.agentflow.interop.langgraph.recording import Effect, effects, in_supersteps, settled

pytestmark = pytest.mark.anyio

MODULES = (graphs_asking, graphs_nested, graphs_of_states)  # each puts its cases into the suite
Seen = tuple[Any, list[Effect]]
GIVEN = [(case, at) for case in CASES for at in range(len(case.given))]
NAMES = [f"{case.name}-{at}" for case, at in GIVEN]
ASKING = [case for case in CASES if case.answers]


class Person:
    """Answers each question with the next of the answers to it."""

    def __init__(self, case: Case) -> None:
        self._left = copy.deepcopy(case.answers)

    def __call__(self, question: Question) -> Any:
        return self.answer(question.text)

    def answer(self, text: str) -> Any:
        return self._left[text].pop(0)


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value).decode()


async def natively(case: Case, given: Any) -> Seen:
    graph = case.build().compile(checkpointer=InMemorySaver())
    config = {
        **case.config,
        "configurable": {"thread_id": "1", **case.config.get("configurable", {})},
    }
    person = Person(case)
    with effects() as found:
        try:
            output = await graph.ainvoke(given, config, context=case.context)
            while isinstance(output, dict) and output.get("__interrupt__"):
                asked = output["__interrupt__"]
                answers = {item.id: person.answer(text_of(item.value)) for item in asked}
                output = await graph.ainvoke(Command(resume=answers), config, context=case.context)
        except Exception as error:  # noqa: BLE001 - compared
            return error, found
    return output, found


def flow_of(case: Case) -> Flow[[Any], Any]:
    graph = case.build().compile()
    return from_langgraph(graph, name=case.name, config=case.config, context=case.context)


async def as_flow(case: Case, given: Any, journal: str) -> Seen:
    with effects() as found:
        try:
            runner = Runner(journal=journal, ask=Person(case))
            result = await runner.run_as("run", flow_of(case), given)
        except Exception as error:  # noqa: BLE001 - compared
            return error, found
    return result.output, found


async def paused_for_every_answer(case: Case, given: Any, journal: str) -> Seen:
    runner, person = Runner(journal=journal), Person(case)
    with effects() as found:
        try:
            result = await runner.run_as("run", flow_of(case), given)
        except RunPausedError as pause:
            paused: RunPausedError | None = pause
        while paused is not None:
            with Journal(journal) as opened:
                for question in paused.questions:
                    answer = person.answer(question["text"])
                    opened.answer("run", answer, step=question["step"])
            try:
                result, paused = await runner.resume(flow_of(case), "run"), None
            except RunPausedError as pause:
                paused = pause
    return result.output, found


def assert_same(case: Case, ours: Seen, native: Seen) -> None:
    if case.error is not None:
        assert type(native[0]) is case.error
        assert type(ours[0]) is type(native[0])
        assert str(ours[0]) == str(native[0])
    else:
        assert settled(ours[0]) == settled(native[0])
    assert native[1], "a case without effects shows nothing"
    assert in_supersteps(ours[1]) == in_supersteps(native[1])
    if not case.side_by_side:
        assert ours[1] == native[1]


def test_the_suite_is_as_large_as_it_says() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 25


@pytest.mark.parametrize(("case", "at"), GIVEN, ids=NAMES)
async def test_a_graph_does_the_same_natively_and_as_a_flow(
    case: Case, at: int, journal: str
) -> None:
    native = await natively(case, copy.deepcopy(case.given[at]))
    ours = await as_flow(case, copy.deepcopy(case.given[at]), journal)
    assert_same(case, ours, native)


@pytest.mark.parametrize("case", ASKING, ids=lambda case: case.name)
async def test_an_interrupt_is_a_pause_after_which_nothing_is_done_twice(
    case: Case, journal: str
) -> None:
    native = await natively(case, copy.deepcopy(case.given[0]))
    ours = await paused_for_every_answer(case, copy.deepcopy(case.given[0]), journal)
    assert_same(case, ours, native)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.error], ids=lambda case: case.name
)
async def test_a_replay_gives_the_same_state(case: Case, journal: str) -> None:
    given = copy.deepcopy(case.given[0])
    with effects():
        flow = flow_of(case)
        runner = Runner(journal=journal, ask=Person(case))
        result = await runner.run_as("run", flow, given)
        again = await Runner(journal=journal).replay(flow, "run")
    assert again.output == result.output
