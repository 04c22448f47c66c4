"""Requests and replies of pydantic-ai in our words, and back.

Owns the mapping of messages, tools, settings and replies. What has no counterpart is refused here.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

from pydantic_ai import messages as said
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from agentflow.interop.frameworks.failures import FrameworkError
from agentflow.models.protocol import Message, ModelSpec, Reply, ToolCall, ToolSpec

FRAMEWORK = "pydantic-ai"
FINISH: dict[str, said.FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "refusal": "content_filter",
}
SETTINGS = {  # theirs: ours
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "seed": "seed",
    "stop_sequences": "stop",
}
THEIR_OWN = {"request_timeout", "first_event_timeout", "framing_announcement"}  # kept by the agent


def turns(agent: str, message: said.ModelMessage) -> Iterator[Message]:
    """Yield the turns that one message of theirs stands for."""
    if isinstance(message, said.ModelResponse):
        yield from _spoken(message)
        return
    for part in message.parts:
        match part:
            case said.SystemPromptPart():
                yield Message(role="system", text=part.content)
            case said.UserPromptPart():
                yield Message(role="user", text=_text(agent, part.content))
            case said.ToolReturnPart():
                if part.files:
                    refuse(agent, "files do not map: our models read text")
                answer = part.model_response_str()
                yield Message(role="tool", text=answer, tool_call_id=part.tool_call_id)
            case _:
                refuse(agent, f"a {type(part).__name__} does not map")


def _spoken(message: said.ModelResponse) -> Iterator[Message]:
    texts = [part.content for part in message.parts if isinstance(part, said.TextPart)]
    calls = tuple(
        ToolCall(id=part.tool_call_id, name=part.tool_name, arguments=part.args_as_dict())
        for part in message.parts
        if isinstance(part, said.ToolCallPart)
    )
    if texts or calls:  # an empty reply, which the agent asks again for, is no turn
        yield Message(role="assistant", text="\n\n".join(texts), tool_calls=calls)


def _text(agent: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    pieces = []
    for item in content:
        if isinstance(item, said.CachePoint):
            continue
        if not isinstance(item, str | said.TextContent):
            refuse(agent, f"a {type(item).__name__} in a prompt does not map: our models read text")
        pieces.append(item if isinstance(item, str) else item.content)
    return "\n\n".join(pieces)


def tool_spec(tool: ToolDefinition) -> ToolSpec:
    """Return a tool as our models see it."""
    return ToolSpec(
        name=tool.name,
        description=tool.description or "",
        parameters=tool.parameters_json_schema,
    )


def schema_of(parameters: ModelRequestParameters) -> dict[str, Any] | None:
    """Return the JSON schema that the reply is to have; None for free text or an output by a tool."""
    if parameters.output_mode != "native" or parameters.output_object is None:
        return None
    schema: dict[str, Any] = parameters.output_object.json_schema
    return schema


def options_of(agent: str, settings: ModelSettings | None) -> dict[str, Any]:
    """Return the settings of a request under our names.

    Raises:
        FrameworkError: One has no counterpart.
    """
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    if given.get("tool_choice") == "auto":
        del given["tool_choice"]
    unknown = sorted(given.keys() - SETTINGS.keys() - THEIR_OWN)
    if unknown:
        refuse(agent, f"the model setting {unknown[0]!r} does not map: leave it out")
    return {SETTINGS[name]: value for name, value in given.items() if name in SETTINGS}


def response_of(reply: Reply, spec: ModelSpec) -> said.ModelResponse:
    """Return our reply as theirs."""
    parts: list[said.ModelResponsePart] = [said.TextPart(reply.text)] if reply.text else []
    parts += [
        said.ToolCallPart(call.name, call.arguments, tool_call_id=call.id)
        for call in reply.tool_calls
    ]
    usage = RequestUsage(
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        cache_read_tokens=reply.usage.cached_tokens,
    )
    return said.ModelResponse(
        parts=parts,
        usage=usage,
        model_name=reply.model or spec.name,
        provider_name=spec.provider,
        finish_reason=FINISH[reply.finish],
    )


def refuse(agent: str, problem: str) -> NoReturn:
    """Say that something of an agent has no counterpart here."""
    raise FrameworkError(framework=FRAMEWORK, what=f"agent {agent}", problem=problem)
