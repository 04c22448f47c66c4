"""Ask the run's model in the words of another framework.

Owns the one call that every adapter makes: conversation, tools and schema as plain values in, a `Reply`
out. It is a step like any other: journaled, under the budget, retried by us, answered from the record on
a resume or replay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from agentflow.engine.generate import generate
from agentflow.models.protocol import Message, ModelSpec, Reply, ToolSpec
from agentflow.tools import Tool

OPTIONS = ("max_tokens", "temperature", "seed", "stop")


@dataclass(frozen=True)
class _Offered:
    """A tool that the model may ask for and that the other framework calls."""

    spec: ToolSpec


async def ask_model(
    messages: Sequence[Message],
    *,
    model: str | ModelSpec | None,
    tools: Sequence[ToolSpec] = (),
    schema: dict[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Reply:
    """Return what the model says; `schema` asks for JSON of that shape, `options` are `OPTIONS` by name.

    Raises:
        ModelError, BudgetExceededError: See `generate`.
    """
    wanted = {name: value for name, value in (options or {}).items() if value is not None}
    if schema is not None:
        wanted["output_schema"] = schema
    offered = cast("list[Tool[..., Any]]", [_Offered(spec) for spec in tools])
    reply: Reply = await generate(messages, model=model, tools=offered, **wanted)
    return reply
