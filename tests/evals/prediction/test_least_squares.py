"""The fit of call times: exact where it can be, not moved by what went wrong once."""

import random

import pytest
from agentflow_evals.prediction.least_squares import fit
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = [(1.0, float(20 + 37 * (n % 9)), float(3 + 11 * (n % 5))) for n in range(24)]


def line(weights: tuple[float, ...], row: tuple[float, ...]) -> float:
    return sum(weight * number for weight, number in zip(weights, row, strict=True))


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(
        st.floats(0.01, 2.0), st.one_of(st.just(0.0), st.floats(1e-4, 0.01)), st.floats(1e-3, 0.1)
    )
)
def test_exact_measurements_give_the_weights_back(weights: tuple[float, ...]) -> None:
    found = fit(SIZES, [line(weights, row) for row in SIZES])
    for row in [(1.0, 1000.0, 5.0), (1.0, 10.0, 400.0)]:
        assert line(found, row) == pytest.approx(line(weights, row), rel=0.02)


def test_two_calls_that_hung_do_not_move_the_fit() -> None:
    weights, chance = (0.05, 0.0002, 0.003), random.Random(1)
    values = [line(weights, row) * chance.uniform(0.98, 1.02) for row in SIZES]
    values[3], values[17] = 30.0, 45.0
    assert fit(SIZES, values) == pytest.approx(weights, rel=0.15)


def test_no_weight_is_negative_where_longer_answers_came_sooner() -> None:
    found = fit([(1.0, 10.0, n) for n in (1.0, 2.0, 3.0)], [3.0, 2.0, 1.0])
    assert min(found) >= 0
    assert line(found, (1.0, 10.0, 2.0)) == pytest.approx(2.0)


def test_calls_of_one_size_are_explained_by_a_fixed_time() -> None:
    assert fit([(1.0, 50.0, 9.0)] * 5, [0.4] * 5) == pytest.approx((0.4, 0.0, 0.0))


def test_nothing_measured_makes_no_fit() -> None:
    with pytest.raises(ValueError, match="make no fit"):
        fit([], [])
