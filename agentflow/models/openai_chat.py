"""The words of OpenAI's Chat Completions API, which many other servers speak too.

Owns the request body and the reading of chunks. Knows no client, address or key.
"""

import json
from typing import Any

from pydantic import Field

from agentflow.models.failures import Failures
from agentflow.models.hosted import CallDraft, Draft, StateHandle, View
from agentflow.models.json_form import JsonForm
from agentflow.models.protocol import Finish, Message, ModelSpec, Request, ToolSpec, Usage

FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
}


def chat_body(spec: ModelSpec, request: Request, form: JsonForm | None) -> dict[str, Any]:
    """Return the body of a streaming request."""
    # OpenAI's newer models refuse `max_tokens`; most other servers know nothing else.
    limit = "max_completion_tokens" if spec.base_url is None else "max_tokens"
    wanted = {
        limit: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "response_format": None if form is None else _response_format(form),
    }
    return {
        "model": spec.name,
        "messages": [_message(message) for message in request.messages],
        "stream_options": {"include_usage": True},
        **{name: value for name, value in wanted.items() if value is not None},
    }


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
    if not message.tool_calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _response_format(form: JsonForm) -> dict[str, Any]:
    json_schema = {"name": "reply", "schema": form.schema, "strict": form.strict}
    return {"type": "json_schema", "json_schema": json_schema}


class _Function(View):
    name: str | None = None
    arguments: str | None = None


class _Call(View):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(View):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(View):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Details(View):
    cached_tokens: int | None = Field(default=None, ge=0)


class _Usage(_Details):
    """OpenAI's, vLLM's and SGLang's details; beside them `cached_tokens` (Kimi) and DeepSeek's word."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    prompt_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = Field(default=None, ge=0)


class _Timings(View):
    """What llama.cpp's server adds to its last chunk."""

    cache_n: int | None = Field(default=None, ge=0)


class _Chunk(View):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    agentflow_state: StateHandle = None


class ChatReader:
    """Puts the chunks of one stream together in `draft`."""

    def __init__(self, failures: Failures) -> None:
        self.draft = Draft()
        self._failures = failures
        self._open: dict[int, CallDraft] = {}

    def take(self, event: object) -> str:
        """Read one chunk; return the text in it."""
        chunk = _Chunk.model_validate(event)
        self.draft.model = chunk.model or self.draft.model
        self.draft.state = chunk.agentflow_state or self.draft.state
        if chunk.usage is not None:
            self.draft.usage = _usage(chunk.usage, chunk.timings or _Timings())
        text = ""
        for choice in chunk.choices or ():
            text += self._take_delta(choice.delta or _Delta())
            if choice.finish_reason:
                self.draft.finish = self._finish(choice.finish_reason)
        self.draft.text += text
        return text

    def _take_delta(self, delta: _Delta) -> str:
        self.draft.refusal += delta.refusal or ""
        for call in delta.tool_calls or ():
            self._take_call(call)
        return delta.content or ""

    def _take_call(self, part: _Call) -> None:
        index = part.index if part.index is not None else max(self._open, default=0)
        function = part.function or _Function()
        call = self._open.get(index)
        # Some servers give every parallel call the same index, and only the id tells them apart.
        if call is None or (part.id and part.id != call.id and function.name):
            call = CallDraft(id=part.id or "", name="")
            self._open[index] = call
            self.draft.calls.append(call)
        call.name = call.name or function.name or ""
        call.arguments += function.arguments or ""

    def _finish(self, reason: str) -> Finish:
        if reason not in FINISHES:
            raise self._failures.malformed(f"unknown finish reason {reason[:40]!r}")
        return FINISHES[reason]


def _usage(said: _Usage, timings: _Timings) -> Usage:
    details = said.prompt_tokens_details or _Details()
    told = (
        details.cached_tokens,
        said.cached_tokens,
        said.prompt_cache_hit_tokens,
        timings.cache_n,
    )
    cached = next((count for count in told if count is not None), 0)
    return Usage(
        input_tokens=said.prompt_tokens,
        output_tokens=said.completion_tokens,
        cached_tokens=min(cached, said.prompt_tokens),
    )
