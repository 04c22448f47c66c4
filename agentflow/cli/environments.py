"""Find the tools that a task file or a recorded run names, those of its environments among them.

Owns the meaning of a name under `tools`: an installed tool, an environment, or one of its actions. What
is wrong with a task file is told with its line.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from agentflow import plugins
from agentflow.environments import Environment, NamedEnvironment
from agentflow.errors import AgentflowError, InputError, PluginError
from agentflow.taskfile import NamedOptions, TaskFile
from agentflow.tools import Tool

Tools = dict[str, Tool[..., Any]]


def tools_of(file: TaskFile) -> Tools:
    """Return the tools a task file lists, as its planner knows them: `cave.look` is `cave_look`.

    Raises:
        TaskFileError: One is not installed, has no such action, or has the name of another.
    """
    environments = {name: _environment(file, name) for name in file.environments}
    found: Tools = {}
    for index, listed in enumerate(file.tools):
        try:
            meant = _meant(listed, environments)
        except (AgentflowError, ValueError) as error:
            raise file.error("tools", index, problem=str(error)) from error
        for name, tool in meant.items():
            if name in found:
                problem = f"`{listed}`: there is a tool `{name}` already; give one another name"
                raise file.error("tools", index, problem=problem)
            found[name] = tool
    return found


def find_tools(names: Sequence[str]) -> Tools:
    """Return tools by name.

    Raises:
        PluginError: One is not installed.
    """
    return {name: plugins.load("tool", name) for name in names}


def recorded_tools(settings: Mapping[str, Any]) -> Tools:
    """Return the tools that a run was recorded with.

    Raises:
        PluginError: One of them, or an environment, is not installed.
        InputError: An environment cannot be made with the recorded options any more.
    """
    acting: Tools = {}
    for name, facts in settings.get("environments", {}).items():
        kind = _recorded_kind(facts["use"])
        environment = _named(kind, name, facts["options"], facts["use"])
        acting |= {tool.name: tool for tool in environment.tools(*facts["actions"])}
    names = settings.get("tools", [])
    return {name: acting.get(name) or plugins.load("tool", name) for name in names}


def _meant(listed: str, environments: Mapping[str, NamedEnvironment]) -> Tools:
    name, _, action = listed.partition(".")
    if name not in environments:
        return find_tools([listed])
    chosen = environments[name].tools(*([action] if action else []))
    return {tool.name: tool for tool in chosen}


def _environment(file: TaskFile, name: str) -> NamedEnvironment:
    chosen, path = file.environments[name], ("environments", name)
    if name in plugins.installed("tool"):
        problem = f"environment `{name}` has the name of an installed tool; choose another name"
        raise file.error(*path, problem=problem)
    try:
        kind = _checked(plugins.load("environment", chosen.name), chosen.name)
    except PluginError as error:
        raise file.error(*path, "use", problem=str(error)) from error
    try:
        return _named(kind, name, chosen.options, chosen.name)
    except InputError as error:
        wrong = _wrong_option(error, chosen)
        problem = f"environment `{name}`: {error.problem}"
        raise file.error(*path, "options", *wrong, problem=problem) from error


def _named(
    kind: type[Environment], name: str, options: Mapping[str, Any], use: str
) -> NamedEnvironment:
    """Return an environment as its own kind names it, and where a resume finds it."""
    environment = kind.named(name, **options)
    environment.use = use
    return environment


def _wrong_option(error: InputError, chosen: NamedOptions) -> list[str]:
    """Return the option that an error speaks of, if it can be told."""
    words = error.problem.replace("'", " ").replace(":", " ").split()
    return [name for name in chosen.options if name in words][:1]


def _checked(found: Any, use: str) -> type[Environment]:
    if isinstance(found, type) and issubclass(found, Environment):
        return found
    names = plugins.installed("environment")
    raise PluginError(kind="environment", name=use, installed=names)


def _recorded_kind(use: str) -> type[Environment]:
    """Return the environment of a recorded run, which like its flow may be known by where it is."""
    module, colon, path = use.partition(":")
    if not colon:
        return _checked(plugins.load("environment", use), use)
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError):
        found = None
    return _checked(found, use)
