"""The flow `evaluation`: a run whose steps are the cells, each of which is a run of its own.

Owns the order of the cells and when to stop. A cell's step holds its outcome, so a resume repeats no cell
that is done; a cell cut off in the middle goes on where it was (`laboratory.py`).
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from agentflow.data import canonical
from agentflow.engine.branches import parallel
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, current_frame, perform
from agentflow.errors import EvaluationError, EvaluationIncompleteError, UnjudgedError
from agentflow.flows import flow
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import EvaluationPlan
from agentflow_evals.running.laboratory import Laboratory
from agentflow_evals.suite import Value

SAMPLE = "sample"
IN_A_ROW = (
    8  # cells that say nothing, one after the other: something is wrong that waiting won't mend
)
# These do not go away by themselves: the first one ends the evaluation.
LASTING = (
    "CredentialsError",
    "MissingExtraError",
    "PluginError",
    "SandboxUnavailableError",
    "UnknownModelError",
    "WeightsError",
)

Hear = Callable[[Outcome], None]


class Tally(Value):
    """How the cells of an evaluation ended, by status."""

    passed: int = 0
    failed: int = 0
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the flow works with: it is not recorded, so it is lent around the run."""

    laboratory: Laboratory
    hear: Hear


BENCH: ContextVar[Bench] = ContextVar("bench")


@flow(name="evaluation")
async def evaluation(plan: EvaluationPlan) -> Tally:
    """Work through the cells of a plan; each is a step, and a run of its own.

    Raises:
        EvaluationIncompleteError: Some cells could not be judged.
        EvaluationError: Nothing can be judged any more, or it was resumed like a run of another kind.
        BudgetExceededError: The evaluation's spending limit is reached.
    """
    bench = BENCH.get(None)
    if bench is None:
        raise EvaluationError(problem="go on with an evaluation by: agentflow eval --resume ID")
    return await _Work(bench).through(plan)


class _Work:
    """The cells of one evaluation on their way."""

    def __init__(self, bench: Bench) -> None:
        self._laboratory, self._hear = bench.laboratory, bench.hear
        self._ended: Counter[str] = Counter()
        self._in_a_row = self._unjudged = 0

    async def through(self, plan: EvaluationPlan) -> Tally:
        left = plan.cells()
        await current_frame(SAMPLE).run.sink.durable()  # the plan, before anything is done for it

        async def worker() -> None:
            for cell in left:  # the workers share it, so each takes the next one
                await self._one(cell)

        await parallel(worker() for _number in range(self._laboratory.at_once))
        if self._unjudged:
            raise EvaluationIncompleteError(missing=self._unjudged)
        return Tally(**self._ended)

    async def _one(self, cell: Cell) -> None:
        try:
            outcome = await perform(step_of(cell), self._body(cell))
        except UnjudgedError as error:
            self._in_a_row += 1
            self._unjudged += 1
            self._hear(unjudged(error, cell))
            self._stop_if_hopeless(error)
        else:
            self._in_a_row = 0
            self._ended[outcome.status] += 1
            self._hear(outcome)

    def _body(self, cell: Cell) -> Callable[[Step], Awaitable[Outcome]]:
        async def body(step: Step) -> Outcome:
            outcome = await self._laboratory.outcome(cell)
            step.details["run"] = outcome.run
            if outcome.is_counted:
                return outcome
            raise UnjudgedError(
                sample=cell.sample,
                planner=cell.planner,
                model=cell.model,
                run=outcome.run,
                problem=outcome.reason,
            )

        return body

    def _stop_if_hopeless(self, error: UnjudgedError) -> None:
        laboratory = self._laboratory
        if laboratory.within.refusal is not None:
            raise laboratory.within.refusal
        if error.problem.startswith(LASTING):
            raise EvaluationError(problem=str(error)) from error
        if self._in_a_row >= IN_A_ROW + laboratory.at_once:
            problem = f"{self._in_a_row} samples in a row could not be judged; the last: {error}"
            raise EvaluationError(problem=problem) from error


def step_of(cell: Cell) -> StepCall[Outcome]:
    """Return the step of a cell: known by the cell, so that the order of the cells does not matter."""
    return StepCall(
        name=SAMPLE,
        kind="tool",
        input=canonical(cell._asdict()),
        write=_written,
        read=Outcome.model_validate_json,
        key="\0".join(map(str, cell)),
    )


def unjudged(error: UnjudgedError, cell: Cell) -> Outcome:
    """Return what stands in the place of an outcome that says nothing."""
    reason = error.problem
    return Outcome(**cell._asdict(), run=error.run, status="error", value=0.0, reason=reason)


def _written(outcome: Outcome) -> bytes:
    # Not pydantic's own JSON: a model's text may hold lone surrogates.
    data: Any = outcome.model_dump(mode="json")
    return canonical(data)
