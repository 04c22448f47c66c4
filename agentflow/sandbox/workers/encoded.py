"""Check that data from a jail is an encoded value.

Owns the shape of the encoded form on the host's side (docs/sandbox.md). Values are looked at and never
turned into objects: what they say was made by hostile code.
"""

from typing import Any

MAX_DEPTH = 120  # of the JSON: the encoder stops at 50 levels of values, each up to two of JSON

_MARKS = {"type": str, "more": bool, "raised": str, "text": str, "fields": dict, "args": list}
_SEQUENCES = ("list", "tuple", "set", "frozenset", "iterator")
_TEXTS = ("int", "float", "str", "bytes", "bytearray", "scalar", "enum", "object", "exception")
_ENDS = ("named", "opaque", "cut")


class NotEncodedError(ValueError):
    """Data is not what the encoder writes."""


def check_encoded(data: Any) -> None:
    """Refuse data that is not an encoded value.

    Raises:
        NotEncodedError: It is something else, or nested too deeply.
    """
    _check(data, 0)


def _check(data: Any, depth: int) -> None:
    if data is None or isinstance(data, bool | str | int):
        return
    if depth > MAX_DEPTH or not isinstance(data, dict) or not data:
        raise NotEncodedError("not an encoded value")
    (tag, content), *marks = data.items()
    for name, mark in marks:
        if not isinstance(mark, _MARKS.get(name, ())):
            raise NotEncodedError(f"{name!r} in an encoded value")
    _check_content(tag, content, depth + 1)
    for item in data.get("fields", {}).values():
        _check(item, depth + 1)
    for item in data.get("args", ()):
        _check(item, depth + 1)


def _check_content(tag: str, content: Any, depth: int) -> None:
    if tag in _SEQUENCES and isinstance(content, list):
        for item in content:
            _check(item, depth)
    elif tag == "dict" and isinstance(content, list):
        for pair in content:
            if not isinstance(pair, list) or len(pair) != 2:
                raise NotEncodedError("not an encoded dictionary")
            _check(pair[0], depth)
            _check(pair[1], depth)
    elif not _is_plain(tag, content):
        raise NotEncodedError(f"not an encoded {tag[:20]}")


def _is_plain(tag: str, content: Any) -> bool:
    if tag in _TEXTS or tag in _ENDS:
        return isinstance(content, str)
    if tag == "cycle":
        return type(content) is int
    numbers: Any = {"complex": (2, str), "range": (3, int)}.get(tag)
    if numbers is None or not isinstance(content, list):
        return False
    count, kind = numbers
    return len(content) == count and all(isinstance(item, kind) for item in content)
