"""What a function takes and returns, checked by pydantic and written as JSON.

Owns the way from a Python signature to validated arguments, to bytes for the journal, and to the
JSON schema a model sees. Flows and tools share it. Parameters without a type hold plain data.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import PydanticSerializationError

from agentflow.data import Data
from agentflow.errors import InputError, OutputError, PayloadError

_CONFIG = ConfigDict(ser_json_inf_nan="constants", extra="forbid")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature:
    """The typed face of one function.

    Raises:
        TypeError: A parameter is `*args` or `**kwargs`, or a type is unknown to pydantic.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__
        self._signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
        self.parameters: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for parameter in self._signature.parameters.values():
            fields[parameter.name] = self._field(parameter, hints)
            self.parameters[parameter.name] = fields[parameter.name][0]
        self.returns: Any = _or_data(hints.get("return", Any))
        self._input, self._output = self._build(fields)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the parameters without a default, in order."""
        given = self._signature.parameters.values()
        return tuple(item.name for item in given if item.default is item.empty)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the validated arguments by parameter name, defaults included.

        Raises:
            InputError: An argument is missing, unexpected or of another type.
        """
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(step=self.name, problem=str(error)) from error
        try:
            model = self._input.model_validate(bound.arguments)
        except ValidationError as error:
            raise InputError(step=self.name, problem=_first_problem(error)) from error
        return {name: getattr(model, name) for name in self.parameters}

    def split(self, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return `arguments` as positional and keyword arguments for the function itself."""
        given = self._signature.parameters.values()
        args = [arguments[item.name] for item in given if item.kind in _POSITIONAL]
        kwargs = {item.name: arguments[item.name] for item in given if item.kind not in _POSITIONAL}
        return args, kwargs

    def write_input(self, arguments: dict[str, Any]) -> bytes:
        """Return validated arguments as JSON.

        Raises:
            PayloadError: A value has no JSON form.
        """
        model = self._input.model_construct(**arguments)
        return self._dump(lambda: model.model_dump_json().encode())

    def read_input(self, text: bytes) -> dict[str, Any]:
        """Return the arguments that `write_input` wrote.

        Raises:
            InputError: The recorded JSON does not fit the parameters of today's code.
        """
        try:
            model = self._input.model_validate_json(text)
        except ValidationError as error:
            problem = f"recorded input no longer fits: {_first_problem(error)}"
            raise InputError(step=self.name, problem=problem) from error
        return {name: getattr(model, name) for name in self.parameters}

    def check_output(self, value: Any) -> Any:
        """Return `value` validated against the return type.

        Raises:
            OutputError: It does not fit.
        """
        try:
            return self._output.validate_python(value)
        except ValidationError as error:
            raise OutputError(step=self.name, problem=_first_problem(error)) from error

    def write_output(self, value: Any) -> bytes:
        """Return a validated result as JSON.

        Raises:
            PayloadError: It has no JSON form.
        """
        return self._dump(lambda: self._output.dump_json(value))

    def read_output(self, text: bytes) -> Any:
        """Return the result that `write_output` wrote.

        Raises:
            OutputError: The recorded JSON does not fit the return type of today's code.
        """
        try:
            return self._output.validate_json(text)
        except ValidationError as error:
            problem = f"recorded output no longer fits: {_first_problem(error)}"
            raise OutputError(step=self.name, problem=problem) from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the parameters, as an object."""
        schema = self._input.model_json_schema()
        schema.pop("title", None)
        return schema

    def _field(self, parameter: inspect.Parameter, hints: dict[str, Any]) -> tuple[Any, Any]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"{self.name}: name every parameter; *{parameter.name} cannot be recorded"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        return _or_data(hints.get(parameter.name, Any)), default

    def _build(self, fields: dict[str, Any]) -> tuple[type[BaseModel], TypeAdapter[Any]]:
        try:
            config = ConfigDict(**_CONFIG, protected_namespaces=())
            model = create_model(f"{self.name}_input", __config__=config, **fields)
            return model, TypeAdapter(self.returns)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            problem = str(error).splitlines()[0]
            raise TypeError(
                f"{self.name}: a type in its signature is not recordable: {problem}"
            ) from error

    def _dump(self, dump: Callable[[], bytes]) -> bytes:
        try:
            return dump()
        except PydanticSerializationError as error:
            problem = str(error).rsplit("NotPlainError: ", 1)[-1]
            raise PayloadError(step=self.name, problem=problem) from error


def _or_data(annotation: Any) -> Any:
    return Data if annotation in (Any, object, inspect.Parameter.empty) else annotation


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place + ': ' if place else ''}{first['msg']}, got {_short(first['input'])}{more}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
