"""The words of Anthropic's Messages API.

Owns the request body and the reading of events. Knows no client, address or key. A schema that the
service's structured outputs cannot take becomes the input of a tool the model has to call.
"""

import json
from itertools import groupby
from typing import Any

from anthropic import transform_schema
from pydantic import Field

from agentflow.models.failures import Failures
from agentflow.models.hosted import CallDraft, Draft, View
from agentflow.models.json_form import JsonForm
from agentflow.models.protocol import Finish, Message, ModelSpec, Request, ToolSpec, Usage

DEFAULT_MAX_TOKENS = (
    16_000  # the service insists on a limit; this is below that of every current model
)
REPLY_TOOL = "give_reply"
FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}


def messages_body(spec: ModelSpec, request: Request, form: JsonForm | None) -> dict[str, Any]:
    """Return the body of a streaming request."""
    system = "\n\n".join(m.text for m in request.messages if m.role == "system" and m.text)
    wanted = {
        "system": system or None,
        # Not an argument of the client any more, but the service still takes it where the model does.
        "extra_body": None if request.temperature is None else {"temperature": request.temperature},
        "stop_sequences": list(request.stop) or None,
        "tools": [_tool(tool) for tool in request.tools] or None,
    }
    return {
        "model": spec.name,
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns(request.messages),
        **{name: value for name, value in wanted.items() if value is not None},
        **_reply_shape(request.tools, form),
    }


def replies_by_tool(form: JsonForm | None) -> bool:
    """Say whether the reply comes as a call of `REPLY_TOOL`: structured outputs cannot take `form`."""
    return form is not None and (form.recursive or not form.strict)


def _reply_shape(tools: tuple[ToolSpec, ...], form: JsonForm | None) -> dict[str, Any]:
    if form is None:
        return {}
    if not replies_by_tool(form):
        schema = transform_schema(form.schema)
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    reply = ToolSpec(name=REPLY_TOOL, description="Give your reply.", parameters=form.schema)
    choice = {"type": "any"} if tools else {"type": "tool", "name": REPLY_TOOL}
    return {"tools": [_tool(tool) for tool in (*tools, reply)], "tool_choice": choice}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return turns of alternating roles: the answers of parallel tools belong in one turn."""
    spoken = [message for message in messages if message.role != "system"]
    turns = groupby(spoken, key=lambda m: "assistant" if m.role == "assistant" else "user")
    return [
        {"role": role, "content": [block for message in turn for block in _blocks(message)]}
        for role, turn in turns
    ]


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        answer = {"tool_use_id": message.tool_call_id, "content": message.text}
        return [{"type": "tool_result", **answer}]
    text = (
        [{"type": "text", "text": message.text}] if message.text else []
    )  # empty ones are refused
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in message.tool_calls
    ]
    return [*text, *calls]


class _Event(View):
    type: str


class _Usage(View):
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cache_read_input_tokens: int | None = Field(default=None, ge=0)
    cache_creation_input_tokens: int | None = Field(default=None, ge=0)


class _Message(View):
    model: str
    usage: _Usage


class _Started(View):
    message: _Message


class _Block(View):
    type: str
    id: str = ""
    name: str = ""
    input: Any = None


class _BlockStarted(View):
    index: int
    content_block: _Block


class _Delta(View):
    type: str
    text: str = ""
    partial_json: str = ""


class _BlockDelta(View):
    index: int
    delta: _Delta


class _End(View):
    stop_reason: str | None = None


class _Ended(View):
    delta: _End
    usage: _Usage


class MessagesReader:
    """Puts the events of one stream together in `draft`."""

    def __init__(self, failures: Failures, *, by_tool: bool) -> None:
        self.draft = Draft()
        self._failures = failures
        self._by_tool = by_tool
        self._calls: dict[int, CallDraft] = {}
        self._counts: dict[str, int] = {}
        self._reason: str | None = None

    def take(self, event: object) -> str:
        """Read one event; return the text in it."""
        match _Event.model_validate(event).type:
            case "message_start":
                message = _Started.model_validate(event).message
                self.draft.model = message.model
                self._count(message.usage)
            case "content_block_start":
                self._start_block(_BlockStarted.model_validate(event))
            case "content_block_delta":
                return self._take_delta(_BlockDelta.model_validate(event))
            case "message_delta":
                ended = _Ended.model_validate(event)
                self._reason = ended.delta.stop_reason
                self._count(ended.usage)
            case "message_stop":
                self._end()
        return ""

    def _start_block(self, started: _BlockStarted) -> None:
        block = started.content_block
        if block.type == "tool_use":
            early = json.dumps(block.input) if block.input else ""
            self._calls[started.index] = CallDraft(block.id, block.name, early)

    def _take_delta(self, event: _BlockDelta) -> str:
        delta = event.delta
        if delta.type == "text_delta":
            self.draft.text += delta.text
            return delta.text
        if delta.type == "input_json_delta":
            call = self._calls.get(event.index)
            if call is None:
                raise self._failures.malformed("tool arguments arrived for no tool call")
            call.arguments += delta.partial_json
            return delta.partial_json if self._is_reply(call) else ""
        return ""

    def _is_reply(self, call: CallDraft) -> bool:
        return self._by_tool and call.name == REPLY_TOOL

    def _count(self, usage: _Usage) -> None:
        self._counts |= usage.model_dump(
            exclude_none=True
        )  # the later counts include the earlier ones

    def _end(self) -> None:
        if self._reason is None or self._reason not in FINISHES:
            raise self._failures.malformed(f"unknown stop reason {str(self._reason)[:40]!r}")
        self.draft.finish = FINISHES[self._reason]
        calls = list(self._calls.values())
        self.draft.calls = [call for call in calls if not self._is_reply(call)]
        replies = [call.arguments for call in calls if self._is_reply(call)]
        self.draft.text = replies[0] if replies else self.draft.text
        cached = self._counts.get("cache_read_input_tokens", 0)
        written = self._counts.get("cache_creation_input_tokens", 0)
        if "input_tokens" in self._counts and "output_tokens" in self._counts:
            self.draft.usage = Usage(
                input_tokens=self._counts["input_tokens"] + cached + written,
                output_tokens=self._counts["output_tokens"],
                cached_tokens=cached,
            )
