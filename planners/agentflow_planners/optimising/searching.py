"""The end of every search: the best by the cases to choose by, measured once on those held out.

Owns what a trial is, who wins, and the report. Knows no way to search. What was tried on a held-out case
is refused, and what is not better than the base where it was chosen does not replace it.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agentflow import Result, note
from agentflow.data import Data
from agentflow.errors import BudgetExceededError, InputError
from agentflow.statistics import Interval
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case, Cases
from agentflow_planners.optimising.scoring import Score, difference_of, evaluate

DONE = "done"


class Trial(BaseModel):
    """A candidate, how it did, and what whoever proposed it was thinking."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: Candidate
    score: Score
    thought: str = ""


class Found(BaseModel):
    """What a search came to.

    `selected` and `base_selected` are on the cases that the choice was made by, and so flatter the winner.
    `held_out`, `base_held_out` and their `difference` are on cases that nothing had seen; None where the
    budget did not reach so far. `stopped` is "done", or what ended the search early.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: Candidate
    base: Candidate
    selected: Score
    base_selected: Score
    held_out: Score | None = None
    base_held_out: Score | None = None
    difference: Interval | None = None
    trials: int
    stopped: str = DONE


async def settle(
    base: Candidate, trials: Sequence[Trial], cases: Cases, stopped: str = DONE
) -> Found:
    """Choose the best trial by the `select` cases, and run it and the base on those held out.

    No step of its own: where the budget has no step left, it still says what was found.

    Args:
        base: What there was before. It wins unless a trial is better where the choice is made.
        trials: All that was tried. Those scored on other cases than all of `select` cannot be chosen.
        cases: Of all three parts.
        stopped: Why the search ended.

    Raises:
        InputError: A trial was made on held-out cases.
        BudgetExceededError: The base has no trial on `select`, and the budget none for it.
        PluginError, ModelError: As `evaluate`.
    """
    _refuse_seen(trials, cases.held_out)
    fitting = [trial for trial in trials if is_on(trial.score, cases.select)]
    of_base = next((trial for trial in fitting if trial.candidate == base), None)
    if of_base is None:
        of_base = Trial(candidate=base, score=await evaluate(base, cases.select))
    # The first among equals, so that what came later has to be better and not only as good.
    best = max([of_base, *fitting], key=lambda trial: trial.score.mean)
    found = Found(
        candidate=best.candidate,
        base=base,
        selected=best.score,
        base_selected=of_base.score,
        trials=len(trials),
        stopped=stopped,
    )
    note(f"chosen by {len(cases.select)} cases: {best.score}, the base: {of_base.score}")
    return await _measured(found, cases.held_out)


async def _measured(found: Found, held_out: tuple[Case, ...]) -> Found:
    """Return what was found with what the budget still lets be measured: the winner first."""
    try:
        score = await evaluate.named("held out, winner")(found.candidate, held_out)
        found = found.model_copy(update={"held_out": score})
        of_base = score
        if found.candidate != found.base:
            of_base = await evaluate.named("held out, base")(found.base, held_out)
    except BudgetExceededError as error:
        note(f"not measured to the end: {error}")
        stopped = f"{found.stopped}; the held-out cases were not all run: {error}"
        return found.model_copy(update={"stopped": stopped})
    difference = difference_of(score, of_base)
    return found.model_copy(update={"base_held_out": of_base, "difference": difference})


def result_of(found: Found) -> Result:
    """Return what was found as plain data: `planner`, `options`, the figures, and how the search ended."""
    data: dict[str, Data] = {
        "planner": found.candidate.planner,
        "options": found.candidate.options,
        "base": found.base.model_dump(mode="json"),
        "improved": found.candidate != found.base,
        "trials": found.trials,
        "stopped": found.stopped,
        "scores": {
            name: _figures(getattr(found, name))
            for name in ("selected", "base_selected", "held_out", "base_held_out")
        },
        "difference": None if found.difference is None else _bounds(found.difference),
    }
    return Result(output=data)


def _figures(score: Score | None) -> Data:
    if score is None:
        return None
    passed = sum(outcome.passed for outcome in score.outcomes)
    figures = {"mean": score.mean, "low": score.low, "high": score.high}
    return figures | {"cases": len(score.outcomes), "passed": passed}


def _bounds(interval: Interval) -> Data:
    return {"mean": interval.estimate, "low": interval.low, "high": interval.high}


def is_on(score: Score, cases: Sequence[Case]) -> bool:
    """Return whether a score is on exactly these cases."""
    return {outcome.case for outcome in score.outcomes} == {case.id for case in cases}


def _refuse_seen(trials: Sequence[Trial], held_out: Sequence[Case]) -> None:
    secret = {case.id for case in held_out}
    for number, trial in enumerate(trials, 1):
        if seen := {outcome.case for outcome in trial.score.outcomes} & secret:
            problem = f"trial {number} was made on the held-out case {min(seen)!r}"
            raise InputError(step="settle", problem=problem)
