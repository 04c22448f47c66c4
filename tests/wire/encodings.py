"""How each API says a scripted answer: its sequence of server-sent events.

Owns the event sequences. An event is its name (None where the API names none) and its data.
"""

import json
from collections.abc import Iterator
from typing import Any

from agentflow.models.protocol import Usage
from tests.wire.script import Scripted

Event = tuple[str | None, dict[str, Any]]


def chat_events(answer: Scripted, body: dict[str, Any]) -> Iterator[Event]:
    """Speak Chat Completions; the usage chunk comes only if the request asks for it."""
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": answer.model or body["model"],
        "system_fingerprint": "fp_1",
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, head | {"choices": [choice]}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for text in answer.text:
        yield chunk({"content": text})
    if answer.refusal:
        yield chunk({"refusal": answer.refusal})
    for index, (name, arguments) in enumerate(answer.calls):
        function = {"name": name, "arguments": ""}
        first = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        yield chunk({"tool_calls": [first]})
        for piece in _pieces(arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if answer.fault is not None:
        return
    yield chunk({}, answer.finish or ("tool_calls" if answer.calls else "stop"))
    if answer.usage is not None and body.get("stream_options", {}).get("include_usage"):
        last = head | {"choices": [], "usage": _chat_usage(answer.usage)}
        yield None, last if answer.state is None else last | {"agentflow_state": answer.state}


def _chat_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def responses_events(answer: Scripted, body: dict[str, Any]) -> Iterator[Event]:
    """Speak Responses, numbering the events."""
    for number, event in enumerate(_responses_events(answer, body)):
        yield event["type"], event | {"sequence_number": number}


def _responses_events(answer: Scripted, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = _response(answer, body, "in_progress", [])
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    output: list[dict[str, Any]] = []
    if answer.text or answer.refusal:
        yield from _said_message(answer, output)
    for name, arguments in answer.calls:
        yield from _said_call(name, arguments, output)
    if answer.fault is not None:
        return
    status = "completed" if answer.finish is None else "incomplete"
    response = _response(answer, body, status, output)
    yield {"type": f"response.{status}", "response": response}


def _said_message(answer: Scripted, output: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    item = {"id": "msg_1", "type": "message", "role": "assistant"}
    kind, pieces = (
        ("refusal", [answer.refusal]) if answer.refusal else ("output_text", list(answer.text))
    )
    field = "refusal" if answer.refusal else "text"
    extra: dict[str, Any] = {} if answer.refusal else {"annotations": [], "logprobs": []}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    fresh = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": fresh}
    part = {"type": kind, field: "", **extra}
    yield {"type": "response.content_part.added", **at, "part": part}
    logprobs: dict[str, Any] = {} if answer.refusal else {"logprobs": []}
    for piece in pieces:
        yield {"type": f"response.{kind}.delta", **at, "delta": piece, **logprobs}
    whole = "".join(pieces)
    yield {"type": f"response.{kind}.done", **at, field: whole, **logprobs}
    part = {"type": kind, field: whole, **extra}
    yield {"type": "response.content_part.done", **at, "part": part}
    done = {**item, "status": "completed", "content": [part]}
    output.append(done)
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}


def _said_call(
    name: str, arguments: dict[str, Any] | str, output: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    index = len(output)
    item = {"id": f"fc_{index}", "type": "function_call", "call_id": f"call_{index}", "name": name}
    at = {"item_id": item["id"], "output_index": index}
    fresh = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": index, "item": fresh}
    pieces = _pieces(arguments)
    for piece in pieces:
        yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
    whole = "".join(pieces)
    yield {"type": "response.function_call_arguments.done", **at, "name": name, "arguments": whole}
    done = {**item, "status": "completed", "arguments": whole}
    output.append(done)
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _response(
    answer: Scripted, body: dict[str, Any], status: str, output: list[dict[str, Any]]
) -> dict[str, Any]:
    ended = status != "in_progress"
    ours = {"agentflow_state": answer.state} if ended and answer.state is not None else {}
    return {
        **ours,
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": answer.finish} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": answer.model or body["model"],
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _responses_usage(answer.usage) if ended and answer.usage is not None else None,
    }


def _responses_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }


def anthropic_events(answer: Scripted, body: dict[str, Any]) -> Iterator[Event]:
    """Speak Messages, whose `input_tokens` leave out what a cache served."""
    for event in _anthropic_events(answer, body):
        yield event["type"], event


def _anthropic_events(answer: Scripted, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = answer.usage or Usage()
    counts = {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
    }
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": answer.model or body["model"],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts | {"output_tokens": 1},
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "ping"}
    index = 0
    texts = answer.text or ((answer.refusal,) if answer.refusal else ())
    if texts:
        deltas = [{"type": "text_delta", "text": text} for text in texts]
        yield from _block(index, {"type": "text", "text": ""}, deltas)
        index += 1
    for name, arguments in answer.calls:
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in _pieces(arguments)]
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
        yield from _block(index, block, deltas)
        index += 1
    if answer.fault is not None:
        return
    natural = "refusal" if answer.refusal else "tool_use" if answer.calls else "end_turn"
    delta = {"stop_reason": answer.finish or natural, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.output_tokens}}
    yield {"type": "message_stop"}


def _block(
    index: int, block: dict[str, Any], deltas: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _pieces(arguments: dict[str, Any] | str) -> tuple[str, str]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return text[: len(text) // 2], text[len(text) // 2 :]
