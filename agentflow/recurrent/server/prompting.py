"""Turn what a request holds into tokens. Owns the limit of a reply for which none was asked."""

from collections.abc import Sequence
from typing import Any

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.requests import Prompt
from agentflow.recurrent.server.refusals import Refusal, bad
from agentflow.recurrent.server.tools import Tool

# A recurrent model has no window that would end its reply.
REPLY_TOKENS = 4096


def conversation(
    engine: Engine, messages: Sequence[dict[str, Any]], tools: Sequence[Tool], repeat_context: int
) -> Prompt:
    """Return the prompt of a conversation.

    Raises:
        Refusal: The model's template refuses it.
    """
    told = [tool.told for tool in tools] or None
    try:
        prompt = engine.prompts.build(messages, told, add_reply=True, repeat_context=repeat_context)
    except ValueError as error:
        raise bad("messages", str(error)) from None
    check_length(engine, prompt)
    return prompt


def check_length(engine: Engine, prompt: Prompt) -> None:
    """Refuse a prompt without tokens, or one that leaves no room for a reply."""
    most, length = engine.model.context_tokens, len(prompt.tokens)
    if not length:
        raise bad("prompt", "it is empty")
    if most is not None and length >= most:
        message = (
            f"this model reads at most {most} tokens, its reply included; the prompt has {length}"
        )
        raise Refusal(400, message, code="context_length_exceeded")


def reply_tokens(
    engine: Engine, prompt: Prompt, asked: int | None, default: int = REPLY_TOKENS
) -> int:
    """Return how long a reply may get."""
    most = engine.model.context_tokens
    wanted = asked or default
    return wanted if most is None else min(wanted, most - len(prompt.tokens))
