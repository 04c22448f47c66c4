"""What scorers of answers that are Python share: whether it is Python at all, and what a call came to.

Owns the words for an answer that does not parse and for a call that did not return. Compares nothing.
"""

from typing import Any

from pydantic import Field

from agentflow.errors import ProgramError
from agentflow.sandbox.names import parse_program
from agentflow.sandbox.workers.protocol import Observation
from agentflow_evals.scorer import Options, shown


class ConfinedOptions(Options):
    """How an answer is run: `prelude` is Python before it (imports), `seconds` the time for each test.

    Numbers may be off by `tolerance`, absolute or relative.
    """

    prelude: str = ""
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    seconds: float = Field(default=10.0, gt=0, le=600, allow_inf_nan=False)
    memory_bytes: int = Field(default=1 << 30, gt=0)


def not_python(output: Any) -> str:
    """Return why an answer is no Python source text; empty if it is."""
    if not isinstance(output, str):
        return "the answer is not Python source text"
    try:
        parse_program(output)
    except ProgramError as error:
        return f"the answer is not Python: {error.report}"
    return ""


def not_returned(found: Observation, limit: str) -> str:
    """Return why a call did not return, in words; empty if it did. `limit` is the time it had."""
    if found.outcome == "timeout":
        return f"it took more than {limit}"
    if found.failure is not None:
        return shown(f"{found.failure.type}: {found.failure.message}")
    return "" if found.outcome == "returned" else f"it ended with: {found.outcome}"
