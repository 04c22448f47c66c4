"""How a task is put to a model, for every planner alike.

Owns the words for goals, inputs and values. A value is previewed, never dumped: a prompt stays
short however large the data is.
"""

import json
from typing import Any

from agentflow import Task

PREVIEW_CHARS = 400
WHOLE_CHARS = 20_000


def question(task: Task) -> str:
    """Return the whole task as one prompt, inputs in full up to 20,000 characters each."""
    parts = [task.goal]
    if task.context:
        parts.append(task.context)
    for name, value in task.inputs.items():
        text = (
            value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        )
        if len(text) > WHOLE_CHARS:
            text = f"{text[:WHOLE_CHARS]}\n(cut, {len(text)} characters in all)"
        parts.append(f"{name}:\n{text}")
    if task.output_schema is not None:
        parts.append(f"Answer with JSON of this schema: {json.dumps(task.output_schema)}")
    return "\n\n".join(parts)


def preview(name: str, value: Any, limit: int = PREVIEW_CHARS) -> str:
    """Return one line of Python that shows what `name` holds: its beginning and its type."""
    return f"{name} = {_beginning(value, limit)}  # {kind_of(value)}"


def kind_of(value: Any) -> str:
    """Return the type of a value in a few words, e.g. `list of 40 dict`."""
    if isinstance(value, str):
        return f"str of {len(value)} characters"
    if isinstance(value, list | tuple | set | frozenset) and value:
        return f"{type(value).__name__} of {len(value)} {type(next(iter(value))).__name__}"
    if isinstance(value, dict):
        return f"dict of {len(value)} items"
    return type(value).__name__


def _beginning(value: Any, limit: int) -> str:
    if isinstance(value, list) and value:
        shown = ", ".join(_beginning(item, limit // 2) for item in value[:2])
        return f"[{shown}, ...]" if len(value) > 2 else f"[{shown}]"
    if isinstance(value, dict) and len(repr(value)) > limit:
        items = list(value.items())[:8]
        inner = ", ".join(f"{key!r}: {_beginning(item, limit // 8)}" for key, item in items)
        return f"{{{inner}, ...}}" if len(value) > len(items) else f"{{{inner}}}"
    text = repr(value)
    return (
        text if len(text) <= limit else f"{text[:limit]}...{text[0] if text[0] in QUOTES else ''}"
    )


QUOTES = "'\""
