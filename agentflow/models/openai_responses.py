"""The words of OpenAI's Responses API.

Owns the request body and the reading of events. Knows no client, address or key. Nothing is asked
to be stored at the service: the journal is the record.
"""

import json
from typing import Any

from pydantic import Field

from agentflow.models.failures import Failures
from agentflow.models.hosted import CallDraft, Draft, StateHandle, View
from agentflow.models.json_form import JsonForm
from agentflow.models.protocol import Finish, Message, ModelSpec, Request, ToolSpec, Usage

INCOMPLETE: dict[str, Finish] = {"max_output_tokens": "length", "content_filter": "refusal"}


def responses_body(spec: ModelSpec, request: Request, form: JsonForm | None) -> dict[str, Any]:
    """Return the body of a streaming request."""
    wanted = {
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "text": None if form is None else {"format": _format(form)},
    }
    return {
        "model": spec.name,
        "input": [item for message in request.messages for item in _items(message)],
        "store": False,
        **{name: value for name, value in wanted.items() if value is not None},
    }


def _items(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        answer = {"call_id": message.tool_call_id, "output": message.text}
        return [{"type": "function_call_output", **answer}]
    calls = [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": json.dumps(call.arguments),
        }
        for call in message.tool_calls
    ]
    if calls and not message.text:
        return calls
    return [{"role": message.role, "content": message.text}, *calls]


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,  # strict would take away the parameters' defaults
    }


def _format(form: JsonForm) -> dict[str, Any]:
    return {"type": "json_schema", "name": "reply", "schema": form.schema, "strict": form.strict}


class _Event(View):
    type: str


class _TextDelta(View):
    delta: str


class _Item(View):
    type: str
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class _ItemDone(View):
    item: _Item


class _Details(View):
    cached_tokens: int | None = Field(default=None, ge=0)


class _Usage(View):
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    input_tokens_details: _Details | None = None


class _Incomplete(View):
    reason: str | None = None


class _Error(View):
    code: str | None = None
    message: str | None = None


class _Response(View):
    model: str | None = None
    usage: _Usage | None = None
    incomplete_details: _Incomplete | None = None
    error: _Error | None = None
    agentflow_state: StateHandle = None


class _Ended(View):
    response: _Response


class ResponsesReader:
    """Puts the events of one stream together in `draft`."""

    def __init__(self, failures: Failures) -> None:
        self.draft = Draft()
        self._failures = failures

    def take(self, event: object) -> str:
        """Read one event; return the text in it."""
        match _Event.model_validate(event).type:
            case "response.output_text.delta":
                text = _TextDelta.model_validate(event).delta
                self.draft.text += text
                return text
            case "response.refusal.delta":
                self.draft.refusal += _TextDelta.model_validate(event).delta
            case "response.output_item.done":
                self._take_item(_ItemDone.model_validate(event).item)
            case "response.completed" | "response.incomplete":
                self._take_end(_Ended.model_validate(event).response)
            case "response.failed":
                self._raise(_Ended.model_validate(event).response.error or _Error())
            case "error":
                self._raise(_Error.model_validate(event))
        return ""

    def _take_item(self, item: _Item) -> None:
        if item.type == "function_call":
            self.draft.calls.append(CallDraft(item.call_id, item.name, item.arguments))

    def _take_end(self, response: _Response) -> None:
        self.draft.model = response.model or ""
        self.draft.state = response.agentflow_state
        if response.usage is not None:
            self.draft.usage = _usage(response.usage)
        if response.incomplete_details is None:
            self.draft.finish = "stop"
            return
        reason = response.incomplete_details.reason or ""
        if reason not in INCOMPLETE:
            raise self._failures.malformed(f"the reply is incomplete: {reason[:40]!r}")
        self.draft.finish = INCOMPLETE[reason]

    def _raise(self, error: _Error) -> None:
        raise self._failures.refused(None, error.model_dump())


def _usage(said: _Usage) -> Usage:
    cached = said.input_tokens_details.cached_tokens if said.input_tokens_details else 0
    return Usage(
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        cached_tokens=min(cached or 0, said.input_tokens),
    )
