"""The environment itself says how well it went; the answer's text counts for nothing."""

from typing import Any

from pydantic import Field

from agentflow.environments import NamedEnvironment
from agentflow.episodes import environments_in_reach
from agentflow.errors import InputError
from agentflow_evals.scorer import Options, Score, of_episode, read_options


class RewardOptions(Options):
    """`environment` is its name in the task; `full` the points that are worth 1.

    With `best` the most points so far count, else those at the end. A value of `threshold` passes.
    """

    environment: str
    full: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    best: bool = True
    threshold: float = Field(default=1.0, gt=0, le=1)


@of_episode
async def reward(output: Any, options: dict[str, Any]) -> Score:  # noqa: ARG001 - a scorer's form
    """Give the points that the current episode's environment says it is worth, as a share of `full`.

    Raises:
        InputError: The options are wrong, or there is no such environment, or it keeps no score.
        ToolError: The environment could not say.
    """
    wanted = read_options(RewardOptions, "reward", options)
    environment = _named(wanted.environment)
    points, best = await environment.score(), await environment.best_score()
    counted = best if wanted.best else points
    if counted is None:
        problem = f"the environment {environment.name} keeps no score"
        raise InputError(step="check reward", problem=problem)
    value = min(max(counted / wanted.full, 0.0), 1.0)
    said = f"{counted:g} of {wanted.full:g} points"
    if best != points and points is not None and best is not None:
        said += f" ({best:g} at best, {points:g} at the end)"
    return Score(passed=value >= wanted.threshold, value=value, explanation=said)


def _named(name: str) -> NamedEnvironment:
    found = environments_in_reach()
    if name not in found:
        have = ", ".join(found) or "none"
        problem = f"environment: the task has no {name!r} (it has {have})"
        raise InputError(step="check reward", problem=problem)
    return found[name]
