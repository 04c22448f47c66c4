"""The shape of a run, read from the record of real flows, with one permit and with many."""

import pytest
from agentflow_evals.prediction.recorded import predecessors, recorded_shape
from agentflow_evals.prediction.shape import Shape, Work

from agentflow import Graph, Input, Node, Output, Runner, flow, generate, parallel, tool
from agentflow.errors import EvaluationError
from tests.evals.prediction.parts import call_order, recorded, usage
from tests.parts import Scripted

EACH_PERMITS = pytest.mark.parametrize("permits", [1, 8])


@tool
def weigh(text: str) -> int:
    """Return its length."""
    return len(text)


@flow
async def say(text: str) -> str:
    return (await generate(text)).text


@flow
async def twice(text: str) -> str:
    return await say(await say(text))


@flow
async def spread() -> str:
    first = await say("first")
    found = await parallel(twice(f"{first} {n}") for n in range(2))
    await weigh(" ".join(found))
    return await say(" ".join(found))


def shape_of(which: object, permits: int, **arguments: str) -> Shape:
    model = Scripted(str.upper, concurrency=permits)
    runner = Runner(model=model, journal=":memory:", tools=[weigh])
    return recorded_shape(runner.run(which, **arguments).record)  # type: ignore[arg-type]


@EACH_PERMITS
def test_branches_are_side_by_side_and_what_follows_them_waits_for_all(permits: int) -> None:
    shape = shape_of(spread, permits)
    assert len(shape.calls) == 6
    order = call_order(shape)
    assert {(0, n) for n in range(1, 6)} | {(n, 5) for n in range(5)} <= order
    branches = {(a, b) for a, b in order if a not in (0, 5) and b not in (0, 5)}
    assert len(branches) == 2
    assert len({call for pair in branches for call in pair}) == 4


@EACH_PERMITS
def test_a_graph_keeps_its_links_and_no_layers(permits: int) -> None:
    diamond = Graph(
        "diamond",
        inputs={"text": str},
        nodes={
            "top": Node(say, text=Input("text")),
            "left": Node(twice, text=Output("top")),
            "right": Node(say, text=Input("text")),
            "end": Node(say, text=Output("left")),
        },
        output=("end", "right"),
    )
    record = Runner(model=Scripted(str.upper, concurrency=permits), journal=":memory:").run(
        diamond, text="a"
    )
    order = call_order(recorded_shape(record.record))
    assert len(order) == 6  # a chain of four calls, and one beside it


def test_tokens_are_those_of_the_run() -> None:
    shape = shape_of(twice, 1, text="two words")
    assert [(call.input_tokens, call.output_tokens) for call in shape.calls] == [(2, 2), (2, 2)]


def test_a_tool_is_work_that_needs_no_permit() -> None:
    shape = shape_of(spread, 1)
    assert any(isinstance(part, Work) and "weigh" in name for name, part in shape.parts.items())


def test_the_time_between_two_calls_is_kept() -> None:
    details = {"usage": usage(5, 5)}
    shape = recorded_shape(recorded((1, 2, details), (5, 6, details)))
    assert [call.delay_s for call in shape.calls] == [1, 3]


def test_wide_layers_meet_in_a_join() -> None:
    details = {"usage": usage(5, 5)}
    layers = [(start, start + 1, details) for start in (0, 2) for _ in range(40)]
    shape = recorded_shape(recorded(*layers))
    assert len(call_order(shape)) == 1600
    assert shape.graph.number_of_edges() < 250


def test_a_layer_waits_for_the_layer_before_it_and_for_none_further_back() -> None:
    details = {"usage": usage(5, 5)}
    record = recorded(*((start, start + 1, details) for start in (0, 2, 4) for _ in range(3)))
    found = {
        step.number: [other.number for other in before]
        for step, before in predecessors(record.steps[1].children)
    }
    layers = [[2, 3, 4], [5, 6, 7], [8, 9, 10]]
    wanted = {
        n: before for before, layer in zip([[], *layers], layers, strict=False) for n in layer
    }
    assert found == wanted


def test_a_run_that_has_not_ended_has_no_shape_yet() -> None:
    record = recorded((0, 1, {"usage": usage(5, 5)}))
    record.steps[2].ended_at = None
    with pytest.raises(EvaluationError, match="has not ended"):
        recorded_shape(record)


def test_a_run_without_calls_has_nothing_to_predict() -> None:
    with pytest.raises(EvaluationError, match="made no call"):
        recorded_shape(recorded((0, 1, {})))
