"""How values of a node are written as Python: docstrings, and the types of arguments.

Owns the quoting of docstrings. What is written here reads back as what it was made from.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

_SAMPLED = 50
_DEEP = 3
_KINDS = 3


def docstring(doc: str, indent: str) -> str:
    """Return the literal whose docstring, read without indentation, is `doc`.

    Its lines are meant to be moved right by `indent` but for those inside: they have it already.
    """
    lines = doc.split("\n")
    text = "\n".join([lines[0], *(indent + line if line else "" for line in lines[1:])])
    if _needs_own_line(lines):
        text = f"\n{indent}{text}"
    is_plain = all(char == "\n" or char.isprintable() for char in text)
    if is_plain and "\\" in text and '"""' not in text and text[-1] not in '\\"':
        return f'r"""{text}"""'
    shown = "".join(_shown(char) for char in text)
    # Three quotes in a row would end it, and so would one before the end.
    return '"""' + re.sub(r'"(?="")|"\Z', r'\\"', shown) + '"""'


def type_words(value: Any, deep: int = _DEEP) -> str | None:
    """Return the type of a value as an annotation; None where none can be given."""
    match value:
        case None:
            return "None"
        case bool() | int() | float() | complex() | str() | bytes():
            return type(value).__name__
        case list() | set() | frozenset():
            return _of(type(value).__name__, [_union(value, deep)])
        case dict():
            return _of("dict", [_union(value.keys(), deep), _union(value.values(), deep)])
        case tuple():
            known = [type_words(item, deep - 1) if deep > 0 else None for item in value[:_SAMPLED]]
            return _of("tuple", known if len(value) <= _KINDS else [_union(value, deep), "..."])
    return None


def _of(name: str, parts: list[str | None]) -> str:
    known = [part for part in parts if part]
    return f"{name}[{', '.join(known)}]" if parts and len(known) == len(parts) else name


def _union(values: Iterable[Any], deep: int) -> str | None:
    if deep <= 0:
        return None
    found = dict.fromkeys(type_words(value, deep - 1) for value in islice(values, _SAMPLED))
    kinds = [kind for kind in found if kind]
    if "float" in kinds and "int" in kinds:
        kinds.remove("int")
    if not kinds or None in found or len(kinds) > _KINDS:
        return None
    return " | ".join(sorted(kinds, key=lambda kind: kind == "None"))


def _needs_own_line(lines: list[str]) -> bool:
    """Return whether text on the line of the quotes would be read with another indentation."""
    rest = [line for line in lines[1:] if line.strip()]
    return lines[0][:1].isspace() or (bool(rest) and all(line[0].isspace() for line in rest))


def _shown(char: str) -> str:
    if char == "\n" or (char.isprintable() and char != "\\"):
        return char
    return char.encode("unicode_escape").decode()
