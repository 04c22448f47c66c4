"""Evaluations as a journal holds them.

Owns the way back from a recorded run to an `Evaluation`, finished or not.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from agentflow.data import from_json
from agentflow.errors import EvaluationError, UnjudgedError, rebuild
from agentflow.journal.journal import Journal, RunHead
from agentflow.journal.records import RunRecord, StepRecord
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import EvaluationPlan
from agentflow_evals.record import Evaluation
from agentflow_evals.running.evaluation import SAMPLE, evaluation, unjudged


def read_evaluation(journal: str | Path | None, run: str) -> Evaluation:
    """Return an evaluation by its id, the beginning of it, or `last`.

    Raises:
        UnknownRunError: There is no such run.
        EvaluationError: It is no evaluation.
    """
    record = recorded(journal, run)
    plan, found = plan_of(record), outcomes_of(record)
    return Evaluation(
        id=record.id,
        plan=plan,
        outcomes=[found[cell] for cell in plan.cells() if cell in found],
        started_at=record.started_at,
        ended_at=record.ended_at,
        machine=dict(record.settings.get("labels", {})),
    )


def evaluations(journal: str | Path | None, limit: int | None = None) -> list[RunHead]:
    """Return how the evaluations of a journal stand, newest first."""
    with Journal(journal) as opened:
        heads = [head for head in opened.heads() if head.flow == evaluation.name]
    return heads[:limit]


def recorded(journal: str | Path | None, run: str) -> RunRecord:
    """Return the record of an evaluation's run; `last` is the newest evaluation.

    Raises:
        UnknownRunError: There is no such run.
        EvaluationError: It is no evaluation.
    """
    if run == "last":
        newest = evaluations(journal, 1)
        if not newest:
            raise EvaluationError(problem="there is no evaluation in the journal yet")
        run = newest[0].id
    with Journal(journal) as opened:
        return opened.run(run)


def plan_of(record: RunRecord) -> EvaluationPlan:
    """Return what an evaluation is to run.

    Raises:
        EvaluationError: The run is no evaluation, or one of another version.
    """
    if record.flow != evaluation.name:
        problem = f"run {record.id} is of flow {record.flow or '?'}, it is no evaluation"
        raise EvaluationError(problem=problem)
    try:
        return EvaluationPlan.model_validate(from_json(record.input)["plan"])
    except (ValidationError, KeyError) as error:
        problem = f"the plan of evaluation {record.id} cannot be read by this version"
        raise EvaluationError(problem=problem) from error


def outcomes_of(record: RunRecord) -> dict[Cell, Outcome]:
    """Return what is known of the cells; of several tries the last one that says something."""
    found: dict[Cell, Outcome] = {}
    for cell, outcome in _tries(record):
        if cell not in found or outcome.is_counted:
            found[cell] = outcome
    return found


def _tries(record: RunRecord) -> Iterator[tuple[Cell, Outcome]]:
    for step in record.steps.values():
        if step.name == SAMPLE:
            cell = Cell(**from_json(step.input))
            outcome = _outcome(step, cell)
            if outcome is not None:
                yield cell, outcome


def _outcome(step: StepRecord, cell: Cell) -> Outcome | None:
    if step.status == "succeeded" and step.output is not None:
        return Outcome.model_validate_json(step.output)
    if step.failure is None:
        return None
    error = rebuild(step.failure.name, step.failure.message, step.failure.facts)
    return unjudged(error, cell) if isinstance(error, UnjudgedError) else None
