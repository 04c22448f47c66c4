"""How good a candidate is on some cases, and how sure that is.

Owns the evaluation: every case a step of its own, in an episode of its own, its answer given to the case's
checks. A planner that fails its task scores nothing and the reason is kept; what ends the run, its budget
among that, is raised and never a score.
"""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from agentflow import Result, check, flow, load_planner, parallel
from agentflow.data import Data
from agentflow.episodes import episode, with_openings
from agentflow.errors import BudgetExceededError, InputError
from agentflow.solving import GAVE_UP
from agentflow.statistics import Interval, bootstrap, paired_difference, wilson
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case

OF_THE_RUN = ("tokens", "usd", "seconds", "steps")  # depth and width are a candidate's own doing
FAILED = (*GAVE_UP, InputError)  # options that do not fit are a bad candidate, too
SEED = 0  # of the draws behind an interval


class Outcome(BaseModel):
    """What came of one case: `value` between 0 and 1, `problem` why there is no answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    value: float = Field(ge=0, le=1)
    passed: bool
    output: Data = None
    problem: str = ""


class Score(BaseModel):
    """What came of some cases, the mean value and its interval of 95 %."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: tuple[Outcome, ...] = Field(min_length=1)
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] of {len(self.outcomes)}"


@flow
async def evaluate(candidate: Candidate, cases: tuple[Case, ...]) -> Score:
    """Let a candidate solve every case, side by side, and have the answers checked.

    Raises:
        InputError: There are no cases.
        PluginError: There is no such planner or scorer.
        BudgetExceededError: What the run may spend is spent.
        ModelError: A call failed for good.
    """
    if not cases:
        raise InputError(step="evaluate", problem="there are no cases to evaluate on")
    return score_of(
        await parallel(attempt.named(f"case {case.id}")(candidate, case) for case in cases)
    )


@flow(name="case")
async def attempt(candidate: Candidate, case: Case) -> Outcome:
    """Let a candidate solve one case and have the answer checked.

    Raises:
        PluginError: There is no such planner or scorer.
        BudgetExceededError: What the run may spend is spent.
        ModelError: A call failed for good.
    """
    plan = load_planner(candidate.planner)
    async with episode():
        try:
            result: Result = await plan(await with_openings(case.task), **candidate.options)
        except FAILED as error:
            _raise_what_ends_the_run(error)
            problem = f"{type(error).__name__}: {error}"
            return Outcome(case=case.id, value=0.0, passed=False, problem=problem)
        verdicts = await parallel(check(result.output, named) for named in case.checks)
    return Outcome(
        case=case.id,
        value=min(1.0, max(0.0, sum(verdict.value for verdict in verdicts) / len(verdicts))),
        passed=all(verdict.passed for verdict in verdicts),
        output=result.output,
    )


def score_of(outcomes: Sequence[Outcome]) -> Score:
    """Return the mean of some outcomes with its interval: Wilson's where all are 0 or 1."""
    found = _interval([outcome.value for outcome in outcomes])
    return Score(outcomes=tuple(outcomes), mean=found.estimate, low=found.low, high=found.high)


def difference_of(first: Score, second: Score) -> Interval:
    """Return how much better the first is on the same cases, with the interval of the paired difference.

    Raises:
        ValueError: The cases differ.
    """
    pairs = list(zip(first.outcomes, second.outcomes, strict=True))
    if any(one.case != other.case for one, other in pairs):
        raise ValueError("two scores on different cases make no pairs")
    values = [(one.value, other.value) for one, other in pairs]
    if _are_binary(value for pair in values for value in pair):
        counts = [values.count(pair) for pair in ((1, 1), (1, 0), (0, 1), (0, 0))]
        return paired_difference(*counts)
    return bootstrap([one - other for one, other in values], SEED)


def _interval(values: Sequence[float]) -> Interval:
    if _are_binary(values):
        return wilson(round(sum(values)), len(values))
    return bootstrap(values, SEED)


def _are_binary(values: "Sequence[float] | Iterator[float]") -> bool:
    return all(value in (0, 1) for value in values)


def _raise_what_ends_the_run(error: BaseException) -> None:
    """Raise the refusal of a step behind an error that a planner made of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, BudgetExceededError) and seen.kind in OF_THE_RUN:
            raise seen
        seen = seen.__cause__ or seen.__context__
