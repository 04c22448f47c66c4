"""An evaluation as a table: what each planner solves under each model, what it costs, and whether it differs.

Owns the values that every form of a report shows. A rate is of samples: repeats of a sample are averaged
first. Errors say nothing about a planner and are counted apart; `refused` is not solved. What is not known
is None, never 0. The order of the outcomes does not matter.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor

from agentflow.errors import EvaluationError
from agentflow.statistics import (
    Interval,
    bootstrap,
    bootstrap_ratio,
    pass_at_k,
    quantile,
    wilson,
)
from agentflow_evals.analysis.pairing import (
    RESAMPLES,
    BySample,
    Pair,
    by_sample,
    held_together,
    mean_of,
    pair_of,
    score_of,
    solved_rate,
    tokens_of,
)
from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a figure is spread over the runs."""

    median: float
    p95: float
    largest: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One planner under one model; `group` "" is all samples.

    `planned` and `counted` are runs, `samples` those with a run that counts; `solved` are runs. `tokens`,
    `calls`, `expansions` and `cost_usd` are means a sample; tokens and cost count every call as if it had been
    made. What a solved sample costs includes what was spent on the others. `spent_usd` is the sum that was
    really paid for the runs that count. `score` is there where values are fractional, `pass_at` where samples are repeated.
    """

    planner: str
    model: str
    group: str = ""
    planned: int
    counted: int
    errors: int
    refused: int
    samples: int
    solved: int
    rate: Interval | None = None
    score: Interval | None = None
    pass_at: Mapping[int, float] = field(default_factory=dict)
    calls: float | None = None
    tokens: float | None = None
    tokens_per_solved: Interval | None = None
    cost_usd: float | None = None
    cost_per_solved_usd: float | None = None
    spent_usd: float | None = None
    expansions: float | None = None
    seconds: Spread | None = None
    critical_path_s: Spread | None = None
    depth: Spread | None = None
    breadth: Spread | None = None

    @property
    def missing(self) -> int:
        """Planned runs without an outcome that counts."""
        return self.planned - self.counted


@dataclass(frozen=True, kw_only=True)
class Report:
    """Rows in the plan's order; `groups` are those of each group; `pairs` are against `baseline`."""

    rows: tuple[Row, ...]
    groups: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    baseline: str
    is_fractional: bool
    repeat: int

    @property
    def missing(self) -> int:
        """Runs that have no outcome that counts."""
        return sum(row.missing for row in self.rows)

    @property
    def errors(self) -> int:
        """Runs that ended without saying anything about a planner."""
        return sum(row.errors for row in self.rows)

    def pair(self, row: Row) -> Pair | None:
        """Return how the planner of a row does against the baseline; None for itself, or if unknown."""
        found = (one for one in self.pairs if (one.planner, one.model) == (row.planner, row.model))
        return None if row.group else next(found, None)


def summarise(
    evaluation: Evaluation, *, by_group: bool = False, baseline: str | None = None
) -> Report:
    """Return the tables of an evaluation as far as it has come.

    Args:
        evaluation: Finished or not.
        by_group: Also one row for each group of samples.
        baseline: The planner that others are tested against; None: the first.

    Raises:
        EvaluationError: It has no such planner.
    """
    labels = [planner.label for planner in evaluation.plan.planners]
    baseline = baseline or labels[0]
    if baseline not in labels:
        known = ", ".join(labels)
        raise EvaluationError(
            problem=f"no planner {baseline!r} to compare with (there are: {known})"
        )
    tables = _Tables(evaluation)
    return Report(
        rows=tuple(tables.rows()),
        groups=tuple(tables.group_rows()) if by_group else (),
        pairs=held_together(tables.pairs(baseline)),
        baseline=baseline,
        is_fractional=tables.fractional,
        repeat=evaluation.plan.repeat,
    )


def is_fractional(outcomes: Sequence[Outcome]) -> bool:
    """Return whether values say more than solved or not."""
    return any(outcome.value != float(outcome.passed) for outcome in outcomes if outcome.is_counted)


class _Tables:
    """The outcomes of an evaluation by planner and model, and what is made of them."""

    def __init__(self, evaluation: Evaluation) -> None:
        plan = evaluation.plan
        self._plan, self.fractional = plan, is_fractional(evaluation.outcomes)
        self._labels = [(p.label, m.label) for m in plan.models for p in plan.planners]
        self._outcomes: dict[tuple[str, str], list[Outcome]] = {label: [] for label in self._labels}
        for outcome in evaluation.outcomes:
            self._outcomes.setdefault((outcome.planner, outcome.model), []).append(outcome)
        named = {one.sample: one.group for one in evaluation.outcomes if one.group}
        self._groups = {sample: named.get(sample, "") for sample in plan.samples}

    def rows(self) -> list[Row]:
        return [self._row(label, self._plan.samples) for label in self._labels]

    def group_rows(self) -> list[Row]:
        return [
            self._row(label, [name for name, of in self._groups.items() if of == group], group)
            for group in sorted({*self._groups.values()} - {""})
            for label in self._labels
        ]

    def pairs(self, baseline: str) -> list[Pair]:
        found = (
            pair_of(
                (planner, baseline, model),
                self._counted((planner, model)),
                self._counted((baseline, model)),
                seed=self._plan.seed,
                fractional=self.fractional,
            )
            for planner, model in self._labels
            if planner != baseline
        )
        return [pair for pair in found if pair is not None]

    def _counted(self, label: tuple[str, str]) -> BySample:
        return by_sample(self._outcomes[label], self._plan.samples)

    def _row(self, label: tuple[str, str], samples: Sequence[str], group: str = "") -> Row:
        chosen = set(samples)
        own = [outcome for outcome in self._outcomes[label] if outcome.sample in chosen]
        runs = by_sample(own, samples)
        counted = [outcome for repeats in runs.values() for outcome in repeats]
        row = Row(
            planner=label[0],
            model=label[1],
            group=group,
            planned=len(samples) * self._plan.repeat,
            counted=len(counted),
            errors=len(own) - len(counted),
            refused=sum(outcome.status == "refused" for outcome in counted),
            samples=len(runs),
            solved=sum(outcome.passed for outcome in counted),
            spent_usd=_sum([outcome.measures.spent_usd for outcome in counted]),
        )
        return self._measured(row, runs, counted) if counted else row

    def _measured(self, row: Row, runs: BySample, counted: Sequence[Outcome]) -> Row:
        seed, repeats = self._plan.seed, list(runs.values())
        rates = [solved_rate(outcomes) for outcomes in repeats]
        scores = [score_of(outcomes) for outcomes in repeats]
        tokens = [tokens_of(outcomes) for outcomes in repeats]
        cost = _mean_cost(repeats)
        solved = sum(rates)
        return replace(
            row,
            rate=rate_of(rates, seed),
            score=rate_of(scores, seed) if self.fractional else None,
            pass_at=_pass_at(repeats, self._plan.repeat),
            calls=_mean(repeats, lambda outcome: outcome.measures.calls),
            expansions=_mean(repeats, lambda outcome: outcome.measures.expansions),
            tokens=statistics.fmean(tokens),
            tokens_per_solved=(
                bootstrap_ratio(tokens, rates, seed, resamples=RESAMPLES) if solved else None
            ),
            cost_usd=cost,
            cost_per_solved_usd=None if cost is None or not solved else cost * len(rates) / solved,
            seconds=_spread(outcome.measures.seconds for outcome in counted),
            critical_path_s=_spread(outcome.measures.critical_path_s for outcome in counted),
            depth=_spread(outcome.measures.depth for outcome in counted),
            breadth=_spread(outcome.measures.breadth for outcome in counted),
        )


def rate_of(rates: Sequence[float], seed: int) -> Interval:
    """Return the mean of rates or scores: Wilson's interval for ones and zeros, else a bootstrap.

    Where all samples have one and the same rate there is nothing to draw from; then the interval is that of
    the whole numbers next to it.
    """
    solved = sum(rates)
    if {*rates} <= {0.0, 1.0}:
        return wilson(round(solved), len(rates))
    if len({*rates}) > 1:
        return bootstrap(rates, seed, resamples=RESAMPLES)
    low, high = (
        wilson(floor(solved), len(rates)),
        wilson(min(len(rates), floor(solved) + 1), len(rates)),
    )
    return replace(low, estimate=rates[0], high=high.high)


def _pass_at(repeats: Sequence[Sequence[Outcome]], most: int) -> dict[int, float]:
    """Return pass@k for 1, 2, 4, ... up to `most`, over the samples that have that many runs."""
    found = {}
    for k in sorted({*(2**power for power in range(most.bit_length())), most}) if most > 1 else ():
        whole = [runs for runs in repeats if len(runs) >= k]
        if whole:
            solved = (sum(outcome.passed for outcome in runs) for runs in whole)
            pairs = zip(whole, solved, strict=True)
            found[k] = statistics.fmean(pass_at_k(len(runs), count, k) for runs, count in pairs)
    return found


def _mean_cost(repeats: Sequence[Sequence[Outcome]]) -> float | None:
    if any(outcome.measures.cost_usd is None for runs in repeats for outcome in runs):
        return None
    return _mean(repeats, lambda outcome: outcome.measures.cost_usd or 0.0)


def _mean(repeats: Sequence[Sequence[Outcome]], what: Callable[[Outcome], float]) -> float:
    return statistics.fmean(mean_of(runs, what) for runs in repeats)


def _sum(costs: Sequence[float | None]) -> float | None:
    """Return the sum; None when one is unknown or there are none."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None


def _spread(values: Iterable[float]) -> Spread:
    found = list(values)
    return Spread(median=quantile(found, 0.5), p95=quantile(found, 0.95), largest=max(found))
