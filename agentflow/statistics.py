"""How sure a measured number is, and whether two differ.

Owns the statistics of reports: intervals for rates and ratios, paired tests for two policies on the same
tasks, and pass@k. Knows no benchmark. Everything that draws takes a seed and is the same each time.
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
    return _between(found, statistic(values), confidence)


def bootstrap_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    seed: int,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the ratio of two sums over the same units, such as tokens per solved task, with its interval.

    Units are drawn whole, so what belongs together stays together. A bound is infinite where a draw may
    well hold nothing to divide by.

    Raises:
        ValueError: The two differ in length, there are none, or the denominators sum to 0.
    """
    if len(numerators) != len(denominators) or not math.fsum(denominators):
        raise ValueError(f"{len(numerators)} and {len(denominators)} values make no ratio")
    draws = random.Random(seed)  # noqa: S311  # statistics, no secret
    units = list(zip(numerators, denominators, strict=True))
    found = sorted(_ratio(draws.choices(units, k=len(units))) for _draw in range(resamples))
    return _between(found, _ratio(units), confidence)


def _between(ordered: Sequence[float], estimate: float, confidence: float) -> Interval:
    """Return an estimate with the bounds between which that share of what was drawn lies."""
    beyond = (1 - _checked(confidence)) / 2
    return Interval(
        estimate=estimate,
        low=_quantile(ordered, beyond),
        high=_quantile(ordered, 1 - beyond),
        confidence=confidence,
    )


def paired_difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = 0.95
) -> Interval:
    """Return how much more often the first of two policies solves the same tasks, with its interval.

    It has a width also where no task tells the two apart, which a bootstrap has not.

    Raises:
        ValueError: A count is negative, or there are none.

    Source: Newcombe, Improved confidence intervals for the difference between binomial proportions based
    on paired data, Statistics in Medicine 17 (1998), method 10.
    """
    if min(both, only_first, only_second, neither) < 0:
        raise ValueError(f"negative counts: {(both, only_first, only_second, neither)}")
    trials = both + only_first + only_second + neither
    first = wilson(both + only_first, trials, confidence)
    second = wilson(both + only_second, trials, confidence)
    phi = _correlation(both, only_first, only_second, neither)
    difference = (only_first - only_second) / trials
    below = (first.estimate - first.low, second.high - second.estimate)
    above = (first.high - first.estimate, second.estimate - second.low)
    return Interval(
        estimate=difference,
        low=max(-1.0, difference - _third_side(*below, phi)),
        high=min(1.0, difference + _third_side(*above, phi)),
        confidence=confidence,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of several tests, each raised so that all hold together, in the same order.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statistics 6 (1979).
    """
    adjusted, highest = [0.0 for _p in p_values], 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of `values` lies, between neighbours by their distance.

    Raises:
        ValueError: There are no values, or `share` is not between 0 and 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no quantile {share} of {len(values)} values")
    return _quantile(sorted(values), share)


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
    if ordered[below] == ordered[above] or place == below:  # also where both are infinite
        return ordered[below]
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _ratio(units: Sequence[tuple[float, float]]) -> float:
    above, below = (math.fsum(column) for column in zip(*units, strict=True))
    return above / below if below else math.inf


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return phi of a table of two by two, with Newcombe's correction for small positive ones."""
    rows = (both + only_first, only_second + neither)
    columns = (both + only_second, only_first + neither)
    if not math.prod(rows + columns):
        return 0.0
    product = float(both * neither - only_first * only_second)
    if product > 0:
        product = max(0.0, product - sum(rows) / 2)
    return product / math.sqrt(math.prod(rows + columns))


def _third_side(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first * first - 2 * phi * first * second + second * second))


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence}")
    return confidence
