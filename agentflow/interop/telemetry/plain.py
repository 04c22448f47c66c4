"""Foreign data as attribute values that every collector can decode.

Owns the guard between what a model, a tool or a stored file says and the wire format. Whatever
comes in, what goes out encodes: text is valid Unicode, whole numbers fit 64 bits, and nothing
nests deeper than a protobuf reader follows.
"""

import json
from collections.abc import Mapping
from typing import TypeAlias

Attribute: TypeAlias = "str | bool | int | float | list[Attribute] | dict[str, Attribute] | None"
MAX_DEPTH = 16  # protobuf readers stop at 100 messages, and a level of a value takes three
MAX_NAME_CHARS = 200
LARGEST_INT = 2**63 - 1


def text(value: str) -> str:
    """Return `value` with what Unicode cannot encode replaced by question marks."""
    return value.encode("utf-8", "replace").decode()


def name(value: str) -> str:
    """Return `value` as one printable line that is short enough for a name."""
    flat = "".join(char if char.isprintable() else " " for char in text(value))
    return " ".join(flat.split())[:MAX_NAME_CHARS]


def plain(value: object, depth: int = 0) -> Attribute:
    """Return JSON data as a value that OTLP can carry; what is nested too deeply becomes JSON text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -LARGEST_INT <= value <= LARGEST_INT else str(value)
    if isinstance(value, str):
        return text(value)
    if depth == MAX_DEPTH:
        return json.dumps(value)
    if isinstance(value, Mapping):
        # the SDK drops empty keys, so an empty one is written as a pair of quotes
        return {text(str(key)) or '""': plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return text(str(value))


def decoded(data: bytes) -> str:
    """Return stored bytes as text."""
    return data.decode("utf-8", "replace")


def parsed(data: bytes) -> Attribute:
    """Return stored JSON as an attribute value; what is no JSON stays text."""
    try:
        return plain(json.loads(data))
    except (ValueError, RecursionError):
        return decoded(data)


def fields(data: bytes | None) -> dict[str, Attribute]:
    """Return a stored JSON object; empty when there is none."""
    found = None if data is None else parsed(data)
    return found if isinstance(found, dict) else {}
