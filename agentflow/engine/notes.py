"""What a flow may say and ask about the run it is in."""

import hashlib
from typing import Any

from agentflow.engine.run import Step
from agentflow.engine.steps import current_frame
from agentflow.journal.events import Noted
from agentflow.models.protocol import ModelSpec


def note(text: str, **details: Any) -> None:
    """Write a remark about the current step into the journal; `details` is JSON data.

    Raises:
        NoRunError: No run is active here.
    """
    frame = current_frame("note")
    frame.run.emit(Noted, step=frame.step.number or None, text=text, details=details)


def budget_left() -> str:
    """Return what is left of the tree's budget here, in words for a prompt; empty without limits."""
    frame = current_frame("budget_left")
    return frame.run.ledger.describe(frame.step.depth)


def amounts_left() -> dict[str, float]:
    """Return what is left of each limit of the tree's budget here, but for the wall time, by its name."""
    frame = current_frame("amounts_left")
    return frame.run.ledger.left(frame.step.depth)


def levels_left() -> int | None:
    """Return how many flows may still nest below the current step; None without a limit."""
    frame = current_frame("levels_left")
    depth = frame.run.ledger.budget.depth
    return None if depth is None else depth - frame.step.depth


def tools_in_reach() -> dict[str, Any]:
    """Return the run's tools by name."""
    return dict(current_frame("tools_in_reach").run.services.tools)


async def default_model() -> ModelSpec:
    """Return the run's model, picking one if the user left it open.

    Raises:
        ModelError: There is none.
    """
    return await current_frame("default_model").run.default_model()


def idempotency_key() -> str:
    """Return what names the current step for a service outside: the same whenever it runs again.

    The same over every resume of a run, another one in a fork. For a tool with effects to pass on, so
    that a call whose outcome a crash has hidden is not carried out twice.

    Raises:
        NoRunError: No run is active here.
    """
    frame = current_frame("idempotency_key")
    return hashlib.blake2b(frame.run.id.encode() + frame.step.key, digest_size=16).hexdigest()


def current_step() -> Step:
    """Return the step whose body is running."""
    return current_frame("current_step").step
