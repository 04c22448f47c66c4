"""How sure a measured number is, and whether two differ.

Owns the statistics of reports: intervals for rates, paired tests for two policies on the same tasks, and
pass@k. Knows no benchmark. Everything that draws takes a seed and is the same each time.
"""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES = 10_000
EXACT_PAIRS = 16  # up to here, all 2**n ways to swap pairs are counted instead of drawn
EQUAL = 1e-12  # relative: sums of the same numbers in another order

Statistic = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the bounds that hold it with `confidence`."""

    estimate: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return a success rate with its Wilson score interval, which stays within 0 and 1.

    Raises:
        ValueError: There are no trials, or more successes than trials.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22
    (1927); recommended for small samples by Brown, Cai and DasGupta, Statistical Science 16 (2001).
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials make no rate")
    z = statistics.NormalDist().inv_cdf(0.5 + _checked(confidence) / 2)
    rate, share = successes / trials, z * z / trials
    middle = (rate + share / 2) / (1 + share)
    half = math.sqrt(share * (rate * (1 - rate) + share / 4)) / (1 + share)
    return Interval(
        estimate=rate,
        low=0.0 if successes == 0 else max(0.0, middle - half),
        high=1.0 if successes == trials else min(1.0, middle + half),
        confidence=confidence,
    )


def mcnemar(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return the exact two-sided p-value that two policies solve the same tasks equally often.

    Only the tasks that one of them solved count: under the null hypothesis each is a fair coin.

    Raises:
        ValueError: A count is negative.

    Source: McNemar, Psychometrika 12 (1947), with the binomial distribution in place of chi-squared.
    """
    if min(both, only_first, only_second, neither) < 0:
        raise ValueError(f"negative counts: {(both, only_first, only_second, neither)}")
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << discordant))


def paired_permutation(
    first: Sequence[float], second: Sequence[float], seed: int, *, resamples: int = RESAMPLES
) -> float:
    """Return the two-sided p-value that paired values have equal means, by swapping pairs.

    Exact for up to 16 pairs that differ; else from `resamples` draws, counting the observed one, so
    that it is never 0.

    Raises:
        ValueError: The two differ in length, or there are none.

    Source: Fisher, The Design of Experiments (1935), §21; Phipson and Smyth, SAGMB 9 (2010) on the
    observed draw.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"{len(first)} and {len(second)} values make no pairs")
    differences = [abs(a - b) for a, b in zip(first, second, strict=True) if a != b]
    observed = abs(math.fsum(a - b for a, b in zip(first, second, strict=True)))
    threshold = observed - EQUAL * math.fsum(differences)
    if len(differences) <= EXACT_PAIRS:
        return _all_swaps(differences, threshold)
    draws = random.Random(seed)  # noqa: S311  # statistics, no secret
    extreme = 0
    for _draw in range(resamples):
        signs = draws.getrandbits(len(differences))
        extreme += abs(_swapped(differences, signs)) >= threshold
    return (extreme + 1) / (resamples + 1)


def bootstrap(
    values: Sequence[float],
    seed: int,
    *,
    statistic: Statistic = statistics.fmean,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return a statistic of `values` with its percentile bootstrap interval.

    Raises:
        ValueError: There are no values.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), §13.3.
    """
    if not values:
        raise ValueError("no values to draw from")
    draws = random.Random(seed)  # noqa: S311  # statistics, no secret
    found = sorted(statistic(draws.choices(values, k=len(values))) for _draw in range(resamples))
    beyond = (1 - _checked(confidence)) / 2
    return Interval(
        estimate=statistic(values),
        low=_quantile(found, beyond),
        high=_quantile(found, 1 - beyond),
        confidence=confidence,
    )


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate that one of `k` samples is right, when `c` of `n` were.

    Raises:
        ValueError: Not 0 <= c <= n and 1 <= k <= n.

    Source: Chen et al., Evaluating Large Language Models Trained on Code, arXiv:2107.03374, §2.1.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} of {c} right among {n}: needs 0 <= c <= n and 1 <= k <= n")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def _all_swaps(differences: Sequence[float], threshold: float) -> float:
    ways = 1 << len(differences)
    extreme = sum(abs(_swapped(differences, signs)) >= threshold for signs in range(ways))
    return extreme / ways


def _swapped(differences: Sequence[float], signs: int) -> float:
    """Return the sum of `differences`, each negative where its bit in `signs` is set."""
    return math.fsum(
        -value if signs >> place & 1 else value for place, value in enumerate(differences)
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of `ordered` lies, between neighbours by their distance."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence}")
    return confidence
