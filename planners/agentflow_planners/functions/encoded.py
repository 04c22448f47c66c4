"""Encoded values, as plain data and as text: what a confined process says that it saw.

The encoding is the one of `agentflow/sandbox/workers/protocol.py`. Nothing here makes live objects.
"""

import math
from typing import Any

from agentflow.errors import ExpansionError

SHOWN_CHARS = 300
_PAIRS = {"list": "[]", "tuple": "()", "set": "{}", "frozenset": "{}", "iterator": "[]"}


def plain(value: Any) -> Any:
    """Return an encoded value as plain data: tuples, sets and iterators become lists.

    Raises:
        ExpansionError: It is a function or something else that data cannot say.
    """
    if not isinstance(value, dict):
        return value
    kind, content = next(iter(value.items()))
    if kind in _PAIRS:
        return [plain(item) for item in content]
    if kind == "dict" and all(isinstance(key, str | int) for key, _ in content):
        return {str(key): plain(item) for key, item in content}
    if kind == "object":
        return {name: plain(item) for name, item in value["fields"].items()}
    if kind in ("float", "int", "str", "range", "scalar", "enum"):
        return _simple(kind, content, value)
    raise ExpansionError(step="answer", problem=f"what it returns is no plain data: {shown(value)}")


def _simple(kind: str, content: Any, value: dict[str, Any]) -> Any:
    if kind == "float":
        number = float(content)
        return number if math.isfinite(number) else content
    if kind == "int":
        return int(content, 16)
    if kind == "range":
        return list(range(*content))
    return value["text"] if kind == "scalar" else content


def shown(value: Any, limit: int = SHOWN_CHARS) -> str:
    """Return an encoded value as Python would print it, cut to `limit` characters."""
    text = _text(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return repr(value)
    kind, content = next(iter(value.items()))
    if kind in _PAIRS:
        items = ", ".join(map(_text, content))
        inside = f"{items}," if kind == "tuple" and len(content) == 1 else items
        return f"{_PAIRS[kind][0]}{inside}{_PAIRS[kind][1]}"
    if kind == "dict":
        return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in content) + "}"
    if kind == "object":
        fields = ", ".join(f"{name}={_text(item)}" for name, item in value["fields"].items())
        return f"{content}({fields})"
    if kind == "scalar":
        return f"{content}({value['text']})"
    return str(content)
