"""What a model says in free text: never empty, and of a bounded length.

Owns the limit that keeps a small model from going on without end. Knows no planner.
"""

from collections.abc import Sequence

from agentflow import Message, generate
from agentflow.errors import ExpansionError

MAX_TOKENS = 2_048


async def spoken(
    prompt: str | Sequence[Message],
    *,
    step: str,
    system: str | None = None,
    max_tokens: int | None = None,
) -> str:
    """Return what a model says, without spaces around it.

    Args:
        prompt: What it is asked, or a conversation.
        step: Whose failure it is when it says nothing.
        system: What it is told beforehand.
        max_tokens: How long the reply may be; 2,048 where nothing else is said.

    Raises:
        ExpansionError: The reply is empty.
        ModelError: The call failed for good.
    """
    reply = await generate(prompt, system=system, max_tokens=max_tokens or MAX_TOKENS)
    text: str = reply.text.strip()
    if not text:
        raise ExpansionError(step=step, problem="the model's reply is empty")
    return text
