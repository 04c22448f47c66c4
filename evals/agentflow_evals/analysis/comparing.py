"""Two evaluations side by side: the same planner and model, before and after.

Owns how the parts of two evaluations find each other and what makes a comparison doubtful. Samples are
found by id, and only those in both are compared. `first` is what was before: a win is a sample that the second solves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agentflow.errors import EvaluationError
from agentflow.statistics import Interval
from agentflow_evals.analysis.pairing import (
    BySample,
    Pair,
    by_sample,
    held_together,
    pair_of,
    solved_rate,
)
from agentflow_evals.analysis.tables import is_fractional, rate_of
from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation

Label = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A sample that one of the two solves more often; the runs are the first ones that differ."""

    sample: str
    before: float
    after: float
    run_before: str
    run_after: str


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One planner under one model in both; labels may differ, then they were given as the same.

    `before` and `after` are the rates on the common samples.
    """

    first: Label
    second: Label
    before: Interval
    after: Interval
    pair: Pair
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was compared, what has no counterpart, and what makes it doubtful."""

    first: str
    second: str
    compared: tuple[Compared, ...]
    without: tuple[str, ...]
    warnings: tuple[str, ...]


def compare(
    first: Evaluation,
    second: Evaluation,
    *,
    planners: Mapping[str, str] | None = None,
    models: Mapping[str, str] | None = None,
) -> Comparison:
    """Return how the second evaluation does against the first.

    Args:
        first: What was before.
        second: What is now.
        planners: Labels of the first, with the other labels that they have in the second.
        models: The same for models.

    Raises:
        EvaluationError: They have nothing in common, or there is no such label.
    """
    matched = _matched(first, second, planners or {}, models or {})
    fractional = is_fractional([*first.outcomes, *second.outcomes])
    seed = first.plan.seed
    found = [
        one
        for before, after in matched
        if (one := _compared(first, second, before, after, seed=seed, fractional=fractional))
    ]
    if not found:
        problem = f"evaluations {first.id} and {second.id} have no sample in common that counts"
        raise EvaluationError(problem=problem)
    pairs = held_together([one.pair for one in found])
    return Comparison(
        first=first.id,
        second=second.id,
        compared=tuple(replace(one, pair=pair) for one, pair in zip(found, pairs, strict=True)),
        without=_without(first, second, found),
        warnings=tuple(_warnings(first, second)),
    )


def _matched(
    first: Evaluation, second: Evaluation, planners: Mapping[str, str], models: Mapping[str, str]
) -> list[tuple[Label, Label]]:
    ours, theirs = _planners(first), _planners(second)
    by_planner = _same("planner", ours, theirs, planners)
    by_model = _same("model", _models(first), _models(second), models)
    return [
        ((planner, model), (other, other_model))
        for model, other_model in by_model.items()
        for planner, other in by_planner.items()
    ]


def _same(
    what: str, ours: Sequence[str], theirs: Sequence[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the labels of the first with those of the second; a single one on each side needs no name."""
    for label, known, side in (
        *((label, ours, "first") for label in given),
        *((label, theirs, "second") for label in given.values()),
    ):
        if label not in known:
            problem = f"the {side} evaluation has no {what} {label!r} (it has: {', '.join(known)})"
            raise EvaluationError(problem=problem)
    found = dict(given) or {label: label for label in ours if label in theirs}
    if not found and len(ours) == len(theirs) == 1:
        return {ours[0]: theirs[0]}
    if not found:
        problem = (
            f"no {what} is in both evaluations ({', '.join(ours)}; {', '.join(theirs)}): "
            f"say which are to be compared: --{what} FIRST=SECOND"
        )
        raise EvaluationError(problem=problem)
    return found


def _compared(
    first: Evaluation,
    second: Evaluation,
    before: Label,
    after: Label,
    *,
    seed: int,
    fractional: bool,
) -> Compared | None:
    old, new = _outcomes(first, before), _outcomes(second, after)
    pair = pair_of((after[0], before[0], after[1]), new, old, seed=seed, fractional=fractional)
    if pair is None:
        return None
    common = [sample for sample in old if sample in new]
    return Compared(
        first=before,
        second=after,
        before=rate_of([solved_rate(old[sample]) for sample in common], seed),
        after=rate_of([solved_rate(new[sample]) for sample in common], seed),
        pair=pair,
        changes=tuple(_changes(old, new, common)),
    )


def _changes(old: BySample, new: BySample, common: Sequence[str]) -> list[Change]:
    found = []
    for sample in common:
        before, after = solved_rate(old[sample]), solved_rate(new[sample])
        if before != after:
            was, now = _differing(old[sample], new[sample])
            change = Change(
                sample=sample, before=before, after=after, run_before=was.run, run_after=now.run
            )
            found.append(change)
    return found


def _differing(old: Sequence[Outcome], new: Sequence[Outcome]) -> tuple[Outcome, Outcome]:
    pairs = ((was, now) for was in old for now in new if was.passed != now.passed)
    return next(pairs)  # there is one, or the rates would be equal


def _outcomes(evaluation: Evaluation, label: Label) -> BySample:
    own = [one for one in evaluation.outcomes if (one.planner, one.model) == label]
    return by_sample(own, evaluation.plan.samples)


def _planners(evaluation: Evaluation) -> list[str]:
    return [planner.label for planner in evaluation.plan.planners]


def _models(evaluation: Evaluation) -> list[str]:
    return [model.label for model in evaluation.plan.models]


def _without(first: Evaluation, second: Evaluation, found: Sequence[Compared]) -> tuple[str, ...]:
    return tuple(
        f"{planner} with {model} is only in {side.id}"
        for side, known in (
            (first, {one.first for one in found}),
            (second, {one.second for one in found}),
        )
        for model in _models(side)
        for planner in _planners(side)
        if (planner, model) not in known
    )


def _warnings(first: Evaluation, second: Evaluation) -> list[str]:
    one, other = first.plan, second.plan
    found = []
    is_same = bool(one.suite.digest) and one.suite.digest == other.suite.digest
    if not is_same and one.suite.shown != other.suite.shown:
        found.append(f"the suites are not the same: {one.suite.shown} and {other.suite.shown}")
    elif not is_same:
        found.append(
            "the samples are not the same, or not known to be: those with the same id are compared"
        )
    for what, was, now in (
        ("budget of a sample", one.budget, other.budget),
        ("number of repeats", one.repeat, other.repeat),
        ("seed", one.seed, other.seed),
    ):
        if was != now:
            found.append(f"the {what} is not the same")
    return found + [
        f"{len(side.missing)} runs are missing in {side.id}"
        for side in (first, second)
        if side.missing
    ]
