"""Events and annotations as JSON objects of an export, and back.

Owns the portable form. Content is text where it is valid UTF-8, else base64; content in parts stays in
parts, so that an import stores equal parts once again. Reading takes nothing on trust: the fields are
exactly those of the event, with their exact types, and numbers that a database can hold.
"""

import base64
from collections.abc import Container
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from agentflow.journal.annotations import (
    MAX_TAG_CHARS,
    MAX_TEXT_BYTES,
    Annotation,
    check_words,
)
from agentflow.journal.content import HASH_BYTES, Parts
from agentflow.journal.events import (
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)
from agentflow.models.protocol import Usage
from agentflow.redaction import Redactor

Form = dict[str, Any]

MAX_NUMBER = 2**53
MAX_TIME = 1e11  # seconds: beyond the year 5000
MAX_REDACTED = (
    16  # how many times longer an annotation may have got, its secrets replaced on the way out
)
_CONTENT = ("input", "output", "content")
_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        RunStarted,
        StepStarted,
        StepFinished,
        StepFailed,
        StepCancelled,
        Expanded,
        Noted,
        RunFinished,
    )
}


def event_form(event: Stored, redactor: Redactor) -> Form:
    """Return the form of an event, without secrets."""
    form: Form = {"event": type(event).__name__}
    for name in (field.name for field in fields(event)):
        value = getattr(event, name)
        if name == "key":
            form[name] = value.hex()
        elif name in _CONTENT:
            form[name] = None if value is None else _content_form(redactor.content(value))
        elif isinstance(value, Failure):
            clean = redactor.data(value)
            form[name] = {field.name: getattr(clean, field.name) for field in fields(clean)}
        else:
            form[name] = redactor.data(value)
    return form


def read_event(form: object) -> Stored:
    """Return the event of a form.

    Raises:
        ValueError: It is not one; the message says what is wrong with it.
    """
    if not isinstance(form, dict) or form.get("event") not in _TYPES:
        raise ValueError("no event of ours")
    kind = _TYPES[form["event"]]
    values = {name: value for name, value in form.items() if name != "event"}
    for name in _CONTENT:
        if values.get(name) is not None:
            values[name] = _read_content(values[name])
    if isinstance(values.get("key"), str):
        values["key"] = bytes.fromhex(values["key"])
    if isinstance(values.get("failure"), dict):
        checked = _FAILURE(**values["failure"])
        values["failure"] = Failure(**{name: getattr(checked, name) for name in _NAMES[Failure]})
    _FORMS[kind](**values)
    event: Stored = kind(**values)
    _check(event)
    return event


def annotation_form(annotation: Annotation, redactor: Redactor) -> Form:
    """Return the form of an annotation, without secrets; its id means something in its journal only."""
    words = {"annotation": redactor.text(annotation.text), "tag": redactor.text(annotation.tag)}
    return words | {"step": annotation.step, "at": annotation.at}


def read_annotation(form: Form, steps: Container[int]) -> Form:
    """Return the columns of an annotation by its form; `steps` are those of its run.

    Raises:
        ValueError: It is none; the message says what is wrong with it.
    """
    checked = _AnnotationForm(**form)
    check_words(
        checked.annotation,
        checked.tag,
        max_text_bytes=MAX_REDACTED * MAX_TEXT_BYTES,
        max_tag_chars=MAX_REDACTED * MAX_TAG_CHARS,
    )
    if checked.step is not None and checked.step not in steps:
        raise ValueError(f"step {checked.step} is not there")
    at = check_time(checked.at)
    return {"step": checked.step, "text": checked.annotation, "tag": checked.tag, "at": at}


def check_name(name: str) -> str:
    """Return `name` if a database can hold it.

    Raises:
        ValueError: It cannot.
    """
    if "\0" in name:
        raise ValueError("a name holds a zero character")
    name.encode()
    return name


def check_time(at: Any) -> float:
    """Return a time in Unix seconds that can be one.

    Raises:
        ValueError: It cannot.
    """
    is_number = isinstance(at, int | float) and not isinstance(at, bool)
    if not (is_number and 0 <= at <= MAX_TIME):  # also not a number, which compares as false
        raise ValueError(f"{at!r} is no time")
    return float(at)


def _check(event: Stored) -> None:
    """Check what types do not say."""
    check_time(event.at)
    event.at = float(event.at)
    for name in ("number", "step", "parent"):
        number = getattr(event, name, None)
        if number is not None and not 1 <= number <= MAX_NUMBER:
            raise ValueError(f"{name} is {number}")
    if isinstance(event, StepStarted):
        check_name(event.name)
        if len(event.key) != HASH_BYTES:
            raise ValueError(f"a key has {HASH_BYTES} bytes, not {len(event.key)}")
    if isinstance(event, RunStarted):
        check_name(event.flow)
    if isinstance(event, StepStarted | StepFinished | StepFailed):
        _Details(**event.details)


def _content_form(data: bytes) -> Any:
    if isinstance(data, Parts):
        edges = zip((0, *data.cuts), (*data.cuts, len(data)), strict=True)
        return {"parts": [_content_form(bytes(data[start:end])) for start, end in edges]}
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _read_content(form: object) -> bytes:
    match form:
        case str():
            return form.encode()
        case {"base64": str(text), **rest} if not rest:
            return base64.b64decode(text, validate=True)
        case {"parts": [_, _, *_] as parts, **rest} if not rest:
            if any(isinstance(part, dict) and "parts" in part for part in parts):
                raise ValueError("content has parts of parts")
            return Parts.joined([_read_content(part) for part in parts])
    raise ValueError("content is neither text nor base64 nor parts")


class _Details(BaseModel):
    """The details that our own readers rely on."""

    model_config = ConfigDict(strict=True, extra="allow")

    usage: Usage | dict[str, int] = {}
    cost_usd: float | None = None
    attempts: int = 1
    links: list[int] = []
    code: list[str] | None = None
    origin: dict[str, Any] = {}


class _AnnotationForm(BaseModel):
    """An annotation's line."""

    model_config = ConfigDict(strict=True, extra="forbid")

    annotation: str
    tag: str
    step: int | None
    at: float


def _form_of(kind: type) -> type[BaseModel]:
    hints = get_type_hints(kind)
    needed: dict[str, Any] = {field.name: (hints[field.name], ...) for field in fields(kind)}
    config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)
    return create_model(kind.__name__, __config__=config, **needed)


_NAMES = {Failure: [field.name for field in fields(Failure)]}
_FAILURE = _form_of(Failure)
_FORMS = {kind: _form_of(kind) for kind in _TYPES.values()}
