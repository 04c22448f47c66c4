"""Bring a conversation into the one form that chat templates read.

Owns the messages of Chat Completions and the items of Responses, and which of them can be read here: text, calls of
functions and their results. Everything else is refused by its name.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from agentflow.recurrent.server.fields import Part

MOST_REMEMBERED = 4096
Told = dict[str, Any]  # a message as a template reads it
READABLE = ("text", "input_text", "output_text")


def _text(content: Any) -> Any:
    """Join the parts of a content; a string stays what it is."""
    if not isinstance(content, list):
        return content
    return "".join(_text_of(place, part) for place, part in enumerate(content))


def _text_of(place: int, part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get("refusal" if kind == "refusal" else "text") if kind else None
    if kind not in (*READABLE, "refusal"):
        raise ValueError(f"part {place} is not text, and this model reads nothing else")
    if not isinstance(text, str):
        raise ValueError(f"part {place} holds no text")  # noqa: TRY004 - it becomes a field's problem
    return text


Text = Annotated[str, BeforeValidator(_text)]


class CalledFunction(Part):
    """The function that a call names; `arguments` is JSON as text."""

    name: str
    arguments: str


class Call(Part):
    """A call that a model has made."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Part):
    """One message of Chat Completions; what our own replies carry besides is read and has no effect."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text = ""
    name: str | None = None
    tool_calls: list[Call] = Field(default_factory=list)
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: list[Any] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_its_role(self) -> "Message":
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant has `tool_calls`")
        return self


class Item(Part):
    """One item of Responses: a message, a call or a call's result."""

    type: Literal["message", "function_call", "function_call_output"] = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: Text = ""
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: Text = ""


class OwnReplies:
    """What the model wrote, word for word, where a reply was told as calls.

    A client sends calls back as data. Written anew they may differ in a space from what the model wrote, and then
    its state would not fit any more. A call that the client has changed is not looked up.
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, tuple[Told, str]] = OrderedDict()

    def remember(self, told: Told, text: str) -> None:
        """Keep the text of a reply that was told as this message."""
        self._texts[told["tool_calls"][0]["id"]] = (told, text)
        while len(self._texts) > MOST_REMEMBERED:
            self._texts.popitem(last=False)

    def as_written(self, told: Told) -> Told:
        """Return the message as the model wrote it, when it is one of ours."""
        calls = told.get("tool_calls")
        known = self._texts.get(calls[0]["id"]) if calls else None
        if known is None or known[0] != told:
            return told
        return {"role": "assistant", "content": known[1]}


def told_message(text: str, calls: Iterable[tuple[str, str, str]]) -> Told:
    """Return an assistant's message: its text, and calls as (id, name, arguments as JSON)."""
    message: Told = {"role": "assistant", "content": text}
    made = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": _data(arguments)},
        }
        for call_id, name, arguments in calls
    ]
    return {**message, "tool_calls": made} if made else message


def of_chat(messages: Iterable[Message], own: OwnReplies) -> list[Told]:
    """Return the messages of Chat Completions for a template."""
    return [own.as_written(_told(message)) for message in messages]


def of_items(items: Iterable[Item], own: OwnReplies) -> list[Told]:
    """Return the items of Responses for a template; calls in a row are one message with the text before them."""
    found: list[Told] = []
    draft: tuple[str, list[tuple[str, str, str]]] | None = None
    for item in items:
        is_reply = item.type == "function_call" or (
            item.type == "message" and item.role == "assistant"
        )
        if draft is not None and (not is_reply or item.type == "message"):
            found.append(own.as_written(told_message(*draft)))
            draft = None
        if item.type == "function_call":
            draft = draft or ("", [])
            draft[1].append((item.call_id, item.name, item.arguments))
        elif is_reply:
            draft = (item.content, [])
        elif item.type == "function_call_output":
            found.append({"role": "tool", "content": item.output, "tool_call_id": item.call_id})
        else:
            found.append({"role": item.role, "content": item.content})
    return found if draft is None else [*found, own.as_written(told_message(*draft))]


def _told(message: Message) -> Told:
    if message.role == "assistant":
        calls = (
            (call.id, call.function.name, call.function.arguments) for call in message.tool_calls
        )
        return told_message(message.content or message.refusal or "", calls)
    told: Told = {"role": message.role, "content": message.content}
    extra = {"name": message.name, "tool_call_id": message.tool_call_id}
    return told | {key: value for key, value in extra.items() if value is not None}


def _data(arguments: str) -> Any:
    """Return arguments as data, since templates write them as JSON themselves."""
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments
    return found if isinstance(found, dict) else arguments


MessageList = Annotated[list[Message], Field(min_length=1, max_length=100_000)]
