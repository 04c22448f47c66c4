"""What the tables of an evaluation say, and that they say it whatever order the outcomes come in."""

import random
from dataclasses import replace

import pytest
from agentflow_evals.analysis.tables import Report, summarise
from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import EvaluationError
from agentflow.statistics import mcnemar, paired_difference, pass_at_k, wilson
from tests.evals.report_parts import Fate, evaluation, outcome, passing, plan

TEN = [f"s{number}" for number in range(10)]
LABELS = ("direct", "recode")


def solved_by(direct: str, recode: str) -> Evaluation:
    """Return an evaluation of ten samples that the planners solve where there is a 1."""
    solved = {
        planner: {sample for sample, digit in zip(TEN, digits, strict=True) if digit == "1"}
        for planner, digits in zip(LABELS, (direct, recode), strict=True)
    }
    return evaluation(plan(TEN), passing(solved))


def test_a_rate_has_the_interval_of_wilson_and_a_pair_the_p_value_of_mcnemar() -> None:
    report = summarise(solved_by("1111000000", "1111110001"))
    direct, recode = report.rows
    assert (direct.solved, direct.counted, direct.rate) == (4, 10, wilson(4, 10))
    assert (recode.solved, recode.rate) == (7, wilson(7, 10))
    (pair,) = report.pairs
    assert (pair.planner, pair.against, pair.wins, pair.losses) == ("recode", "direct", 3, 0)
    assert (pair.solved.test, pair.solved.p) == ("McNemar", mcnemar(4, 3, 0, 3))
    assert pair.solved.interval == paired_difference(4, 3, 0, 3)
    assert report.pair(recode) is pair
    assert report.pair(direct) is None


def test_an_error_is_not_counted_and_its_sample_is_left_out_of_the_pair() -> None:
    made = plan(["a", "b", "c"])
    ends = {
        ("a", "direct"): {"status": "error", "reason": "no network"},
        ("b", "recode"): None,
        ("c", "recode"): {"status": "refused"},
    }
    report = summarise(evaluation(made, lambda cell: ends.get((cell.sample, cell.planner), {})))
    direct, recode = report.rows
    assert (direct.counted, direct.errors, direct.missing, direct.solved) == (2, 1, 1, 2)
    assert (recode.counted, recode.errors, recode.missing, recode.refused) == (2, 0, 1, 1)
    assert recode.rate == wilson(1, 2)
    (pair,) = report.pairs
    assert (pair.samples, pair.left_out, pair.wins, pair.losses) == (1, 2, 0, 1)
    assert (report.missing, report.errors) == (2, 1)


def test_repeats_are_no_new_samples() -> None:
    once = summarise(evaluation(plan(TEN), halves()))
    often = summarise(evaluation(plan(TEN, repeat=8), halves()))
    assert once.rows[0].rate == often.rows[0].rate
    assert once.pairs[0].solved == often.pairs[0].solved
    assert (often.rows[0].counted, often.rows[0].samples) == (80, 10)


def halves() -> Fate:
    """Return a fate under which a planner solves the same half of the samples each time."""
    return lambda cell: {
        "status": "passed" if (int(cell.sample[1:]) < 5) == (cell.planner == "direct") else "failed"
    }


def test_with_repeats_the_rates_are_permuted_and_pass_at_k_is_told() -> None:
    made = plan(["a", "b", "c", "d"], repeat=4)
    solved = {"direct": 1, "recode": 3}
    found = evaluation(
        made, lambda cell: {"status": "passed" if cell.repeat < solved[cell.planner] else "failed"}
    )
    report = summarise(found)
    direct, recode = report.rows
    assert direct.pass_at == {1: 0.25, 2: pass_at_k(4, 1, 2), 4: 1.0}
    assert recode.pass_at[2] == pass_at_k(4, 3, 2) == 1.0
    (pair,) = report.pairs
    assert (pair.wins, pair.solved.test, pair.solved.interval.estimate) == (4, "permutation", 0.5)
    assert pair.solved.p == pytest.approx(2 / 16)


def test_equal_rates_between_0_and_1_still_have_an_interval_of_some_width() -> None:
    found = evaluation(
        plan(["a"], ["direct"], repeat=2),
        lambda cell: {"status": "failed" if cell.repeat else "passed"},
    )
    rate = summarise(found).rows[0].rate
    assert rate is not None
    assert (rate.estimate, rate.low, rate.high) == (0.5, wilson(0, 1).low, wilson(1, 1).high)


def test_the_tokens_of_a_solved_sample_include_those_of_the_others() -> None:
    ends = {
        "a": {"status": "passed", "input_tokens": 90, "output_tokens": 10},
        "b": {"status": "failed", "input_tokens": 250, "output_tokens": 50},
    }
    made = evaluation(plan(["a", "b"], ["direct"]), lambda cell: ends[cell.sample])
    row = summarise(made).rows[0]
    assert row.tokens == 200
    assert row.tokens_per_solved is not None
    assert row.tokens_per_solved.estimate == 400
    assert row.tokens_per_solved.high == float("inf")  # both draws may be the one that failed


def test_one_unknown_cost_makes_the_cost_unknown_and_nothing_solved_costs_nothing_a_solved_one() -> (
    None
):
    def costs(*values: float | None) -> Report:
        numbers = dict(zip("abc", values, strict=False))
        made = plan(list(numbers), ["direct"])
        return summarise(
            evaluation(made, lambda cell: {"cost_usd": numbers[cell.sample], "spent_usd": 0.0})
        )

    known, unknown = costs(0.1, 0.3).rows[0], costs(0.1, None).rows[0]
    assert (known.cost_usd, known.cost_per_solved_usd) == (0.2, 0.2)
    assert (unknown.cost_usd, unknown.cost_per_solved_usd, unknown.spent_usd) == (None, None, 0.0)
    failed = summarise(evaluation(plan(["a"], ["direct"]), lambda _cell: {"status": "failed"}))
    assert (failed.rows[0].cost_per_solved_usd, failed.rows[0].tokens_per_solved) == (None, None)


def test_a_row_without_an_outcome_says_nothing() -> None:
    empty = summarise(evaluation(plan(["a", "b"]), lambda _cell: None))
    assert [row.rate for row in empty.rows] == [None, None]
    assert (empty.rows[0].tokens, empty.rows[0].cost_usd, empty.rows[0].seconds) == (
        None,
        None,
        None,
    )
    assert (empty.rows[0].spent_usd, empty.rows[0].missing, empty.pairs) == (None, 2, ())


def test_values_between_0_and_1_make_a_score_that_is_tested_for_itself() -> None:
    scores = {"direct": [0.1, 0.5, 0.3], "recode": [0.4, 0.9, 0.3]}
    found = evaluation(
        plan(["s0", "s1", "s2"]),
        lambda cell: {"status": "failed", "value": scores[cell.planner][int(cell.sample[1:])]},
    )
    report = summarise(found)
    assert report.is_fractional
    assert report.rows[0].score is not None
    assert report.rows[0].score.estimate == pytest.approx(0.3)
    (pair,) = report.pairs
    assert pair.score is not None
    assert pair.score.interval.estimate == pytest.approx((0.3 + 0.4) / 3)
    assert (pair.score.test, pair.score.p, pair.solved.p) == ("permutation", 0.5, 1.0)


def test_several_comparisons_are_held_together() -> None:
    solved = {"direct": set(TEN[:2]), "recode": set(TEN[:8]), "codet": set(TEN[:7])}
    found = evaluation(plan(TEN, ["direct", "recode", "codet"]), passing(solved))
    first, second = summarise(found).pairs
    assert first.solved.p == pytest.approx(2 / 64)
    assert [first.solved.p_holm, second.solved.p_holm] == pytest.approx([2 / 32, 2 / 32])


def test_the_baseline_may_be_any_planner_but_no_other() -> None:
    found = solved_by("1111000000", "1111110001")
    (pair,) = summarise(found, baseline="recode").pairs
    assert (pair.planner, pair.wins, pair.losses) == ("direct", 0, 3)
    with pytest.raises(EvaluationError, match=r"no planner 'reflexion'.*direct, recode"):
        summarise(found, baseline="reflexion")


def test_groups_have_rows_of_their_own_and_missing_samples_belong_to_theirs() -> None:
    def fate(cell: object) -> dict[str, object] | None:
        sample, planner = cell.sample, cell.planner  # type: ignore[attr-defined]
        if (sample, planner) == ("s1", "recode"):
            return None
        return {"group": "odd" if int(sample[1:]) % 2 else "even"}

    report = summarise(evaluation(plan(["s0", "s1", "s2"]), fate), by_group=True)
    found = {(row.group, row.planner): (row.planned, row.counted) for row in report.groups}
    assert found == {
        ("even", "direct"): (2, 2),
        ("even", "recode"): (2, 2),
        ("odd", "direct"): (1, 1),
        ("odd", "recode"): (1, 0),
    }
    assert summarise(evaluation(plan(["s0"]), fate)).groups == ()


ENDS = st.sampled_from(["passed", "failed", "refused", "error", None])


@settings(deadline=None, max_examples=10)
@given(st.data(), st.integers(1, 2), st.randoms(use_true_random=False))
def test_tables_do_not_depend_on_the_order_of_the_outcomes(
    data: st.DataObject, repeat: int, chance: random.Random
) -> None:
    made = plan(["a", "b", "c"], repeat=repeat)
    found: list[Outcome] = []
    for cell in made.cells():
        status = data.draw(ENDS)
        if status is not None:
            tokens = data.draw(st.integers(0, 999))
            found.append(outcome(cell, status, input_tokens=tokens, cost_usd=tokens / 7))
    whole = Evaluation(id="e", plan=made, outcomes=found)
    mixed = replace(whole, outcomes=chance.sample(found, len(found)))
    assert summarise(whole) == summarise(mixed)
