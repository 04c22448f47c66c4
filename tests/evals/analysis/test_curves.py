"""Accuracy against a budget of tokens."""

import pytest
from agentflow_evals.analysis.curves import Point, budgets_of, curves_of, equal_budget
from agentflow_evals.outcome import Cell, Outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.report_parts import evaluation, outcome, plan


def run(sample: str, status: str, tokens: int, repeat: int = 0) -> Outcome:
    return outcome(Cell(sample, "direct", "small", repeat), status, output_tokens=tokens)


def test_a_sample_is_solved_from_the_tokens_of_its_run_on() -> None:
    found = [run("a", "passed", 500), run("b", "passed", 100), run("c", "failed", 50)]
    assert equal_budget(found) == (Point(0, 0), Point(100, 1 / 3), Point(500, 2 / 3))
    (curve,) = curves_of(evaluation(plan(["a"], ["direct"]), lambda _cell: {"output_tokens": 7}))
    assert [curve.share_at(tokens) for tokens in (0, 6, 7, 1e9)] == [0, 0, 1, 1]


def test_a_sample_with_repeats_counts_by_the_share_of_its_runs_and_errors_not_at_all() -> None:
    found = [run("a", "passed", 10), run("a", "refused", 5, 1), run("b", "passed", 20)]
    found += [run("b", "error", 1, 1), run("c", "error", 1)]
    assert equal_budget(found) == (Point(0, 0), Point(10, 0.25), Point(20, 0.75))


def test_there_is_no_curve_without_an_outcome_that_counts() -> None:
    assert equal_budget([]) == (Point(0, 0),)
    assert curves_of(evaluation(plan(["a"]), lambda _cell: {"status": "error"})) == ()


RUNS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["passed", "failed", "refused", "error"]),
        st.integers(0, 10_000),
    ),
    max_size=12,
)


@given(RUNS)
def test_more_tokens_never_solve_less_and_all_of_them_solve_what_was_solved(
    runs: list[tuple[str, str, int]],
) -> None:
    found = [
        run(sample, status, tokens, number) for number, (sample, status, tokens) in enumerate(runs)
    ]
    points = equal_budget(found)
    shares = [point.share for point in points]
    assert shares == sorted(shares)
    assert [point.tokens for point in points] == sorted({point.tokens for point in points})
    counted = {one.sample for one in found if one.is_counted}
    rates = []
    for sample in counted:
        own = [one.passed for one in found if one.sample == sample and one.is_counted]
        rates.append(sum(own) / len(own))
    assert shares[-1] == pytest.approx(sum(rates) / len(rates) if rates else 0)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=20), st.integers(2, 8))
def test_round_budgets_reach_from_the_first_to_the_last_rise(tokens: list[int], count: int) -> None:
    curves = curves_of(
        evaluation(
            plan([f"s{number}" for number in range(len(tokens))], ["direct"]),
            lambda cell: {"output_tokens": tokens[int(cell.sample[1:])]},
        )
    )
    steps = budgets_of(curves, count)
    assert 1 <= len(steps) <= count
    assert steps == sorted(set(steps))
    assert curves[0].share_at(steps[-1]) == 1
    assert all(str(step).rstrip("0") in ("1", "2", "5") for step in steps)


def test_nothing_solved_has_no_budgets() -> None:
    assert budgets_of([]) == []
