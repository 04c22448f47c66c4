"""Predictions: closed forms against their formulas, expectations, chunk sizes, refusals."""

import math

import pytest
from agentflow_evals.prediction.chunks import best_chunk, sweep_chunks
from agentflow_evals.prediction.figures import CallFigures, Line
from agentflow_evals.prediction.forms import chain, graph_shape, map_reduce, tree
from agentflow_evals.prediction.prediction import predict
from agentflow_evals.prediction.shape import Call, Shape, Work
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Graph, Input, Node, Output, flow
from agentflow.errors import EvaluationError
from agentflow.models.protocol import Price

LINE = Line(fixed_s=0.1, input_token_s=0.001, output_token_s=0.01)
PLAIN = CallFigures(latency=LINE, price=Price(input=1.0, output=10.0))
ONE = Call(input_tokens=100, output_tokens=30)  # 0.5 s
EACH, ITEM = Call(input_tokens=60, output_tokens=0), Call(input_tokens=10, output_tokens=5)
counts = st.integers(1, 40)


@given(counts, st.integers(1, 20))
def test_equal_calls_take_as_many_rounds_as_the_permits_make_necessary(k: int, p: int) -> None:
    found = predict(
        map_reduce(k, 1, each=ONE, item=Call(input_tokens=0, output_tokens=0)), PLAIN, p
    )
    assert found.seconds == pytest.approx(math.ceil(k / p) * 0.5)


@given(counts, counts)
def test_every_item_is_read_once_and_every_call_repeats_the_instructions(n: int, m: int) -> None:
    found = predict(map_reduce(n, m, each=EACH, item=ITEM), PLAIN, 1)
    assert found.calls == math.ceil(n / m)
    assert found.input_tokens == found.calls * 60 + n * 10
    assert found.output_tokens == n * 5


def test_a_merge_reads_the_answers_and_comes_last() -> None:
    merge = Call(input_tokens=20, output_tokens=7)
    shape = map_reduce(6, 2, each=EACH, item=ITEM, merge=merge)
    assert shape.calls[-1] == Call(input_tokens=20 + 6 * 5, output_tokens=7)
    parts = (
        predict(shape, PLAIN, 99).seconds
        - predict(map_reduce(2, 2, each=EACH, item=ITEM), PLAIN, 1).seconds
    )
    assert parts == pytest.approx(LINE.seconds(shape.calls[-1]))


@given(st.integers(1, 30), st.integers(1, 16))
def test_permits_do_not_help_a_chain(k: int, p: int) -> None:
    shape = chain(k, ONE, carried_tokens=10)
    whole = 0.5 * k + 0.001 * 10 * k * (k - 1) / 2
    assert predict(shape, PLAIN, p).seconds == pytest.approx(whole)


@pytest.mark.parametrize(("branching", "depth", "calls"), [(3, 2, 17), (2, 3, 22), (4, 0, 1)])
def test_a_tree_has_the_calls_of_its_formula(branching: int, depth: int, calls: int) -> None:
    shape = tree(branching, depth, leaf=ONE, split=ONE, merge=ONE)
    assert len(shape.calls) == calls
    assert predict(shape, PLAIN, 999).calls == calls


def test_a_tree_with_permits_for_all_takes_one_call_a_level_down_and_up() -> None:
    shape = tree(3, 2, leaf=ONE, split=ONE)
    assert predict(shape, PLAIN, 99).seconds == pytest.approx(3 * 0.5)
    assert predict(shape, PLAIN, 1).seconds == pytest.approx((9 + 4) * 0.5)


def test_the_price_is_that_of_the_tokens() -> None:
    found = predict(chain(4, ONE), PLAIN, 1)
    assert found.cost_usd == pytest.approx(4 * (100 * 1.0 + 30 * 10.0) / 1e6)


@pytest.mark.parametrize("p", [1, 4, 16])
def test_a_prediction_is_never_below_its_bound_and_uses_no_more_than_all_permits(p: int) -> None:
    found = predict(tree(3, 3, leaf=ONE, split=ONE, merge=ONE), PLAIN, p)
    assert found.at_mean_s >= found.bound_s - 1e-9
    assert 0 < found.utilisation <= 1 + 1e-9


def test_what_keeps_the_thread_busy_bounds_the_run_whatever_the_permits() -> None:
    busy = CallFigures(latency=LINE, thread=Line(fixed_s=0.1))
    shape = map_reduce(50, 1, each=ONE, item=Call(input_tokens=0, output_tokens=0))
    assert predict(shape, busy, 50).seconds >= 50 * 0.1 - 1e-9


def test_where_latencies_vary_parallel_calls_are_slower_than_their_mean_and_chains_are_not() -> (
    None
):
    varied = CallFigures(latency=LINE, ratios=(0.5, 0.75, 1.0, 1.25, 1.5))
    side_by_side = map_reduce(16, 1, each=ONE, item=Call(input_tokens=0, output_tokens=0))
    wide = predict(side_by_side, varied, 16, draws=200)
    deep = predict(chain(200, ONE), varied, 1, draws=50)
    assert wide.at_mean_s == pytest.approx(0.5)
    assert 0.70 < wide.seconds <= 0.75  # almost always one of 16 is among the slowest
    assert deep.low_s < deep.seconds < deep.high_s
    assert deep.seconds == pytest.approx(100, rel=0.02)


def test_the_same_seed_predicts_the_same() -> None:
    varied = CallFigures(latency=LINE, ratios=(0.5, 1.5))
    shape = tree(2, 2, leaf=ONE)
    assert predict(shape, varied, 2, seed=3) == predict(shape, varied, 2, seed=3)
    assert predict(shape, varied, 2, seed=3) != predict(shape, varied, 2, seed=4)


def test_one_permit_wants_one_large_chunk_and_many_permits_want_many() -> None:
    def best(p: int) -> int:
        return best_chunk(sweep_chunks(64, PLAIN, p, each=EACH, item=ITEM)).prediction.calls

    assert (best(1), best(4), best(16)) == (1, 4, 16)


def test_the_best_chunk_is_the_least_of_all_and_the_cheapest_is_the_largest() -> None:
    choices = sweep_chunks(30, PLAIN, 3, each=EACH, item=ITEM, merge=ONE, chunks=range(1, 31))
    assert best_chunk(choices).prediction.seconds == min(c.prediction.seconds for c in choices)
    assert best_chunk(choices, "cost_usd").chunk == 30


@flow
async def word(text: str) -> str:
    return text


def test_a_declared_graph_has_the_order_of_its_nodes() -> None:
    graph = Graph(
        "two",
        inputs={"text": str},
        nodes={"one": Node(word, text=Input("text")), "two": Node(word, text=Output("one"))},
        output="two",
    )
    inner = map_reduce(4, 1, each=ONE, item=Call(input_tokens=0, output_tokens=0))
    shape = graph_shape(graph, {"one": inner, "two": Work(0.25)})
    assert predict(shape, PLAIN, 2).seconds == pytest.approx(2 * 0.5 + 0.25)
    with pytest.raises(EvaluationError, match="check two"):
        graph_shape(graph, {"one": ONE})


def test_models_have_their_own_figures_and_permits() -> None:
    parts = {name: Call(input_tokens=0, output_tokens=0, model=name) for name in ("slow", "fast")}
    figures = {
        "slow": CallFigures(latency=Line(fixed_s=3.0)),
        "fast": CallFigures(latency=Line(fixed_s=1.0)),
    }
    assert predict(Shape(parts), figures, 1).seconds == pytest.approx(3)
    with pytest.raises(EvaluationError, match="no figures of fast"):
        predict(Shape(parts), {"slow": PLAIN}, 1)


def test_the_bound_counts_the_permits_of_every_model() -> None:
    names = ["slow"] * 6 + ["fast"] * 6
    calls = [Call(input_tokens=0, output_tokens=0, model=name) for name in names]
    figures = {
        "slow": CallFigures(latency=Line(fixed_s=3.0)),
        "fast": CallFigures(latency=Line(fixed_s=1.0)),
    }
    found = predict(Shape({str(place): call for place, call in enumerate(calls)}), figures, 2)
    assert (found.work_s, found.busiest_s) == pytest.approx((24, 18))
    assert found.bound_s == pytest.approx(6 * 3 / 2)
    assert found.at_mean_s >= found.bound_s - 1e-9


def test_what_cannot_be_predicted_is_refused_in_a_line() -> None:
    with pytest.raises(EvaluationError, match="parallelism is at least 1"):
        predict(chain(1, ONE), PLAIN, 0)
    with pytest.raises(EvaluationError, match="no parts"):
        predict(Shape({}), PLAIN, 1)
    with pytest.raises(EvaluationError, match="circle"):
        Shape({"a": ONE, "b": ONE}, {"a": ["b"], "b": ["a"]})
    with pytest.raises(EvaluationError, match="no part 'c'"):
        Shape({"a": ONE}, {"a": ["c"]})
    with pytest.raises(EvaluationError, match="negative"):
        Shape({"a": Work(-1.0)})
    with pytest.raises(EvaluationError, match="chunk is at least 1"):
        map_reduce(4, 0, each=EACH, item=ITEM)
    unpriced = CallFigures(latency=LINE)
    with pytest.raises(EvaluationError, match="price"):
        best_chunk(sweep_chunks(4, unpriced, 1, each=EACH, item=ITEM), "cost_usd")
