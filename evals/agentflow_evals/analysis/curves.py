"""Accuracy as a function of the tokens that may be spent.

Owns equal-budget curves: what share of the samples a planner solves in runs of at most so many tokens. That
is how two planners of different appetite are compared. It reads finished runs: a planner that is told of its
budget may use a small one better than its curve says.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentflow_evals.analysis.pairing import by_sample
from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation

NICE = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Point:
    """From `tokens` on, up to the next point, `share` of the samples are solved."""

    tokens: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The steps of one planner under one model; `samples` is how many have an outcome that counts."""

    planner: str
    model: str
    samples: int
    points: tuple[Point, ...]

    def share_at(self, tokens: float) -> float:
        """Return the share of the samples that is solved with at most `tokens` a run."""
        return max((point.share for point in self.points if point.tokens <= tokens), default=0.0)


def equal_budget(outcomes: Sequence[Outcome]) -> tuple[Point, ...]:
    """Return the steps of the outcomes of one planner under one model, from (0, ...) up.

    With repeats a sample counts by the share of its runs. Errors do not count.
    """
    samples = by_sample(outcomes, sorted({outcome.sample for outcome in outcomes}))
    gained: dict[int, list[float]] = {0: []}
    for runs in samples.values():
        for outcome in runs:
            if outcome.passed:
                gained.setdefault(outcome.measures.tokens, []).append(1 / len(runs))
    found: list[float] = []
    points = []
    for tokens in sorted(gained):
        found += gained[tokens]
        points.append(Point(tokens, min(1.0, math.fsum(found) / max(1, len(samples)))))
    return tuple(points)


def curves_of(evaluation: Evaluation) -> tuple[Curve, ...]:
    """Return a curve for each planner under each model, in the plan's order; none without an outcome."""
    curves = []
    for model in evaluation.plan.models:
        for planner in evaluation.plan.planners:
            own = [
                outcome
                for outcome in evaluation.outcomes
                if (outcome.planner, outcome.model) == (planner.label, model.label)
            ]
            samples = len({outcome.sample for outcome in own if outcome.is_counted})
            if samples:
                points = equal_budget(own)
                curves.append(
                    Curve(planner=planner.label, model=model.label, samples=samples, points=points)
                )
    return tuple(curves)


def budgets_of(curves: Iterable[Curve], count: int = 6) -> list[int]:
    """Return at most `count` round budgets, from where the first curve rises to where the last ends."""
    spent = [point.tokens for curve in curves for point in curve.points if point.tokens]
    if not spent:
        return []
    ladder = [step * 10**power for power in range(len(str(max(spent))) + 1) for step in NICE]
    first = max(index for index, budget in enumerate(ladder) if budget <= min(spent))
    last = min(index for index, budget in enumerate(ladder) if budget >= max(spent))
    inside = ladder[first + 1 : last + 1] or [ladder[last]]
    if len(inside) <= count:
        return inside
    return [inside[round(n * (len(inside) - 1) / (count - 1))] for n in range(count)]
