"""Read an evaluation from a file: an export of ours, or a log of Inspect.

Owns the choice of the format, by content and not by name, and the union of several files. Every command
that takes the id of an evaluation takes such a file, or a folder of them, in its place.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from agentflow.errors import EvaluationError
from agentflow_evals.formats import inspect_reading, outcomes_jsonl
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan
from agentflow_evals.record import Evaluation

SUFFIXES = {".json", ".jsonl", ".eval"}
T = TypeVar("T", Contender, Entrant)


def read(path: str | Path, *, scorer: str | None = None) -> Evaluation:
    """Return the evaluation in a file, or the union of those in a folder.

    Args:
        path: A log of Inspect (.json or .eval), JSON lines of ours, or a folder of these.
        scorer: Which of an Inspect log's scores to go by; None: the log's own headline, or its first.

    Raises:
        EvaluationError: There is no such file, or it is none of these; the message says where.
        MissingExtraError: It is compressed with Zstandard, and what reads that is not installed.
    """
    found = Path(path)
    try:
        if found.is_dir():
            files = sorted(item for item in found.iterdir() if item.suffix in SUFFIXES)
            if not files:
                raise EvaluationError(problem=f"{found} holds no .json, .jsonl or .eval file")
            return union(found.name, [_read_file(file, scorer) for file in files])
        return _read_file(found, scorer)
    except OSError as error:
        problem = f"{error.filename or found} cannot be read: {error.strerror or error}"
        raise EvaluationError(problem=problem) from error


def union(name: str, parts: Sequence[Evaluation]) -> Evaluation:
    """Return one evaluation of the planners, models and samples of all parts.

    Raises:
        EvaluationError: They are of different suites, or hold the same cell twice.
    """
    if len(parts) == 1:
        return parts[0]
    plan = _united(parts)
    by_cell: dict[Cell, Outcome] = {}
    for outcome in (outcome for part in parts for outcome in part.outcomes):
        if outcome.cell in by_cell:
            problem = f"sample {outcome.sample!r} under {outcome.planner!r} and {outcome.model!r} is there twice"
            raise EvaluationError(problem=f"{name}: {problem}")
        by_cell[outcome.cell] = outcome
    ends = [part.ended_at for part in parts]
    return Evaluation(
        id=name,
        plan=plan,
        outcomes=tuple(by_cell[cell] for cell in plan.cells() if cell in by_cell),
        started_at=min(part.started_at for part in parts),
        ended_at=None if None in ends else max(end for end in ends if end is not None),
        machine=dict(parts[0].machine),
    )


def _united(parts: Sequence[Evaluation]) -> EvaluationPlan:
    first = parts[0].plan
    for part in parts[1:]:
        if part.plan.suite != first.suite:
            problem = f"{parts[0].id} and {part.id} are not of the same suite, so they are no one evaluation"
            raise EvaluationError(problem=problem)
    planners: dict[str, Contender] = {}
    models: dict[str, Entrant] = {}
    for plan in (part.plan for part in parts):
        _add(planners, plan.planners)
        _add(models, plan.models)
    samples = dict.fromkeys(sample for part in parts for sample in part.plan.samples)
    changes = {
        "samples": tuple(samples),
        "planners": tuple(planners.values()),
        "models": tuple(models.values()),
        "repeat": max(part.plan.repeat for part in parts),
    }
    return first.model_copy(update=changes)


def _add(known: dict[str, T], more: Iterable[T]) -> None:
    for item in more:
        if known.setdefault(item.label, item) != item:
            raise EvaluationError(problem=f"two different things are labelled {item.label!r}")


def _read_file(path: Path, scorer: str | None) -> Evaluation:
    with path.open("rb") as file:
        first_line = file.readline(65536)
    if outcomes_jsonl.is_ours(first_line):
        return outcomes_jsonl.read(path)
    return inspect_reading.read(path, scorer)
