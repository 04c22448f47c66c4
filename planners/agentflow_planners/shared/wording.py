"""How a task is put to a model, for every planner alike.

Owns the words for goals, inputs, values, tools and what has happened. A value is previewed or cut,
never dumped: a prompt stays short however large the data is.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from agentflow import Task, Tool
from agentflow.data import encode

PREVIEW_CHARS = 400
WHOLE_CHARS = 20_000
MAX_TOLD_EFFECTS = 40
PYTHON_TYPES = {
    "number": "a float",
    "integer": "an int",
    "string": "a str",
    "boolean": "a bool",
    "array": "a list",
    "object": "a dict",
}

BRIEF_CHARS = 300

Brief = Annotated[
    str,
    AfterValidator(lambda text: text[:BRIEF_CHARS]),
    WithJsonSchema({"type": "string", "maxLength": BRIEF_CHARS}),
]
"""A sentence or two in a reply, such as a reason. A local model is held to the length by its grammar,
without which a small one may never come to an end; a longer one is cut, not refused."""


def question(task: Task) -> str:
    """Return the whole task as one prompt, inputs in full up to 20,000 characters each."""
    if task.output_schema is None:
        return statement(task)
    return f"{statement(task)}\n\nAnswer with JSON of this schema: {json.dumps(task.output_schema)}"


def statement(task: Task) -> str:
    """Return the task without a word on the form of its answer."""
    parts = [task.goal]
    if task.context:
        parts.append(task.context)
    for name, value in task.inputs.items():
        text = (
            value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        )
        parts.append(f"{name}:\n{cut(text, WHOLE_CHARS)}")
    return "\n\n".join(parts)


def coded_question(task: Task) -> str:
    """Return the whole task as a prompt for a program, which returns the answer instead of JSON."""
    if task.output_schema is None:
        return statement(task)
    kind = task.output_schema.get("type")
    is_plain = set(task.output_schema) <= {"type", "description"} and kind in PYTHON_TYPES
    words = PYTHON_TYPES[str(kind)] if is_plain else json.dumps(task.output_schema)
    form = "The answer is" if is_plain else "The answer is plain data of this JSON schema:"
    return f"{statement(task)}\n\n{form} {words}."


def cut(text: str, limit: int) -> str:
    """Return `text`, or its beginning and how long it is."""
    return text if len(text) <= limit else f"{text[:limit]}\n(cut, {len(text)} characters in all)"


def shown(value: Any, limit: int) -> str:
    """Return a value as text for a model: a string as it is, other plain data as JSON."""
    text = value if isinstance(value, str) else json.dumps(encode(value), ensure_ascii=False)
    return cut(text, limit)


def tool_lines(tools: Iterable[Tool[..., Any]]) -> str:
    """Return one line a tool, as a program calls it: `name(parameter, ...)  # description`."""
    lines = []
    for tool in tools:
        parameters = ", ".join(tool.spec.parameters.get("properties", {}))
        lines.append(f"{tool.name}({parameters})  # {' '.join(tool.description.split())}")
    return "\n".join(lines)


def happened(effects: Sequence[str]) -> str:
    """Return what calls with effects have done, in words for whoever goes on; empty without any."""
    if not effects:
        return ""
    before = len(effects) - MAX_TOLD_EFFECTS
    earlier = f"({before} earlier ones); " if before > 0 else ""
    latest = "; ".join(effects[-MAX_TOLD_EFFECTS:])
    return f"These calls have happened and must not be repeated: {earlier}{latest}."


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
