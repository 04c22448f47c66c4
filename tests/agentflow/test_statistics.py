"""Published values, and what must hold for any."""

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.statistics import (
    bootstrap,
    bootstrap_ratio,
    holm,
    mcnemar,
    paired_difference,
    paired_permutation,
    pass_at_k,
    quantile,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_as_newcombe_printed_it(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = wilson(successes, trials)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.estimate == successes / trials


@given(COUNTS)
def test_a_rate_lies_in_its_interval_and_failures_mirror_successes(
    counts: tuple[int, int],
) -> None:
    successes, trials = counts
    found, mirrored = wilson(successes, trials), wilson(trials - successes, trials)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)
    wider = wilson(successes, trials, 0.99)
    assert wider.low <= found.low
    assert found.high <= wider.high


def test_an_interval_reads_as_people_write_it() -> None:
    assert str(wilson(81, 263)) == "0.308 [0.255, 0.366]"


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((0, 1, 6, 0), 0.125),  # a sign test of seven pairs: 2 * (1 + 7) / 128
        ((59, 6, 16, 80), 0.0525),  # 2 * P(X <= 6), X of 22 fair coins
        ((10, 0, 0, 5), 1.0),
        ((0, 5, 5, 0), 1.0),
        ((0, 0, 10, 0), 2 / 1024),
    ],
)
def test_mcnemar_is_a_sign_test_of_the_tasks_that_differ(
    counts: tuple[int, int, int, int], p: float
) -> None:
    assert mcnemar(*counts) == pytest.approx(p, abs=5e-5)


@given(st.tuples(*[st.integers(0, 60)] * 4))
def test_mcnemar_knows_no_first_and_asks_only_those_that_differ(
    counts: tuple[int, int, int, int],
) -> None:
    both, first, second, neither = counts
    p = mcnemar(both, first, second, neither)
    assert 0 < p <= 1
    assert p == mcnemar(0, second, first, neither + both)


# Fisher's reading of Darwin's maize (The Design of Experiments, §21): cross- less self-fertilised plants,
# in eighths of an inch. Of the 32,768 ways to swap pairs, 863 sum to 314 or more on one side.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_the_permutation_test_counts_as_fisher_did() -> None:
    assert paired_permutation(DARWIN, [0] * 15, seed=0) == 2 * 863 / 32768


def test_many_pairs_are_drawn_the_same_each_time_and_close_to_the_truth() -> None:
    first, second = [*DARWIN, 10, -10], [0.0] * 17
    drawn = [paired_permutation(first, second, seed=seed) for seed in (1, 1, 2)]
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, first, strict=True)))
        for signs in itertools.product((1, -1), repeat=17)
    ]
    exact = sum(value >= 314 for value in sums) / 2**17
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == pytest.approx(exact, abs=0.008)


@given(VALUES)
def test_swapping_first_and_second_changes_no_permutation_test(values: list[float]) -> None:
    other = values[::-1]
    p = paired_permutation(values, other, seed=3)
    assert 0 < p <= 1
    assert p == paired_permutation(other, values, seed=3)
    assert paired_permutation(values, values, seed=3) == 1


@given(VALUES, st.integers(0, 9))
def test_a_bootstrap_stays_within_the_values_and_repeats_itself(
    values: list[float], seed: int
) -> None:
    found = bootstrap(values, seed, resamples=60)
    assert found == bootstrap(values, seed, resamples=60)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found.estimate == statistics.fmean(values)


def test_a_bootstrap_of_many_values_is_near_the_normal_interval() -> None:
    values = [float(n % 10) for n in range(400)]
    half = 1.96 * statistics.pstdev(values) / math.sqrt(400)
    found = bootstrap(values, 5, resamples=4_000)
    assert found.low == pytest.approx(4.5 - half, abs=0.03)
    assert found.high == pytest.approx(4.5 + half, abs=0.03)


def test_a_bootstrap_takes_any_statistic() -> None:
    found = bootstrap([1, 2, 100], 1, statistic=statistics.median, resamples=500)
    assert (found.estimate, found.low, found.high) == (2, 1, 100)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(5, 2, 1, 0.4), (5, 2, 2, 0.7), (10, 3, 5, 11 / 12), (200, 0, 100, 0.0), (3, 3, 1, 1.0)],
)
def test_pass_at_k_by_hand(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected)


@given(
    st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
)
def test_pass_at_k_is_the_share_of_all_choices_with_a_right_one(case: tuple[int, int, int]) -> None:
    n, c, k = case
    choices = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, choices)) / len(choices))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: wilson(1, 0),
        lambda: wilson(3, 2),
        lambda: wilson(1, 2, 1.0),
        lambda: mcnemar(0, -1, 0, 0),
        lambda: paired_permutation([1], [1, 2], 0),
        lambda: paired_permutation([], [], 0),
        lambda: bootstrap([], 0),
        lambda: pass_at_k(5, 6, 1),
        lambda: pass_at_k(5, 2, 6),
        lambda: pass_at_k(5, 2, 0),
    ],
)
def test_what_makes_no_sense_is_a_value_error(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"\d|no values"):
        wrong()


@pytest.mark.parametrize(
    "shares",
    [(0.4, 0.1, 0.1, 0.4), (0.3, 0.3, 0.1, 0.3), (0.1, 0.5, 0.2, 0.2), (0.2, 0.25, 0.05, 0.5)],
)
def test_a_paired_difference_is_where_its_interval_says_in_about_95_of_100_samples(
    shares: tuple[float, float, float, float],
) -> None:
    size, covered = 20, 0.0
    for both, first, second in itertools.product(range(size + 1), repeat=3):
        neither = size - both - first - second
        if neither >= 0:
            counts = (both, first, second, neither)
            ways = math.factorial(size) // math.prod(map(math.factorial, counts))
            chance = ways * math.prod(p**n for p, n in zip(shares, counts, strict=True))
            found = paired_difference(*counts)
            covered += chance * (found.low <= shares[1] - shares[2] <= found.high)
    assert 0.94 < covered < 0.98


@given(st.tuples(*[st.integers(0, 40)] * 4).filter(any))
def test_a_paired_difference_lies_in_its_interval_and_turns_with_its_sides(
    counts: tuple[int, int, int, int],
) -> None:
    both, first, second, neither = counts
    found = paired_difference(both, first, second, neither)
    turned = paired_difference(both, second, first, neither)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))


def test_holm_raises_each_p_value_by_those_that_are_left() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_held_together_p_values_keep_their_order_and_are_never_smaller(values: list[float]) -> None:
    found = holm(values)
    assert all(p <= raised <= 1 for p, raised in zip(values, found, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [found[place] for place in order] == sorted(found)


def test_a_ratio_is_of_sums_and_its_bounds_hold_it() -> None:
    tokens, solved = [100.0, 300.0, 200.0, 400.0] * 10, [1.0, 0.0, 1.0, 1.0] * 10
    found = bootstrap_ratio(tokens, solved, 1, resamples=500)
    assert found.estimate == pytest.approx(1000 / 3)
    assert 250 < found.low < found.estimate < found.high < 480
    assert found == bootstrap_ratio(tokens, solved, 1, resamples=500)
    assert bootstrap_ratio([5.0, 5.0], [1.0, 0.0], 1, resamples=500).high == math.inf
    with pytest.raises(ValueError, match="no ratio"):
        bootstrap_ratio([5.0], [0.0], 1)


def test_a_quantile_lies_between_its_neighbours() -> None:
    assert [quantile([4, 1, 3, 2], share) for share in (0, 0.5, 1)] == [1, 2.5, 4]
    with pytest.raises(ValueError, match="no quantile"):
        quantile([], 0.5)
