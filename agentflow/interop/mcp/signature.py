"""The typed face of a tool that is only known by a JSON schema.

Owns the check of arguments before they are sent: names, what is required, plain types. What a schema says
beyond that is the server's to check: a schema from outside may take for ever to be followed.
"""

import copy
import math
from typing import Any

from agentflow.data import Data, from_json, to_json
from agentflow.errors import InputError, OutputError
from agentflow.interop.mcp.words import MAX_DEPTH
from agentflow.signature import Signature

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class SchemaSignature(Signature):
    """A signature that was read from a schema of type object."""

    def __init__(self, name: str, schema: dict[str, Any]) -> None:
        self.name = name
        self._schema = schema
        declared = schema.get("properties")
        self._properties: dict[str, Any] = declared if isinstance(declared, dict) else {}
        self.parameters = dict.fromkeys(self._properties, Data)
        self.returns: Any = Data
        self.required = tuple(schema.get("required", ()))

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, as JSON data.

        Raises:
            InputError: One is missing, unexpected or of another type.
        """
        names = list(self._properties)
        if len(args) > len(names):
            raise self._wrong(f"takes {len(names)} arguments, got {len(args)}")
        given = dict(zip(names, args, strict=False))
        twice = next((name for name in kwargs if name in given), None)
        if twice is not None:
            raise self._wrong(f"{twice}: given twice")
        arguments = {name: self._json(name, value) for name, value in (given | kwargs).items()}
        self._check(arguments)
        return arguments

    def split(self, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return `arguments` as keyword arguments."""
        return [], arguments

    def write_input(self, arguments: dict[str, Any]) -> bytes:
        """Return arguments as JSON."""
        return to_json(arguments)

    def read_input(self, text: bytes) -> dict[str, Any]:
        """Return the arguments that `write_input` wrote.

        Raises:
            InputError: They do not fit today's schema.
        """
        return self.bind((), from_json(text))

    def check_output(self, value: Any) -> Any:
        """Return `value`: what a server answers was made plain when it came."""
        return value

    def write_output(self, value: Any) -> bytes:
        """Return a result as JSON."""
        return to_json(value)

    def read_output(self, text: bytes) -> Any:
        """Return the result that `write_output` wrote.

        Raises:
            OutputError: It is none.
        """
        try:
            return from_json(text)
        except ValueError as error:
            raise OutputError(step=self.name, problem=str(error)) from error

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as the server gave it."""
        return copy.deepcopy(self._schema)

    def _check(self, arguments: dict[str, Any]) -> None:
        missing = next((name for name in self.required if name not in arguments), None)
        if missing is not None:
            raise self._wrong(f"{missing}: missing")
        for name, value in arguments.items():
            schema = self._properties.get(name)
            if schema is None and self._schema.get("additionalProperties") is False:
                known = ", ".join(self._properties) or "none"
                raise self._wrong(f"{name}: no such argument (there are: {known})")
            problem = _mismatch(schema, value) if isinstance(schema, dict) else ""
            if problem:
                raise self._wrong(f"{name}: {problem}")

    def _json(self, name: str, value: Any, depth: int = 0) -> Any:
        """Return a value as JSON has it: the server knows no tuples."""
        if depth > MAX_DEPTH:
            raise self._wrong(f"{name}: nested too deeply")
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        if isinstance(value, list | tuple):
            return [self._json(name, item, depth + 1) for item in value]
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self._json(name, item, depth + 1) for key, item in value.items()}
        raise self._wrong(f"{name}: a {type(value).__name__} has no JSON form")

    def _wrong(self, problem: str) -> InputError:
        return InputError(step=self.name, problem=problem)


def _mismatch(schema: dict[str, Any], value: Any) -> str:
    """Return why a value does not fit, as far as its type and a list of values say; empty if it may."""
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        return f"must be one of {', '.join(map(repr, allowed[:20]))}"
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    if not names or any(_is(name, value) for name in names):
        return ""
    return f"must be {' or '.join(map(str, names))}, got {type(value).__name__}"


def _is(name: object, value: Any) -> bool:
    types = _TYPES.get(name) if isinstance(name, str) else None
    if types is None:
        return True  # no type that we know: the server's to say
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, types)
