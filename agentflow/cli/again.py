"""Find the flow of a recorded run again."""

from importlib import import_module
from typing import Any

from agentflow.errors import JournalError
from agentflow.flows import Flow
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord


def recorded_run(run: str, journal: str | None) -> tuple[RunRecord, Flow[..., Any]]:
    """Return a run's record and its root flow, imported by name.

    Raises:
        UnknownRunError: There is no such run.
        JournalError: The flow cannot be imported from here.
    """
    with Journal(journal) as opened:
        record = opened.run(run)
    module, _, name = record.target.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        found = error
    if not isinstance(found, Flow):
        problem = (
            f"run {record.id} belongs to flow {record.target}, which cannot be imported from here; "
            "run this where the module can be found, or call Runner.replay in your own code"
        )
        raise JournalError(store=str(journal or "default"), problem=problem)
    return record, found
