"""State of a LangGraph graph as JSON, and back with its types.

Owns the typed form of what such state holds besides plain data: LangChain messages, `Send`, `Command`,
`Overwrite`, UUIDs, and the pydantic models, dataclasses, enums and named tuples that the graph declares.
A type is looked up among those, never imported by its recorded name: what is read cannot run code.
"""

import dataclasses
import enum
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel

from agentflow.data import NotPlainError, decode, encode

TAG = "@"  # agentflow.data has "$"

_OWN: tuple[type, ...] = (BaseMessage, Send, Command, Overwrite)


class Codec:
    """Writes and reads values of the types given, and of all that are named within them."""

    def __init__(self, types: Iterable[Any] = ()) -> None:
        self._types: dict[str, type] = {}
        for kind in types:
            self._add(kind)

    def write(self, value: Any) -> Any:
        """Return `value` as JSON data.

        Raises:
            NotPlainError: Something in it has no JSON form.
        """
        return encode(self._plain(value, "value"))

    def read(self, data: Any) -> Any:
        """Return the value that `write` turned into `data`.

        Raises:
            ValueError: A type in it is not known here.
        """
        return self._typed(decode(data))

    def _add(self, kind: Any) -> None:
        for part in typing.get_args(kind):
            if not isinstance(part, str | int | bytes | enum.Enum):
                self._add(part)
        found = typing.get_origin(kind) or kind
        if not isinstance(found, type) or issubclass(found, _OWN) or _name(found) in self._types:
            return
        if not _is_record(found):
            return
        self._types[_name(found)] = found
        if not issubclass(found, enum.Enum):
            for hint in _hints(found).values():
                self._add(hint)

    def _plain(self, value: Any, path: str) -> Any:
        if value is None or type(value) in (str, int, bool, float, bytes):
            return value
        own = _written(value)
        if own is not None:
            return _tagged(own[0], self._plain(own[1], path))
        if _is_record(type(value)):
            return self._record(value, path)
        if isinstance(value, Mapping):
            items = {key: self._plain(item, f"{path}[{key!r}]") for key, item in value.items()}
            return _tagged("dict", list(map(list, items.items()))) if TAG in items else items
        if isinstance(value, list | tuple | set | frozenset):
            kept = list if isinstance(value, list) else type(value)
            return kept(self._plain(item, f"{path}[{at}]") for at, item in enumerate(value))
        return value  # agentflow.data knows it, or says that it does not

    def _record(self, value: Any, path: str) -> Any:
        name, short = _name(type(value)), type(value).__qualname__
        if name not in self._types:
            kind = f"{short}, which no annotation of the state names (give it as types=[{short}])"
            raise NotPlainError(path, kind)
        return _tagged(name, self._plain(_fields(value), path))

    def _typed(self, value: Any) -> Any:
        if isinstance(value, dict):
            if TAG in value:
                return self._tagged(value[TAG], value["v"])
            return {key: self._typed(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return type(value)(self._typed(item) for item in value)
        return value

    def _tagged(self, tag: str, value: Any) -> Any:
        if tag == "dict":
            return {key: self._typed(item) for key, item in value}
        content = self._typed(value)
        if tag in _READERS:
            return _READERS[tag](content)
        kind = self._types.get(tag)
        if kind is None:
            raise ValueError(f"recorded state holds a {tag}, which the graph does not declare")
        if issubclass(kind, enum.Enum):
            return kind[content]
        if issubclass(kind, BaseModel):
            return kind.model_validate(content)
        return _rebuilt(kind, content)


def _tagged(tag: str, value: Any) -> dict[str, Any]:
    return {TAG: tag, "v": value}


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_record(kind: type) -> bool:
    """Whether values of the class are told by its name and their fields."""
    if issubclass(kind, BaseModel | enum.Enum) or dataclasses.is_dataclass(kind):
        return True
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):  # a name that is not there at run time; values say more
        return {}


def _fields(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields} | (
            value.model_extra or {}
        )
    if isinstance(value, tuple):
        return value._asdict()  # type: ignore[attr-defined]
    return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}


def _rebuilt(kind: type, content: dict[str, Any]) -> Any:
    if not dataclasses.is_dataclass(kind):
        return kind(**content)
    given = {item.name for item in dataclasses.fields(kind) if item.init}
    made = kind(**{name: item for name, item in content.items() if name in given})
    for name in content.keys() - given:
        object.__setattr__(made, name, content[name])
    return made


def _written(value: Any) -> tuple[str, Any] | None:
    """Return tag and content of a value that every graph may hold; None for others."""
    if isinstance(value, BaseMessage):
        return "message", message_to_dict(value)
    if isinstance(value, Send):
        return "send", [value.node, value.arg]
    if isinstance(value, Command):
        parts = {"graph": value.graph, "update": value.update, "goto": value.goto}
        return "command", {name: part for name, part in parts.items() if part is not None}
    if isinstance(value, Overwrite):
        return "overwrite", value.value
    if isinstance(value, UUID):
        return "uuid", str(value)
    return None


_READERS: dict[str, Callable[[Any], Any]] = {
    "message": lambda content: messages_from_dict([content])[0],
    "send": lambda content: Send(*content),
    "command": lambda content: Command(**content),
    "overwrite": Overwrite,
    "uuid": UUID,
}
