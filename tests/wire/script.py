"""What a wire server is told to answer, and what it was asked.

Owns the values of a script. Knows no API's words: every answer can be spoken in all of them.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agentflow.models.protocol import Usage

Api = Literal["responses", "chat", "anthropic"]
USAGE = Usage(input_tokens=12, output_tokens=5)
Fault = Literal["drop", "unfinished", "not_json", "hang", "error_event", "odd_event"]


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """One answer.

    `calls` are (tool name, arguments) pairs; arguments given as a string are sent as they are.
    `finish` overrides how the answer says it ended, in the API's own word. `state` is the handle that a server
    of ours adds. `fault`, after the text:
    drop the connection, end without a finish, send an event that is not JSON, send one of the wrong
    shape, send an error event (`error`), or hang until `WireServer.release()`. `hold` waits for
    `release()` before answering at all.
    """

    text: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any] | str], ...] = ()
    refusal: str = ""
    finish: str | None = None
    usage: Usage | None = USAGE
    model: str | None = None
    state: str | None = None
    status: int = 200
    error: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    hold: bool = False

    def but(self, **changes: Any) -> "Scripted":
        """Return the same answer with some fields changed."""
        return replace(self, **changes)


def says(*chunks: str, **rest: Any) -> Scripted:
    """Stream these pieces of text."""
    return Scripted(text=chunks, **rest)


def calls(*pairs: tuple[str, dict[str, Any] | str], **rest: Any) -> Scripted:
    """Ask for these tools, in parallel."""
    return Scripted(calls=pairs, **rest)


def gives_json(value: object, **rest: Any) -> Scripted:
    """Stream a value as JSON, in two pieces."""
    text = json.dumps(value)
    return Scripted(text=(text[: len(text) // 2], text[len(text) // 2 :]), **rest)


def fails(
    status: int,
    message: str = "no",
    *,
    code: str | None = None,
    retry_after: str | None = None,
    **rest: Any,
) -> Scripted:
    """Answer with an error status; `retry_after` is the header's text."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    error = {"message": message, "type": code or "some_error", "code": code}
    return Scripted(status=status, error=error, headers=headers, **rest)


@dataclass(frozen=True)
class Seen:
    """One request as it came in; header names are in lower case."""

    api: Api
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def turns(self) -> list[tuple[str, str]]:
        """Role and text of each message, the system's first."""
        raw = self.body["input" if self.api == "responses" else "messages"]
        system = [("system", self.body["system"])] if "system" in self.body else []
        return system + [(each.get("role", each.get("type")), _text(each)) for each in raw]

    @property
    def prompt(self) -> str:
        """The text of the last message."""
        return self.turns[-1][1]

    @property
    def text(self) -> str:
        """The text of all messages."""
        return "\n".join(text for _, text in self.turns)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content", message.get("output"))
    if isinstance(content, list):
        return "".join(str(block.get("text", block.get("content", ""))) for block in content)
    return str(content or "")
