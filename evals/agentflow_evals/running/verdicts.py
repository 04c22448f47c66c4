"""What a run says of its cell: solved, not solved, refused, or nothing at all.

Owns the reading of a finished run as an `Outcome`, and the line between a planner that failed and a
machine that did. Pure: a run read again tomorrow gives the same outcome.
"""

import statistics
from typing import Any

from agentflow.errors import BudgetExceededError
from agentflow.journal.events import Failure
from agentflow.journal.records import RunRecord
from agentflow.journal.reuse import latest
from agentflow.solving import GAVE_UP, Solution, Verdict, check
from agentflow_evals.outcome import Cell, Outcome, Status
from agentflow_evals.running.measures import measures_of
from agentflow_evals.suite import Sample

NAMES = {kind.__name__ for kind in GAVE_UP}
REFUSAL = BudgetExceededError.__name__
REASON_CHARACTERS = 500


def outcome_of(record: RunRecord, cell: Cell, sample: Sample) -> Outcome:
    """Return the outcome of a run that has ended."""
    status, value, reason, answer = _judged(record, len(sample.checks))
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


def is_cut_short(record: RunRecord) -> bool:
    """Return whether something in the run was refused by an account that it shares with other runs.

    That is the evaluation's spending limit: what the run came to says nothing then.
    """
    failures = [step.failure for step in record.steps.values() if step.failure is not None]
    return any(one.name == REFUSAL and one.facts.get("shared", False) for one in failures)


def _judged(record: RunRecord, checks: int) -> tuple[Status, float, str, Any]:
    if is_cut_short(record):
        return "error", 0.0, "the evaluation's spending limit ended it", None
    if record.status == "succeeded" and record.output is not None:
        return _checked(Solution.model_validate_json(record.output))
    failure = record.failure
    if failure is None:
        return "error", 0.0, f"the run is {record.status or 'not finished'}", None
    if failure.name not in NAMES:
        return "error", 0.0, f"{failure.name}: {failure.message}", None
    return _without_answer(record, failure, checks)


def _without_answer(
    record: RunRecord, failure: Failure, checks: int
) -> tuple[Status, float, str, Any]:
    """Judge a planner that ended with an error by what it had reached in its environment by then."""
    found = [
        Verdict.model_validate_json(step.output)
        for step in latest(record).values()
        if step.details.get("code", [""])[0] == check.target and step.output is not None
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
