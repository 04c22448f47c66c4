"""An evaluation as JSON lines: one line with its plan, then one line an outcome.

Owns the format and its version. A file that was cut off in its last line is read up to there, and a
warning says so; anything else that is not what this file writes is refused with its line.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from agentflow.errors import EvaluationError
from agentflow.wholefile import whole_file
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import EvaluationPlan
from agentflow_evals.record import Evaluation
from agentflow_evals.suite import Value

FORMAT, VERSION = "agentflow-evaluation", 1
_LOG = logging.getLogger(__name__)


LATEST = 32_503_680_000  # Unix seconds of the year 3000: what is later is no time of a run


class Header(Value):
    """The first line."""

    format: Literal["agentflow-evaluation"] = "agentflow-evaluation"
    version: int = VERSION
    id: str
    plan: EvaluationPlan
    started_at: float = Field(default=0.0, ge=0, le=LATEST)
    ended_at: float | None = Field(default=None, ge=0, le=LATEST)
    machine: dict[str, str] = Field(default_factory=dict)


def write(evaluation: Evaluation, target: Path) -> None:
    """Write an evaluation to a file, whole or not at all.

    Raises:
        EvaluationError: The file cannot be written.
    """
    header = Header(
        id=evaluation.id,
        plan=evaluation.plan,
        started_at=evaluation.started_at,
        ended_at=evaluation.ended_at,
        machine=evaluation.machine,
    )
    with whole_file(target, lambda why: EvaluationError(problem=f"{target} {why}")) as file:
        for value in (header, *evaluation.outcomes):
            text = json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
            file.write(text.encode("utf-8", "replace") + b"\n")


def is_ours(first_line: bytes) -> bool:
    """Return whether a file that begins with this line is one of ours, of whatever version."""
    return f'"format": "{FORMAT}"'.encode() in first_line[:200]


def read(path: Path) -> Evaluation:
    """Return the evaluation that `write` wrote.

    Raises:
        EvaluationError: It is none, of another version, or damaged.
    """
    with path.open("rb") as file:
        header = _header(path, file.readline())
        outcomes = _in_order(path, header.plan, list(_outcomes(path, file)))
    return Evaluation(
        id=path.name,
        plan=header.plan,
        outcomes=outcomes,
        started_at=header.started_at,
        ended_at=header.ended_at,
        machine=header.machine,
    )


def _header(path: Path, line: bytes) -> Header:
    try:
        version = json.loads(line).get("version")
        if version == VERSION:
            return Header.model_validate_json(line)
    except _DAMAGE as error:
        raise _damaged(path, 1, error) from error
    problem = f"it is of version {version!r}, and this agentflow reads version {VERSION}"
    raise EvaluationError(problem=f"{path}:1: {problem}: read it with the one that wrote it")


def _outcomes(path: Path, lines: Iterator[bytes]) -> Iterator[tuple[int, Outcome]]:
    for number, line in enumerate(lines, 2):
        try:
            yield number, Outcome.model_validate_json(line)
        except _DAMAGE as error:
            if line.endswith(b"\n"):
                raise _damaged(path, number, error) from error
            _LOG.warning("%s:%d: the last line is cut off, so it is left out", path, number)


def _in_order(
    path: Path, plan: EvaluationPlan, found: list[tuple[int, Outcome]]
) -> tuple[Outcome, ...]:
    places = {cell: place for place, cell in enumerate(plan.cells())}
    by_cell: dict[Cell, Outcome] = {}
    for number, outcome in found:
        where = f"{path}:{number}: sample {outcome.sample!r} under {outcome.planner!r}"
        if outcome.cell not in places:
            raise EvaluationError(problem=f"{where} is not in the plan of line 1")
        if outcome.cell in by_cell:
            raise EvaluationError(problem=f"{where} is there twice")
        by_cell[outcome.cell] = outcome
    return tuple(by_cell[cell] for cell in sorted(by_cell, key=places.__getitem__))


def _damaged(path: Path, line: int, error: Exception) -> EvaluationError:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        why = str(error)[:200] or type(error).__name__
    return EvaluationError(problem=f"{path}:{line}: not a line of an exported evaluation: {why}")


# Tagged data (see agentflow.data) is rebuilt by constructors, and each has its own way to refuse.
_DAMAGE = (ValueError, ArithmeticError, TypeError, LookupError, AttributeError, RecursionError)
