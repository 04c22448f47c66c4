"""The vote among versions of a function."""

from typing import Any

import pytest
from agentflow_planners.functions.consensus import (
    Choice,
    cannot_be_caught,
    choose,
    clusters,
    disputed,
    valid_calls,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.sandbox.workers.protocol import Failure, Observation, Outcome


def gave(value: Any) -> Observation:
    return Observation(outcome="returned", value=value)


def raised(kind: str, line: str = "return items[0]") -> Observation:
    report = f'line 2, in f\n    {line}\n{kind}: "no"'
    return Observation(
        outcome="raised", failure=Failure(type=kind, message="no", report=report, line=2)
    )


def cut(outcome: Outcome = "timeout") -> Observation:
    return Observation(outcome=outcome)


def row(*values: Any) -> list[Observation]:
    return [item if isinstance(item, Observation) else gave(item) for item in values]


observations = st.one_of(
    st.integers(0, 2).map(gave),
    st.sampled_from(["ValueError", "TypeError", "KeyError"]).map(raised),
    st.sampled_from(["timeout", "memory", "too_large", "crashed"]).map(
        lambda outcome: Observation(outcome=outcome)
    ),
)


@st.composite
def matrices(draw: st.DrawFn) -> list[list[Observation]]:
    width = draw(st.integers(0, 4))
    whole = st.lists(observations, min_size=width, max_size=width)
    matrix = draw(st.lists(whole, min_size=1, max_size=6))
    unloaded = draw(st.sets(st.integers(0, len(matrix) - 1), max_size=2))
    return [[] if index in unloaded else row for index, row in enumerate(matrix)]


@settings(deadline=None)
@given(matrices(), st.data())
def test_the_order_of_the_candidates_changes_nothing_but_ties(
    matrix: list[list[Observation]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(matrix))))
    shares = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=6, max_size=6))
    passed = shares[: len(matrix)]
    first = choose(matrix, passed=passed, seed=1)
    moved = choose([matrix[i] for i in order], passed=[passed[i] for i in order], seed=1)
    assert first.is_tied == moved.is_tied
    assert moved.scores == pytest.approx([first.scores[i] for i in order])
    assert first.confidence == pytest.approx(moved.confidence)
    groups = {frozenset(order[i] for i in group) for group in moved.clusters}
    assert groups == {frozenset(group) for group in first.clusters}
    if not first.is_tied and moved.winner is not None:
        assert any({first.winner, order[moved.winner]} <= group for group in groups)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(2, 11))
def test_candidates_that_all_agree_have_confidence_one(values: list[int], count: int) -> None:
    choice = choose([row(*values)] * count, seed=1)
    assert choice.confidence == 1
    assert not choice.is_tied
    assert choice.clusters == (tuple(range(count)),)


@settings(deadline=None)
@given(matrices(), st.integers(0, 5))
def test_a_choice_is_in_bounds_and_the_same_for_the_same_seed(
    matrix: list[list[Observation]], seed: int
) -> None:
    choice = choose(matrix, seed=seed)
    assert choice == choose(matrix, seed=seed)
    assert 0 <= choice.confidence <= 1
    assert all(0 <= score <= 1 for score in choice.scores)
    assert sorted(index for group in choice.clusters for index in group) == [*range(len(matrix))]
    assert choice.winner is not None


def test_the_candidate_that_the_others_agree_with_most_wins() -> None:
    # Equations 1-2: nobody agrees with anybody on everything, but the second is near them all
    matrix = [row(1, 2, 0, 0), row(1, 2, 3, 4), row(0, 2, 3, 0), row(9, 9, 3, 4)]
    choice = choose(matrix, seed=1)
    assert choice.winner == 1
    assert choice.scores[1] == pytest.approx((2 / 4 + 2 / 4 + 2 / 4) / 3)
    assert choice.clusters == ((0,), (1,), (2,), (3,))


def test_the_largest_cluster_comes_first() -> None:
    assert clusters([row(1), row(2), row(2), row(3), row(2), row(1)]) == ((1, 2, 4), (0, 5), (3,))


def test_funcoder_defect_6_a_function_that_is_right_to_raise_is_not_punished() -> None:
    matrix = [row(1, raised("ValueError")), row(1, raised("ValueError")), row(1, 0), row(2, 0)]
    assert valid_calls(matrix) == (0, 1)
    assert choose(matrix, seed=1).winner == 0


def test_funcoder_defect_6_raising_on_purpose_is_behaviour_whatever_the_type() -> None:
    purpose = raised("TypeError", "raise TypeError('not a list')")
    assert valid_calls([row(purpose), row(purpose), row(purpose)]) == (0,)
    assert valid_calls([row(raised("TypeError"))] * 3) == ()


@pytest.mark.parametrize(
    "bad",
    [raised("TypeError"), raised("AttributeError"), raised("IndexError"), cut(), cut("crashed")],
)
def test_funcoder_defect_6_inputs_that_most_cannot_take_do_not_punish_the_good(
    bad: Observation,
) -> None:
    # the good ones choke on the second call, which no caller would make; the sloppy two return
    good, sloppy = row(1, bad, 3), row(7, None, 7)
    matrix = [good, good, good, sloppy, sloppy]
    assert valid_calls(matrix) == (0, 2)
    choice = choose(matrix, seed=1)
    assert choice.winner == 0
    assert choice.clusters == ((0, 1, 2), (3, 4))


def test_a_call_that_few_cannot_take_counts_against_those() -> None:
    matrix = [row(1, 2), row(1, 2), row(1, cut()), row(1, raised("TypeError"))]
    assert valid_calls(matrix) == (0, 1)
    choice = choose(matrix, seed=1)
    assert choice.winner == 0
    assert choice.scores[0] > choice.scores[2]


def test_funcoder_defect_7_a_choice_says_how_sure_it_is_and_may_abstain() -> None:
    agreed, split = [row(1)] * 3, [row(1), row(2), row(3), row(1)]
    assert choose(agreed, seed=1, abstain_below=0.9).winner == 0
    assert choose(split, seed=1).winner == 0
    assert choose(split, seed=1).confidence == pytest.approx(1 / 3)
    assert choose(split, seed=1, abstain_below=0.5).winner is None


def test_funcoder_defect_7_the_inputs_on_which_the_leaders_differ_are_found() -> None:
    matrix = [row(1, 2, 3), row(1, 2, 3), row(1, 0, cut()), row(1, 0, 0), row(1, 0, 0)]
    assert disputed(matrix) == (1, 2)
    assert disputed([row(1, 2)] * 3) == ()
    assert disputed([row()] * 3) == ()


def test_disputed_calls_are_counted_among_all_calls_and_not_only_the_valid() -> None:
    bad = raised("TypeError")
    assert disputed([row(bad, 1, 5), row(bad, 1, 5), row(bad, 1, 6), row(0, 1, 6)]) == (2,)


def test_funcoder_defect_8_a_tie_is_broken_by_the_seed_and_said() -> None:
    matrix = [row(1), row(1), row(2), row(2), row(3)]
    winners = [choose(matrix, seed=seed).winner for seed in range(20)]
    assert set(winners) == {0, 2}
    assert winners == [choose(matrix, seed=seed).winner for seed in range(20)]
    assert choose(matrix, seed=1).is_tied


def test_candidates_of_one_cluster_are_no_tie() -> None:
    assert [choose([row(1), row(1)], seed=seed).winner for seed in range(9)] == [0] * 9
    assert not choose([row(1), row(1)], seed=1).is_tied


def test_passing_the_examples_beats_the_majority() -> None:
    matrix = [row(1, 1)] * 4 + [row(2, 2)] * 2
    choice = choose(matrix, passed=[0.5] * 4 + [1.0] * 2, seed=1)
    assert choice.winner == 4
    assert choice.confidence < 0.5


def test_those_that_fail_examples_vote_with_less_weight() -> None:
    # two pass everything; the many that fail an example side with the first, the good with the last
    matrix = [row(1), row(2), row(2), row(1), row(1), row(1)]
    passed = [1.0, 1.0, 1.0, 0.1, 0.1, 0.1]
    assert choose(matrix, passed=passed, seed=1).winner == 1


def test_examples_that_none_passes_leave_the_vote_as_it_was() -> None:
    choice = choose([row(1), row(2), row(2)], passed=[0, 0, 0], seed=1)
    assert choice.winner == 1
    assert choice.confidence == 0


@pytest.mark.parametrize("passed", [[1.0], [1.0, 1.0, 2.0], [1.0, 1.0, float("nan")]])
def test_shares_that_are_none_are_refused(passed: list[float]) -> None:
    with pytest.raises(ValueError, match="3 candidates need 3 shares"):
        choose([row(1)] * 3, passed=passed, seed=1)


def test_a_candidate_that_did_not_load_never_wins() -> None:
    matrix: list[list[Observation]] = [[], [], row(1), []]
    assert choose(matrix, seed=1).winner == 2
    assert choose(matrix, passed=[1, 1, 0, 1], seed=1).winner == 2
    assert (2,) in choose(matrix, seed=1).clusters


def test_one_candidate_alone_is_believed_as_far_as_its_examples() -> None:
    assert choose([row(1)], seed=1).confidence == 0
    assert choose([row(1)], passed=[0.5], seed=1).confidence == 0.5
    assert choose([row(1)], seed=1).winner == 0


def test_without_a_valid_call_the_seed_decides_and_the_choice_says_so() -> None:
    for matrix in ([row()] * 3, [row(cut())] * 3):
        choice = choose(matrix, seed=1)
        assert choice.winner is not None
        assert (choice.confidence, choice.is_tied) == (0, True)
        assert choose(matrix, seed=1, abstain_below=0.1).winner is None
    assert {choose([row()] * 3, seed=seed).winner for seed in range(20)} == {0, 1, 2}


def test_without_candidates_there_is_no_winner() -> None:
    nobody = Choice(winner=None, confidence=0.0, clusters=(), scores=(), is_tied=False)
    assert choose([], seed=1) == nobody


def test_values_within_the_tolerance_are_one_vote_even_through_a_third() -> None:
    near = [{"float": text} for text in ("1.0", "1.0000009", "1.0000018")]
    assert clusters([row(value) for value in near]) == ((0, 1, 2),)
    assert clusters([row(near[0]), row(near[2])]) == ((0,), (1,))


def test_an_int_votes_with_a_float_only_when_asked() -> None:
    matrix = [row(1), row({"float": "1.0"})]
    assert clusters(matrix) == ((0,), (1,))
    assert clusters(matrix, numbers=True) == ((0, 1),)
    assert choose(matrix, seed=1, numbers=True).confidence == 1
    assert disputed(matrix) == (0,)
    assert disputed(matrix, numbers=True) == ()


def test_text_that_is_no_unicode_can_be_voted_on() -> None:
    assert clusters([row("\ud800"), row("\ud800"), row("a")]) == ((0, 1), (2,))


@pytest.mark.parametrize(
    ("sizes", "left", "is_safe"),
    [
        ([6, 2], 3, True),
        ([6, 2], 4, False),
        ([2, 6], 3, True),
        ([6], 5, True),
        ([6], 6, False),
        ([3, 3], 0, False),
        ([4, 3], 0, True),
        ([], 0, False),
    ],
)
def test_a_leader_is_safe_when_all_that_is_left_cannot_lift_another_to_it(
    sizes: list[int], left: int, is_safe: bool
) -> None:
    assert cannot_be_caught(sizes, left) == is_safe
