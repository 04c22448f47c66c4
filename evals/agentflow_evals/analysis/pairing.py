"""Two sides on the same samples: which is better, and may it be chance.

Owns paired comparisons of outcomes. A pair is a sample, never a run: repeats are averaged first, since
they are no new samples. A sample that one of the two lacks is left out and counted.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agentflow.statistics import (
    Interval,
    bootstrap,
    holm,
    mcnemar,
    paired_difference,
    paired_permutation,
    wilson,
)
from agentflow_evals.outcome import Outcome

BySample = Mapping[str, Sequence[Outcome]]
RESAMPLES = 1_000  # of intervals: their bounds are shown with two or three digits


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two means are apart; `p_holm` holds for all those of its report together."""

    interval: Interval
    p: float
    p_holm: float
    test: Literal["McNemar", "permutation"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One side against the other on their common samples.

    `wins` are samples that `planner` solves (more often), `losses` those that `against` does. `score` is
    there where values are fractional. `tokens_ratio` is of the tokens on those samples.
    """

    planner: str
    against: str
    model: str
    samples: int
    left_out: int
    wins: int
    losses: int
    solved: Difference
    score: Difference | None = None
    tokens_ratio: float | None = None


def by_sample(outcomes: Sequence[Outcome], order: Sequence[str]) -> dict[str, list[Outcome]]:
    """Return the outcomes that count, by sample, in the order of samples and repeats."""
    found: dict[str, list[Outcome]] = {sample: [] for sample in order}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.repeat):
        if outcome.is_counted:
            found.setdefault(outcome.sample, []).append(outcome)
    return {sample: runs for sample, runs in found.items() if runs}


def mean_of(runs: Sequence[Outcome], what: Callable[[Outcome], float]) -> float:
    """Return the mean of a figure over the repeats of one sample."""
    return statistics.fmean(what(outcome) for outcome in runs)


def solved_rate(runs: Sequence[Outcome]) -> float:
    """Return how often one sample was solved."""
    return mean_of(runs, lambda outcome: float(outcome.passed))


def score_of(runs: Sequence[Outcome]) -> float:
    """Return the mean value of one sample."""
    return mean_of(runs, lambda outcome: outcome.value)


def tokens_of(runs: Sequence[Outcome]) -> float:
    """Return the mean tokens of one sample, every call counted as if it had been made."""
    return mean_of(runs, lambda outcome: float(outcome.measures.tokens))


def pair_of(
    labels: tuple[str, str, str],
    first: BySample,
    second: BySample,
    *,
    seed: int,
    fractional: bool = False,
) -> Pair | None:
    """Return how `first` does against `second`; None when they have no sample in common.

    Args:
        labels: Of the first, the second, and their model.
        first: The outcomes of one side that count.
        second: Those of the other.
        seed: Of what is drawn.
        fractional: Test the values too.
    """
    common = [sample for sample in first if sample in second]
    if not common:
        return None
    one = [solved_rate(first[sample]) for sample in common]
    other = [solved_rate(second[sample]) for sample in common]
    spent = sum(tokens_of(second[sample]) for sample in common)
    scores = [[score_of(side[sample]) for sample in common] for side in (first, second)]
    return Pair(
        planner=labels[0],
        against=labels[1],
        model=labels[2],
        samples=len(common),
        left_out=len(first.keys() | second.keys()) - len(common),
        wins=sum(a > b for a, b in zip(one, other, strict=True)),
        losses=sum(a < b for a, b in zip(one, other, strict=True)),
        solved=_tested(one, other, seed),
        score=_permuted(scores[0], scores[1], seed) if fractional else None,
        tokens_ratio=sum(tokens_of(first[sample]) for sample in common) / spent if spent else None,
    )


def held_together(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Return the pairs with `p_holm` for all of them together, solved and scores each for themselves."""
    solved = _corrected([pair.solved for pair in pairs])
    scores = iter(_corrected([pair.score for pair in pairs if pair.score is not None]))
    return tuple(
        replace(pair, solved=difference, score=None if pair.score is None else next(scores))
        for pair, difference in zip(pairs, solved, strict=True)
    )


def _corrected(found: Sequence[Difference]) -> list[Difference]:
    together = holm([difference.p for difference in found])
    return [replace(difference, p_holm=p) for difference, p in zip(found, together, strict=True)]


def _tested(one: Sequence[float], other: Sequence[float], seed: int) -> Difference:
    """Return McNemar's test where each sample was solved or not, else one of the rates."""
    if not {*one, *other} <= {0.0, 1.0}:
        return _permuted(one, other, seed)
    found = list(zip(one, other, strict=True))
    counts = [found.count(kind) for kind in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))]
    both, only_one, only_other, neither = counts
    p = mcnemar(both, only_one, only_other, neither)
    interval = paired_difference(both, only_one, only_other, neither)
    return Difference(interval=interval, p=p, p_holm=p, test="McNemar")


def _permuted(one: Sequence[float], other: Sequence[float], seed: int) -> Difference:
    p = paired_permutation(one, other, seed)
    differences = [a - b for a, b in zip(one, other, strict=True)]
    interval = bootstrap(differences, seed, resamples=RESAMPLES)
    if interval.low == interval.high:  # all alike, so there is nothing to draw from
        interval = _alike(interval, len(differences))
    return Difference(interval=interval, p=p, p_holm=p, test="permutation")


def _alike(interval: Interval, pairs: int) -> Interval:
    """Return an interval for differences that are all the same.

    At most Wilson's share of all pairs may be others, and each of those is off by 2 at most.
    """
    beyond = 2 * wilson(0, pairs).high
    low, high = interval.estimate - beyond, interval.estimate + beyond
    return replace(interval, low=max(-1.0, low), high=min(1.0, high))
