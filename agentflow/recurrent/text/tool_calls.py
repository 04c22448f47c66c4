"""Find the tool calls in what a model writes.

Owns the two written forms that recurrent checkpoints were taught: a JSON object between `<tool_call>` and
`</tool_call>` (Hermes, Qwen, Granite), and `<function=NAME><parameter=KEY>` between the same marks (Qwen3.5). Knows no
tokens and no API. What looks like a call and is none stays text: nothing that was written is lost.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
Call = tuple[str, dict[str, Any]]
Schemas = Mapping[str, Mapping[str, Any]]

_FUNCTION = re.compile(r"<function=([^>\n]+)>(.*)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>(.*)", re.DOTALL)


def parse(text: str, schemas: Schemas | None = None) -> tuple[str, list[Call]]:
    """Return the text outside of calls and the calls, (name, arguments), in their order.

    Args:
        text: A whole reply.
        schemas: The JSON schema of each tool's parameters, by name; needed only to tell "5" from 5 in the form
            that writes no quotes.
    """
    stream = ToolCallStream(schemas)
    outside, calls = stream.push(text)
    rest, last = stream.finish()
    return outside + rest, calls + last


class ToolCallStream:
    """The same piece by piece: text is told as soon as it cannot be the beginning of a call.

    Space beside a call is left out, but for a line's end between two texts. The texts joined are those of `parse`.
    """

    def __init__(self, schemas: Schemas | None = None) -> None:
        self._schemas = schemas or {}
        self._held = ""
        self._is_inside = False
        self._follows_call = self._has_told = False
        self._space = ""  # what stood before the mark, in case that it opens no call

    def push(self, piece: str) -> tuple[str, list[Call]]:
        """Take the next piece; return what of the text can be told now, and the calls that it completes."""
        self._held += piece
        text, calls = "", list[Call]()
        while True:
            mark = CLOSE if self._is_inside else OPEN
            place = self._held.find(mark)
            if place < 0:
                return text + ("" if self._is_inside else self._told()), calls
            before, self._held = self._held[:place], self._held[place + len(mark) :]
            if self._is_inside:
                text += self._close(before, CLOSE, calls)
            else:
                text += self._outside(before).rstrip()
                self._space = before[len(before.rstrip()) :]
            self._is_inside = not self._is_inside

    def finish(self) -> tuple[str, list[Call]]:
        """Return the rest; a call whose closing mark is missing counts when it is whole."""
        calls: list[Call] = []
        held, self._held = self._held, ""
        if self._is_inside:
            self._is_inside = False
            return self._close(held, "", calls), calls
        text = self._outside(held)
        return (text.rstrip() if self._follows_call and not text.strip() else text), calls

    def _close(self, inside: str, mark: str, calls: list[Call]) -> str:
        """Read what stood between the marks; return it as text when it is no call."""
        call = _json_call(inside) or _function_call(inside, self._schemas)
        if call is None:
            self._follows_call = False
            return f"{self._space}{OPEN}{inside}{mark}"
        calls.append(call)
        self._follows_call = True
        return ""

    def _told(self) -> str:
        """Take from what is held all that cannot be the space before a call or a part of its mark."""
        kept = next(
            (size for size in range(len(OPEN) - 1, 0, -1) if self._held.endswith(OPEN[:size])), 0
        )
        end = len(self._held[: len(self._held) - kept].rstrip())
        told, self._held = self._held[:end], self._held[end:]
        return self._outside(told)

    def _outside(self, text: str) -> str:
        if self._follows_call:
            text = text.lstrip()
            self._follows_call = not text
            text = f"\n{text}" if text and self._has_told else text
        self._has_told = self._has_told or bool(text)
        return text


def _json_call(text: str) -> Call | None:
    try:
        found = _loads(text)
        arguments = found.get("arguments", found.get("parameters", {}))
        if isinstance(arguments, str):
            arguments = _loads(arguments)
    except (ValueError, RecursionError, AttributeError):
        return None
    name = found.get("name")
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return name, arguments


def _function_call(text: str, schemas: Schemas) -> Call | None:
    function = _FUNCTION.fullmatch(text.strip())
    if function is None:
        return None
    name, body = function[1].strip(), function[2].removesuffix("</function>")
    # Split before matching: a pattern over the whole would take quadratic time on a hostile reply.
    *parts, rest = body.split("</parameter>")
    found = [_PARAMETER.fullmatch(part.lstrip()) for part in parts]
    if rest.strip() or None in found:
        return None
    properties = schemas.get(name, {}).get("properties", {})
    arguments = {}
    for match in filter(None, found):
        key, written = match[1].strip(), match[2].removeprefix("\n").removesuffix("\n")
        arguments[key] = _value(written, properties.get(key))
    return name, arguments


def _value(written: str, schema: object) -> Any:
    """Return a parameter that was written without quotes: text where the schema says so or it is no JSON."""
    if isinstance(schema, Mapping) and schema.get("type") == "string":
        return written
    try:
        return _loads(written)
    except (ValueError, RecursionError):
        return written


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
