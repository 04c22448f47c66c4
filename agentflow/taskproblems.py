"""Say what is wrong with a task file in a user's words.

Owns the sentence for each way a value can fail the schema. Knows nothing of files. A sentence is one
line, short, and holds no value found under `model`, where a secret may have been pasted.
"""

import difflib
import re
from typing import Any

from pydantic import BaseModel

from agentflow.budget import Budget
from agentflow.models.protocol import ModelSpec, Price
from agentflow.taskschema import VERSION, Document, EnvironmentChoice
from agentflow.yamltree import shown

TOO_LARGE = 1e300
Place = tuple[str | int, ...]

_MODELS: dict[Place, type[BaseModel]] = {
    (): Document,
    ("budget",): Budget,
    ("model",): ModelSpec,
    ("model", "price"): Price,
}
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
}


def place(loc: Place) -> Place:
    """Return a pydantic location without the names of union members and of keys themselves."""
    return tuple(
        part for part in loc if not (isinstance(part, str) and re.fullmatch(r"<\w+>|\[key\]", part))
    )


def problem_at(path: Place, item: Any) -> str:
    """Return the sentence for one of pydantic's error details."""
    kind, context, found = item["type"], item.get("ctx", {}), found_words(item["input"], path)
    key = key_at(path)
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        written = VERSION if path == ("agentflow",) else "..."
        return f"{key} is missing; write `{shown(str(path[-1]))}: {written}`"
    if kind in {"string_too_short", "string_pattern_mismatch"}:
        return f"{key} must not be empty; write some text or remove it"
    if kind in {"too_short", "too_long"}:
        return (
            f"{key} must name one scorer, found {len(item['input'])}; write a list: `- SCORER: ...`"
        )
    if kind == "greater_than":
        return f"{key} must be greater than {context['gt']:g}, found {found}"
    if kind == "greater_than_equal":
        return f"{key} must be {context['ge']:g} or more, found {found}"
    expected = context.get("expected") or _TYPES.get(kind) or shown(item["msg"])
    bare = kind == "string_type" and isinstance(item["input"], int | float)
    hint = "; put it in quotes" if bare else ""
    return f"{key} must be {expected}, found {found}{hint}"


def _unknown(path: Place) -> str:
    valid = list(_model_at(path[:-1]).model_fields)
    near = difflib.get_close_matches(str(path[-1]), valid, n=1)
    advice = f"did you mean `{near[0]}`?" if near else f"write one of {', '.join(valid)}"
    return f"unknown key {key_at(path)}; {advice}"


def _model_at(path: Place) -> type[BaseModel]:
    if len(path) == 2 and path[0] == "environments":
        return EnvironmentChoice
    return _MODELS[path]


def key_at(path: Place) -> str:
    """Return a place as it is written in messages, such as `budget.usd`."""
    return f"`{shown('.'.join(map(str, path)))}`"


def found_words(value: Any, path: Place = ()) -> str:
    """Return what a value is, in words; `path` says where it was found."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if path[:1] == ("model",):
        return "other text" if isinstance(value, str) else "a number or true or false"
    if isinstance(value, str):
        return f"the text '{shown(value)}'"
    if isinstance(value, bool):
        return str(value).lower()
    return f"the number {shown(str(value))}" if abs(value) < TOO_LARGE else "a number too large"
