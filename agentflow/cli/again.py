"""Take up a recorded run: find its flow, its tools and the settings it ran under."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from agentflow.budget import Budget
from agentflow.cli.carry import Job
from agentflow.cli.environments import recorded_tools
from agentflow.errors import JournalError
from agentflow.flows import Flow
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import ModelSpec
from agentflow.runner import Runner, RunResult


def recorded_run(run: str, journal: str | None) -> tuple[RunRecord, Flow[..., Any]]:
    """Return a run's record and its root flow, imported by name.

    Raises:
        UnknownRunError: There is no such run.
        JournalError: The flow cannot be imported from here.
    """
    with Journal(journal) as opened:
        record = opened.run(run)
    module, _, name = record.target.partition(":")
    sys.path.append(str(Path.cwd()))  # last: nothing of the folder hides what is installed
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        found = error
    if not isinstance(found, Flow):
        problem = (
            f"run {record.id} belongs to flow {record.target}, which cannot be imported from here; "
            "run this in its folder, or use Runner in your own code"
        )
        raise JournalError(store=str(journal or "default"), problem=problem)
    return record, found


def job_like(
    record: RunRecord,
    journal: str | None,
    start: Callable[[Runner], Awaitable[RunResult[Any]]],
    *,
    run: str,
    announcement: str,
    budget: Sequence[str] = (),
    on: str | None = None,
) -> Job:
    """Return a job under the settings of a recorded run.

    `budget` changes limits, as `steps=500`; `on` is another place to run on.

    Raises:
        PluginError: One of its tools is not installed.
    """
    settings = record.settings
    model = settings.get("model")
    return Job(
        run=run,
        announcement=f"{announcement}, model {ModelSpec(**model)}" if model else announcement,
        start=start,
        model=ModelSpec(**model) if model else None,
        tools=recorded_tools(settings),
        budget=changed_budget(settings.get("budget", {}), budget),
        journal=journal,
        redact=settings.get("redact", ()),
        cache_models=bool(settings.get("cache_models")),
        on=on or settings.get("on"),
    )


def changed_budget(recorded: dict[str, Any], changes: Sequence[str]) -> Budget:
    """Return a recorded budget with changes such as `steps=500`; `steps=` takes the limit away.

    Raises:
        click.BadParameter: A change is none.
    """
    limits = dict(recorded)
    for change in changes:
        name, _, value = change.partition("=")
        limits[name] = value or None
    try:
        return Budget(**limits)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"{first['loc'][0]}: {first['msg']}; limits are {', '.join(Budget.model_fields)}"
        raise click.BadParameter(problem, param_hint="--budget") from error
