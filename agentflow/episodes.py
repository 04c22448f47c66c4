"""One episode of a run: which environments it has, how they begin, and that they end with it.

Owns the life of named environments. Every task is an episode: its environments are fresh, its planner is
told what they show first, and they are closed when it is over.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from agentflow.engine.notes import tools_in_reach
from agentflow.engine.steps import current_frame
from agentflow.environments import ActionTool, NamedEnvironment
from agentflow.sessions import Session
from agentflow.task import Task
from agentflow.tools import Tool


@asynccontextmanager
async def episode() -> AsyncIterator[None]:
    """Give everything below the current step environments of its own, and close them at the end.

    Raises:
        NoRunError: No run is active here.
    """
    frame = current_frame("episode")
    key, environments = frame.step.key, frame.run.services.environments
    assert key not in environments, "a step has one episode"
    opened: dict[str, Session] = {}
    environments[key] = opened
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            for session in opened.values():
                await session.close()


async def with_openings(task: Task) -> Task:
    """Return the task with what its environments show first added to its context."""
    parts = [task.context] if task.context else []
    for environment in _of(tools_in_reach(), task.tools):
        shown = await environment.shown_first()
        if shown:
            parts.append(opening_words(environment.name, shown))
    return task.model_copy(update={"context": "\n\n".join(parts)})


def opening_words(name: str, shown: str) -> str:
    """Return how a planner is told what an environment shows first."""
    return f"At the beginning {name} shows:\n{shown}"


def environments_in_reach() -> dict[str, NamedEnvironment]:
    """Return the environments of the run's tools by name.

    Raises:
        NoRunError: No run is active here.
    """
    tools = tools_in_reach()
    return {environment.name: environment for environment in _of(tools, tools)}


def check_environments(tools: Mapping[str, Tool[..., Any]]) -> None:
    """Refuse two environments under one name.

    Raises:
        ValueError: There are two.
    """
    seen: set[str] = set()
    for environment in _of(tools, tools):
        if environment.name in seen:
            raise ValueError(
                f"two environments are called {environment.name!r}; make one and take its tools"
            )
        seen.add(environment.name)


def recorded_tools(tools: Mapping[str, Tool[..., Any]]) -> dict[str, Any]:
    """Return what a run writes down about its tools, in the order in which models are told of them."""
    recorded: dict[str, Any] = {"tools": list(tools)}
    for environment in _of(tools, tools):
        mine = [tool for tool in tools.values() if _is_of(tool, environment)]
        actions = [tool.action.name for tool in mine if isinstance(tool, ActionTool)]
        facts = environment.recorded() | {"actions": actions}
        recorded.setdefault("environments", {})[environment.name] = facts
    return recorded


def _of(tools: Mapping[str, Tool[..., Any]], names: Iterable[str]) -> list[NamedEnvironment]:
    """Return the environments of those tools, each once, in their order."""
    found = [tools[name] for name in names if name in tools]
    return list(dict.fromkeys(tool.environment for tool in found if isinstance(tool, ActionTool)))


def _is_of(tool: Tool[..., Any], environment: NamedEnvironment) -> bool:
    return isinstance(tool, ActionTool) and tool.environment is environment
