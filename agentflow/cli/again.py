"""Take up a recorded run: find its flow, its tools and the settings it ran under."""

import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from agentflow.budget import Budget
from agentflow.cli.carry import Job
from agentflow.cli.prepare import find_tools
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
) -> Job:
    """Return a job under the settings of a recorded run.

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
        tools=find_tools(settings.get("tools", [])),
        budget=Budget(**settings.get("budget", {})),
        journal=journal,
        redact=tuple(settings.get("redact", ())),
        cache_models=bool(settings.get("cache_models")),
    )
