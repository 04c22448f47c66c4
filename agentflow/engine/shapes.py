"""The shape a model's reply must have: a Python type or a JSON schema.

Owns the way from reply text to a value, and from a misfit to the words a model can act on.
"""

import json
import re
from typing import Any, Protocol

import jsonschema
from jsonschema.protocols import Validator
from pydantic import TypeAdapter, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentflow.errors import InputError

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


class MisfitError(ValueError):
    """A reply does not have the wanted shape; the message says where, in words for the model."""


class Shape(Protocol):
    """What a reply is checked against."""

    schema: dict[str, Any]

    def read(self, text: str) -> Any:
        """Return the value that `text` holds.

        Raises:
            MisfitError: It holds none of this shape.
        """
        ...


class TypeShape:
    """A type that pydantic knows."""

    def __init__(self, kind: Any) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
        self.schema = self._adapter.json_schema()

    def read(self, text: str) -> Any:
        """Return the validated value of that type."""
        try:
            return self._adapter.validate_json(without_fence(text))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            named = (
                f"{'.'.join(map(str, item['loc'])) or 'reply'}: {item['msg']}"
                for item in problems[:3]
            )
            raise MisfitError("; ".join(named)) from error


class SchemaShape:
    """A JSON schema, for callers that know no Python type."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        # An empty registry: a reference in a schema must never make us fetch something.
        self._validator: Validator = jsonschema.Draft202012Validator(schema, registry=Registry())

    def read(self, text: str) -> Any:
        """Return the JSON data in `text`."""
        try:
            value = json.loads(without_fence(text))
        except ValueError as error:
            raise MisfitError(f"not JSON: {error}") from error
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return `value` if it fits the schema."""
        try:
            problem = jsonschema.exceptions.best_match(self._validator.iter_errors(value))
        except Unresolvable as error:
            reference = f"the schema refers to {error.ref!r}, which it does not hold"
            raise InputError(step="output schema", problem=reference) from error
        except RecursionError as error:
            endless = (
                "the schema refers to itself without an end, or the reply is nested too deeply"
            )
            raise InputError(step="output schema", problem=endless) from error
        if problem is not None:
            place = "".join(f"[{part!r}]" for part in problem.absolute_path)
            message = problem.message
            raise MisfitError(f"{place + ': ' if place else ''}{message[:300]}")
        return value


def shape_of(output: Any) -> Shape:
    """Return the shape for a JSON schema (a dictionary) or a type."""
    return SchemaShape(output) if isinstance(output, dict) else TypeShape(output)


def without_fence(text: str) -> str:
    """Return `text` without a Markdown fence around the whole of it."""
    found = _FENCE.match(text)
    return found.group(1) if found else text
