"""Put the fields of a record into a text: `{country}` is the field of that name.

Owns the notation. A name may lead into mappings and lists by dots (`answers.text.0`); nothing else is
ever looked up, so a template reaches plain data only. What is put in is not read again as a template.
`{{` and `}}` are braces.
"""

import json
import re
from typing import Any

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A template cannot be filled; the message says why in a line."""


def fill(template: Any, fields: dict[str, Any]) -> Any:
    """Return the template, a text or plain data with texts in it, with the fields put in.

    A text that is one field alone becomes the field's value of any type; within a longer text, what is
    no text is written as JSON.

    Raises:
        TemplateError: A field is not there, or a brace has no partner.
    """
    if isinstance(template, str):
        return _fill_text(template, fields)
    if isinstance(template, dict):
        return {key: fill(item, fields) for key, item in template.items()}
    if isinstance(template, list):
        return [fill(item, fields) for item in template]
    return template


def written(value: Any) -> str:
    """Return a field's value as it stands in a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fill_text(template: str, fields: dict[str, Any]) -> Any:
    alone = _PART.fullmatch(template)
    if alone is not None and alone[1] is not None:
        return _looked_up(alone[1], fields)
    return _PART.sub(lambda found: _part(found, fields), template)


def _part(found: re.Match[str], fields: dict[str, Any]) -> str:
    if found[1] is not None:
        return written(_looked_up(found[1], fields))
    if len(found[0]) == 1:
        raise TemplateError(f"a `{found[0]}` has no partner; write `{found[0] * 2}` for a brace")
    return found[0][0]


def _looked_up(name: str, fields: dict[str, Any]) -> Any:
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _is_index(part, len(value)):
            value = value[int(part)]
        else:
            there = ", ".join(map(repr, list(fields)[:12])) or "none"
            raise TemplateError(f"there is no field {name[:60]!r} (fields: {there[:200]})")
    return value


def _is_index(part: str, length: int) -> bool:
    return part.isascii() and part.isdecimal() and len(part) < 10 and int(part) < length
