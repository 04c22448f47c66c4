"""Make a task file ready to run: planner, tools, checks and model found, each error with its line.

Owns the last step before money is spent: everything that can be known to be wrong is found here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from agentflow import plugins
from agentflow.budget import Budget
from agentflow.cli.environments import tools_of
from agentflow.errors import ModelError, PluginError, TaskFileError
from agentflow.flowfile import is_flow_file
from agentflow.models.auto import find_model
from agentflow.models.protocol import ModelSpec
from agentflow.models.registry import open_model
from agentflow.plugins import PluginKind
from agentflow.solving import Named, below_root
from agentflow.task import Task
from agentflow.taskfile import NamedOptions, TaskFile, load_task_file, planner_in
from agentflow.tools import Tool


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All that a run of a task needs."""

    task: Task
    planner: Named
    checks: tuple[Named, ...]
    tools: dict[str, Tool[..., Any]]
    model: ModelSpec
    budget: Budget
    journal: str | None
    announcement: str
    redact: tuple[str, ...] = ()
    cache_models: bool = False


def prepare(path: Path, *, model: str | None, planner: str | None, journal: str | None) -> Prepared:
    """Load a task file and find everything it names; options given override the file.

    Raises:
        TaskFileError: Something in the file is wrong or not installed.
    """
    file = load_task_file(path)
    chosen = _planner(file, planner)
    _found(file, ["check"], "scorer", [item.name for item in file.checks])
    tools = tools_of(file)
    spec, reason = _model(file, model)
    return Prepared(
        task=file.task.model_copy(update={"tools": tuple(tools)}),
        planner=Named(name=chosen.name, options=chosen.options),
        checks=tuple(Named(name=item.name, options=item.options) for item in file.checks),
        tools=tools,
        model=spec,
        budget=below_root(file.budget),
        journal=journal or file.journal,
        announcement=f"{path.name}: planner {_shown(chosen)}, model {spec}{reason}",
        redact=file.redact,
        cache_models=file.cache,
    )


def _planner(file: TaskFile, given: str | None) -> NamedOptions:
    """Return the planner to use: the one given, from its flow file if it is one, else the file's."""
    chosen = file.planner if given is None else NamedOptions(given, file.planner.options)
    if given is not None and is_flow_file(given):
        chosen = planner_in(given, Path())
    try:
        plugins.load_planner(chosen.name)
    except PluginError as error:
        if chosen.source:
            raise TaskFileError(path=chosen.source, line=None, problem=str(error)) from error
        raise file.error("planner", problem=str(error)) from error
    return chosen


def _shown(planner: NamedOptions) -> str:
    return f"{planner.name} of {planner.source}" if planner.source else planner.name


def _found(file: TaskFile, path: list[str], kind: PluginKind, names: Sequence[str]) -> list[Any]:
    try:
        return [plugins.load(kind, name) for name in names]
    except PluginError as error:
        raise file.error(*path, problem=str(error)) from error


def _model(file: TaskFile, given: str | None) -> tuple[ModelSpec, str]:
    """Return the model to use, and the reason if it was picked for the user."""
    wanted = given or file.model
    try:
        choice = anyio.run(find_model, wanted)
        _refuse_early(choice.spec)
    except ModelError as error:
        if given:
            raise TaskFileError(path="--model", line=None, problem=str(error)) from error
        raise file.error("model", problem=str(error)) from error
    return choice.spec, f" ({choice.reason})" if choice.reason else ""


def _refuse_early(spec: ModelSpec) -> None:
    """Open and close the model, so that a missing key or package is known before the run."""
    model = open_model(spec)
    anyio.run(model.aclose)
