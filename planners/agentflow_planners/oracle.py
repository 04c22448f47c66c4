"""Do what the environment itself says solves it: no planner, but the ceiling that planners are held to.

Source: none.
Cost: one call: not even that, since it asks no model.
Needs: an environment.
Published: none that were checked.

Owns nothing but the order: the walkthrough is asked for as a step, and performed through the task's
ordinary tools, so that its run reads like any other. It asks no model. Where even the oracle fails, the
environment's solution, its step limit or our binding is wrong, and no planner's failure there counts.
"""

from collections.abc import Mapping
from typing import Any

from agentflow import ActionTool, Move, NamedEnvironment, Result, Task, Tool, flow, note
from agentflow.errors import EpisodeOverError, ExpansionError
from agentflow_planners.shared.acting import tools_of


@flow
async def oracle(task: Task) -> Result:
    """Perform the walkthrough of each of the task's environments; the answer is what was heard last.

    Raises:
        ExpansionError: There is no environment, or one that does not know its own solution; or the task
            lacks a tool that the solution takes.
        ToolError: An action failed.
    """
    tools = tools_of(task)
    found = {tool.environment.name: tool.environment for tool in _actions(tools)}
    if not found:
        raise ExpansionError(step="oracle", problem="the task has no environment to act on")
    heard: Any = None
    for environment in found.values():
        heard = await _perform(environment, await _walkthrough(environment), tools)
    return Result(output=heard)


def _actions(tools: Mapping[str, Tool[..., Any]]) -> list[ActionTool]:
    return [tool for tool in tools.values() if isinstance(tool, ActionTool)]


async def _walkthrough(environment: NamedEnvironment) -> list[Move]:
    moves = await environment.walkthrough()
    if moves is None:
        problem = f"the environment {environment.name} does not know its own solution"
        raise ExpansionError(step="oracle", problem=problem)
    return moves


async def _perform(
    environment: NamedEnvironment, moves: list[Move], tools: Mapping[str, Tool[..., Any]]
) -> Any:
    """Return what the last action gave; an episode may end before its walkthrough does."""
    heard: Any = None
    for number, (action, arguments) in enumerate(moves):
        name = f"{environment.name}_{action}"
        if name not in tools:
            problem = f"the solution of {environment.name} takes {name}, which the task may not use"
            raise ExpansionError(step="oracle", problem=problem)
        try:
            heard = await tools[name].call((), arguments)
        except EpisodeOverError:
            note(f"{environment.name}: over after {number} of {len(moves)} actions")
            break
    return heard
