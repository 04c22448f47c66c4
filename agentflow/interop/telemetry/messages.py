"""A model's request and reply as the messages of the semantic conventions.

Owns the mapping of our stored JSON onto the conventions' schemas of input and output messages.
System messages stay in the history, where the model got them.
"""

from agentflow.interop.telemetry.plain import Attribute, fields

FINISH = {"tool_calls": "tool_call", "refusal": "content_filter"}  # ours: theirs


def input_messages(data: bytes) -> dict[str, Attribute]:
    """Return the attributes that hold what a model was sent; `data` is the step's input."""
    request = _object(fields(data).get("request"))
    tools: list[Attribute] = [
        {"type": "function", "name": _object(tool).get("name")}
        for tool in _items(request.get("tools"))
    ]
    messages: list[Attribute] = [
        {"role": message.get("role", "user"), "parts": _parts(message)}
        for message in map(_object, _items(request.get("messages")))
    ]
    return {"gen_ai.input.messages": messages, "gen_ai.tool.definitions": tools or None}


def output_messages(data: bytes) -> dict[str, Attribute]:
    """Return the attribute that holds what a model said; `data` is the step's output."""
    reply = fields(data)
    finish = str(reply.get("finish", "stop"))
    message: Attribute = {
        "role": "assistant",
        "parts": _parts(reply),
        "finish_reason": FINISH.get(finish, finish),
    }
    return {"gen_ai.output.messages": [message]}


def _parts(message: dict[str, Attribute]) -> list[Attribute]:
    said = message.get("text", "")
    if message.get("role") == "tool":
        answered = message.get("tool_call_id")
        return [{"type": "tool_call_response", "id": answered, "response": said}]
    spoken: list[Attribute] = [{"type": "text", "content": said}] if said else []
    wishes: list[Attribute] = [
        {
            "type": "tool_call",
            "id": call.get("id"),
            "name": call.get("name"),
            "arguments": call.get("arguments"),
        }
        for call in map(_object, _items(message.get("tool_calls")))
    ]
    return spoken + wishes


def _object(value: Attribute) -> dict[str, Attribute]:
    return value if isinstance(value, dict) else {}


def _items(value: Attribute) -> list[Attribute]:
    return value if isinstance(value, list) else []
