"""What a run says of its cell: solved, not solved, refused, or nothing at all.

Owns the reading of a finished run as an `Outcome`, and the line between a planner that failed and a
machine that did. Pure: a run read again tomorrow gives the same outcome.
"""

import statistics
from typing import Any

from agentflow.budget import Budget
from agentflow.errors import (
    BudgetExceededError,
    ContextLengthError,
    EpisodeOverError,
    ExpansionError,
    GraphError,
    MalformedReplyError,
    OutputError,
    PlanError,
    ProgramError,
    ToolError,
)
from agentflow.journal.events import Failure
from agentflow.journal.records import RunRecord
from agentflow.solving import Solution, Verdict, check
from agentflow_evals.measures import measures_of
from agentflow_evals.outcome import Cell, Outcome, Status
from agentflow_evals.suite import Sample

# A planner that ends with one of these has failed its task. Whatever else stops a run (no network, no
# key, a bug) says nothing about the task, and is neither counted as a failure nor hidden.
GAVE_UP = {
    kind.__name__
    for kind in (
        BudgetExceededError,
        ContextLengthError,
        EpisodeOverError,
        ExpansionError,
        GraphError,
        MalformedReplyError,
        OutputError,
        PlanError,
        ProgramError,
        ToolError,
    )
}
REFUSAL = BudgetExceededError.__name__
REASON_CHARACTERS = 500


def outcome_of(record: RunRecord, cell: Cell, sample: Sample, budget: Budget) -> Outcome:
    """Return the outcome of a run that has ended; `budget` is the sample's own."""
    status, value, reason, answer = _judged(record, budget, len(sample.checks))
    return Outcome(
        **cell._asdict(),
        run=record.id,
        status=status,
        value=value,
        answer=answer,
        reason=reason[:REASON_CHARACTERS],
        group=sample.group,
        target=sample.target,
        measures=measures_of(record),
    )


def is_cut_short(record: RunRecord, budget: Budget) -> bool:
    """Return whether something in the run was refused that the sample's own budget would have allowed.

    That is the evaluation's spending limit: what the run came to says nothing then.
    """
    failures = [step.failure for step in record.steps.values() if step.failure is not None]
    refusals = [failure for failure in failures if failure.name == REFUSAL]
    return any(not _is_own(failure, budget) for failure in refusals)


def _judged(record: RunRecord, budget: Budget, checks: int) -> tuple[Status, float, str, Any]:
    if is_cut_short(record, budget):
        return "error", 0.0, "the evaluation's spending limit ended it", None
    if record.status == "succeeded" and record.output is not None:
        return _checked(Solution.model_validate_json(record.output))
    failure = record.failure
    if failure is None:
        return "error", 0.0, f"the run is {record.status or 'not finished'}", None
    if failure.name not in GAVE_UP:
        return "error", 0.0, f"{failure.name}: {failure.message}", None
    return _without_answer(record, failure, checks)


def _without_answer(
    record: RunRecord, failure: Failure, checks: int
) -> tuple[Status, float, str, Any]:
    """Judge a planner that ended with an error by what it had reached in its environment by then."""
    found = [
        Verdict.model_validate_json(step.output)
        for step in record.steps.values()
        if step.name == check.name and step.output is not None
    ]
    reason = f"{failure.name}: {failure.message}"
    value = sum(verdict.value for verdict in found) / checks
    if len(found) == checks and all(verdict.passed for verdict in found):
        return "passed", value, reason, None
    return ("refused" if failure.name == REFUSAL else "failed"), value, reason, None


def _checked(solution: Solution) -> tuple[Status, float, str, Any]:
    value = statistics.fmean(verdict.value for verdict in solution.verdicts)
    wrong = [verdict for verdict in solution.verdicts if not verdict.passed]
    reason = "; ".join(f"{verdict.check}: {verdict.explanation}" for verdict in wrong)
    return ("passed" if solution.passed else "failed"), value, reason, solution.output


def _is_own(failure: Failure, budget: Budget) -> bool:
    facts = failure.facts
    return bool(facts) and getattr(budget, str(facts.get("kind")), None) == facts.get("limit")
