"""What a function takes and returns, checked by pydantic and written as JSON.

Owns the way from a Python signature to validated arguments, to bytes for the journal, and to the
JSON schema a model sees. Flows and tools share it. Parameters without a type hold plain data.
"""

import copy
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
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError
from typing_extensions import TypedDict

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
        given = self._signature.parameters.values()
        self.parameters = {item.name: self._annotation(item, hints) for item in given}
        self.returns: Any = _or_data(hints.get("return", Any))
        # Names of the parameters without a default, in order.
        self.required = tuple(item.name for item in given if item.default is item.empty)
        self._defaults = {
            item.name: item.default for item in given if item.name not in self.required
        }
        self._positional = tuple(item.name for item in given if item.kind in _POSITIONAL)
        self._nameable = {item.name for item in given if item.kind is not item.POSITIONAL_ONLY}
        self._input, self._output = self._build()

    def renamed(self, name: str) -> "Signature":
        """Return the same signature under another name."""
        other = copy.copy(self)
        other.name = name
        return other

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the validated arguments by parameter name, defaults included.

        Raises:
            InputError: An argument is missing, unexpected or of another type.
        """
        given = self._given(args, kwargs)
        try:
            valid: dict[str, Any] = self._input.validator.validate_python(given)
        except ValidationError as error:
            raise InputError(step=self.name, problem=_first_problem(error)) from error
        return valid if len(valid) == len(self.parameters) else self._completed(valid)

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name; the common call is not worth `inspect`'s full care."""
        if len(args) <= len(self._positional):
            given = dict(zip(self._positional, args, strict=False))
            if not kwargs:
                if len(given) >= len(self.required):
                    return given
            elif given.keys().isdisjoint(kwargs) and self._names_all(given, kwargs):
                return given | kwargs
        try:
            return dict(self._signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise InputError(step=self.name, problem=str(error)) from error

    def _names_all(self, given: dict[str, Any], kwargs: dict[str, Any]) -> bool:
        """Return whether `kwargs` are parameters that may be named, and nothing required is missing."""
        if not kwargs.keys() <= self._nameable:
            return False
        return all(name in given or name in kwargs for name in self.required)

    def _completed(self, valid: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with defaults filled in; a mutable default is not shared."""
        return {
            name: valid[name] if name in valid else copy.deepcopy(self._defaults[name])
            for name in self.parameters
        }

    def split(self, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return `arguments` as positional and keyword arguments for the function itself."""
        args = [arguments[name] for name in self._positional]
        if len(args) == len(arguments):
            return args, {}
        return args, {name: arguments[name] for name in arguments if name not in self._positional}

    def write_input(self, arguments: dict[str, Any]) -> bytes:
        """Return validated arguments as JSON.

        Raises:
            PayloadError: A value has no JSON form.
        """
        return self._dump(self._input, arguments)

    def read_input(self, text: bytes) -> dict[str, Any]:
        """Return the arguments that `write_input` wrote.

        Raises:
            InputError: The recorded JSON does not fit the parameters of today's code.
        """
        try:
            valid: dict[str, Any] = self._input.validator.validate_json(text)
        except ValidationError as error:
            problem = f"recorded input no longer fits: {_first_problem(error)}"
            raise InputError(step=self.name, problem=problem) from error
        return self._completed(valid)

    def check_output(self, value: Any) -> Any:
        """Return `value` validated against the return type.

        Raises:
            OutputError: It does not fit.
        """
        try:
            return self._output.validator.validate_python(value)
        except ValidationError as error:
            raise OutputError(step=self.name, problem=_first_problem(error)) from error

    def write_output(self, value: Any) -> bytes:
        """Return a validated result as JSON.

        Raises:
            PayloadError: It has no JSON form.
        """
        return self._dump(self._output, value)

    def read_output(self, text: bytes) -> Any:
        """Return the result that `write_output` wrote.

        Raises:
            OutputError: The recorded JSON does not fit the return type of today's code.
        """
        try:
            return self._output.validator.validate_json(text)
        except ValidationError as error:
            problem = f"recorded output no longer fits: {_first_problem(error)}"
            raise OutputError(step=self.name, problem=problem) from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the parameters, as an object."""
        fields: dict[str, Any] = {
            name: (kind, self._defaults.get(name, ...)) for name, kind in self.parameters.items()
        }
        config = ConfigDict(extra="forbid", protected_namespaces=())
        model: type[BaseModel] = create_model(self.name, __config__=config, **fields)
        schema = model.model_json_schema()
        schema.pop("title", None)
        return schema

    def _annotation(self, parameter: inspect.Parameter, hints: dict[str, Any]) -> Any:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"{self.name}: name every parameter; *{parameter.name} cannot be recorded"
            )
        if isinstance(parameter.default, FieldInfo):
            raise TypeError(
                f"{self.name}: write {parameter.name}: Annotated[..., Field(...)] instead"
            )
        return _or_data(hints.get(parameter.name, Any))

    def _build(self) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
        """Return what reads and writes the arguments, and the result.

        Arguments are a typed dictionary: it checks and writes several times faster than a model.
        """
        try:
            arguments = typing.cast("Any", TypedDict)(self.name, self.parameters, total=False)
            arguments.__pydantic_config__ = _CONFIG
            return TypeAdapter(arguments), _adapter(self.returns)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            problem = str(error).splitlines()[0]
            raise TypeError(
                f"{self.name}: a type in its signature is not recordable: {problem}"
            ) from error

    def _dump(self, adapter: TypeAdapter[Any], value: Any) -> bytes:
        try:
            return adapter.serializer.to_json(value)
        except PydanticSerializationError as error:
            problem = str(error).rsplit("NotPlainError: ", 1)[-1]
            raise PayloadError(step=self.name, problem=problem) from error


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """Return the adapter of a result; NaN and the infinities are written as such where we may say so."""
    try:
        return TypeAdapter(annotation, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # a model brings its own
            raise
        return TypeAdapter(annotation)


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
