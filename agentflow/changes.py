"""Notice, before a run goes on, that its code has changed.

Owns the look at the flows and tools that are loaded. What is not loaded yet is looked at when it is
first called: see `ActiveRun.code_details`.
"""

from typing import Any

from agentflow.code import loaded
from agentflow.errors import CodeChangedError
from agentflow.journal.records import RunRecord
from agentflow.journal.reuse import is_same_code, recorded_codes, steps_of


def check_code(record: RunRecord) -> None:
    """Compare the recorded code of every flow and tool with what is loaded now.

    Raises:
        CodeChangedError: Some has changed; the error names each with its recorded steps.
    """
    changes = {}
    for target, recorded in recorded_codes(record).items():
        now = _code_now(target)
        if now is not None and not is_same_code(recorded, now):
            changes[target] = steps_of(record, target)
    if changes:
        raise CodeChangedError(run=record.id, changes=changes)


def _code_now(target: str) -> str | None:
    """Return the code of a loaded flow or tool; None when it is not loaded, or local to a function."""
    module, _, path = target.partition(":")
    found: Any = loaded(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    code = getattr(found, "code", None)
    return code() if callable(code) else None
