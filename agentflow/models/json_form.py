"""Bring a JSON schema into the form that hosted models accept for structured replies.

Owns what "strict" means: every object is closed, every property is required, and only keywords the
services know are left. What cannot be said strictly stays as it was. A root that is not an object
is wrapped in one, and `unwrap` takes the wrapping off the reply.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

WRAPPER = "value"
COPIED = {
    "type", "enum", "const", "description", "pattern", "multipleOf", "maximum", "minimum",
    "exclusiveMaximum", "exclusiveMinimum", "minItems", "maxItems",
}  # fmt: skip
# Notes to readers, and limits that the services refuse: the caller validates the reply anyway.
DROPPED = {
    "title", "default", "examples", "discriminator", "deprecated", "readOnly", "writeOnly",
    "$schema", "$id", "$comment", "minLength", "maxLength", "uniqueItems",
}  # fmt: skip
READ_HERE = {
    "properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "allOf",
    "$ref", "$defs", "format",
}  # fmt: skip
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


@dataclass(frozen=True)
class JsonForm:
    """A schema as sent. `recursive`: it refers to itself, which not every service takes."""

    schema: Schema
    strict: bool
    wrapped: bool
    recursive: bool

    def unwrap(self, text: str) -> str:
        """Return the reply of the shape the caller asked for; what is no such JSON is left alone."""
        if not self.wrapped:
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if not isinstance(value, dict) or set(value) != {WRAPPER}:
            return text
        return json.dumps(value[WRAPPER], ensure_ascii=False)


def json_form(schema: Schema) -> JsonForm:
    """Return `schema` as a service takes it: strict where that can be said."""
    wrapped = schema.get("type") != "object"
    asked = _wrap(schema) if wrapped else schema
    try:
        sent, strict = _strict(asked), True
    except _NotStrictError:
        sent, strict = asked, False
    return JsonForm(sent, strict=strict, wrapped=wrapped, recursive=_is_recursive(asked))


class _NotStrictError(Exception):
    """The schema says something that a strict one cannot."""


def _wrap(schema: Schema) -> Schema:
    inner = {name: value for name, value in schema.items() if name != "$defs"}
    outer: Schema = {"type": "object", "properties": {WRAPPER: inner}, "required": [WRAPPER]}
    return outer | {"$defs": schema["$defs"]} if "$defs" in schema else outer


def _strict(node: object) -> Schema:
    if not isinstance(node, dict) or set(node) - COPIED - DROPPED - READ_HERE:
        raise _NotStrictError
    defs = {name: _strict(each) for name, each in node.get("$defs", {}).items()}
    sent: Schema = {"$defs": defs} if defs else {}
    if "$ref" in node:
        return sent | {"$ref": node["$ref"]}  # beside a reference nothing else is allowed
    if "allOf" in node:
        return sent | _only(node["allOf"])
    sent |= {name: value for name, value in node.items() if name in COPIED}
    if node.get("format") in FORMATS:
        sent["format"] = node["format"]
    choices = node.get("anyOf") or node.get("oneOf")
    if choices:
        sent["anyOf"] = [_strict(each) for each in choices]
    elif not {"type", "enum", "const"} & set(node):
        raise _NotStrictError  # anything at all
    return sent | _children(node)


def _only(all_of: list[object]) -> Schema:
    if len(all_of) != 1:
        raise _NotStrictError
    return _strict(all_of[0])


def _children(node: Schema) -> Schema:
    kinds = node.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    found: Schema = {}
    if "object" in kinds:
        if "properties" not in node or node.get("additionalProperties", False) is not False:
            raise _NotStrictError  # free keys
        properties = {name: _strict(each) for name, each in node["properties"].items()}
        found = {
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    if "array" in kinds:
        found["items"] = _strict(node.get("items"))
    return found


def _is_recursive(schema: Schema) -> bool:
    uses = {name: set(_references(each)) for name, each in schema.get("$defs", {}).items()}
    return "#" in set(_references(schema)) or any(name in _reachable(name, uses) for name in uses)


def _reachable(start: str, uses: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(uses.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += uses.get(name, ())
    return found


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/$defs/")
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)
