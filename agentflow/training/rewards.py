"""What a run is worth, and which runs are worth keeping.

Owns the step of ReCode's data pipeline that comes before any pair is made: keep the best fraction of a
teacher's runs by their final reward. Knows nothing of models or files.

Source: Yu et al., ReCode, arXiv:2510.23564 (v4): they keep the best 40 %.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from agentflow.data import from_json
from agentflow.errors import TrainingDataError
from agentflow.journal.records import RunRecord
from agentflow.solving import Solution, solve_task

T = TypeVar("T")


def reward_of(record: RunRecord) -> float | None:
    """Return the mean value of a run's checks; without checks 1 if it succeeded, 0 if it failed.

    None for a run that has not ended: nobody knows yet what it is worth.

    Raises:
        TrainingDataError: The run's record cannot be read.
    """
    if record.status not in ("succeeded", "failed"):
        return None
    if record.status == "failed":
        return 0.0
    values = [verdict.value for verdict in solution_of(record).verdicts]
    return statistics.fmean(values) if values else 1.0


def solution_of(record: RunRecord) -> Solution:
    """Return what a run of a task gave, with its verdicts; of any other run, its output alone."""
    if record.target != solve_task.target or record.output is None:
        return Solution(output=None)
    try:
        return Solution.model_validate_json(record.output)
    except ValidationError as error:
        raise TrainingDataError(
            place=f"run {record.id}", problem="its output is no solution of a task"
        ) from error


def planner_of(record: RunRecord) -> str:
    """Return the name of the planner that a run used: of a task, else the root flow itself."""
    if record.target != solve_task.target:
        return record.flow
    arguments: Any = from_json(record.input)
    planner = arguments.get("planner") if isinstance(arguments, dict) else None
    return str(planner.get("name", "")) if isinstance(planner, dict) else ""


def best(
    rewarded: Sequence[tuple[T, float]], *, keep: float, at_least: float | None = None
) -> list[tuple[T, float]]:
    """Return the best fraction `keep`, rounded up, best first; equal rewards keep their order.

    `at_least` then drops what has less, so it never lets more through than `keep` does.
    """
    ranked = sorted(rewarded, key=lambda pair: -pair[1])
    count = math.ceil(round(keep * len(ranked), 9))  # 0.07 * 100 is a little more than 7
    return [pair for pair in ranked[:count] if at_least is None or pair[1] >= at_least]


def distribution(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return count, mean, standard deviation (of the whole population), least, median and largest."""
    if not values:
        empty = dict.fromkeys(("mean", "deviation", "least", "median", "largest"))
        return {"count": 0, **empty}
    return {
        "count": len(values),
        "mean": statistics.fmean(values),
        "deviation": statistics.pstdev(values),
        "least": min(values),
        "median": statistics.median(values),
        "largest": max(values),
    }
