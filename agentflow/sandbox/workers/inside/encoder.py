"""Turn what generated code returned into JSON that describes it.

Owns the encoded form (docs/sandbox.md). The values are hostile: their `__iter__`, `__eq__`, `__repr__`
and `__class__` may do anything, so containers are read with the methods of the built-in types, and an
object's own code runs only where there is no other way: its `__next__`, and `str` of dates and the like.
This module has builtins of its own (see boot.py), which the code cannot replace.
"""

import array
import collections
import enum
import json
import types
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 50
MAX_ITEMS = 1000  # of one iterator
_MAX_BITS = 13_280  # just under 4,000 decimal digits
_TAG_BYTES = 10

_mro = type.__dict__["__mro__"].__get__
_name = type.__dict__["__name__"].__get__
_members = type.__dict__["__dict__"].__get__
_module = type.__dict__["__module__"].__get__
to_text = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

# By module and name, so that none of these modules has to be loaded.
_SCALARS = {
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("datetime", "date"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("uuid", "UUID"),
    ("pathlib", "PurePath"),
    ("pathlib._local", "PurePath"),
}
_NAMED = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class TooLargeError(Exception):
    """A value is larger as encoded than the trial allows."""


class Encoder:
    """Encodes one value after the other, each within `limit` bytes.

    Args:
        limit: Of one value, in bytes.
        home: Name of the module whose classes are the code's own.
        consumes: Whether iterators are read to their end; what is only looked at must not be.
        crosses: Whether the value is to be decoded in another process: named tuples and members of
            int and str enumerations are then written as what they equal.
    """

    def __init__(
        self, limit: int, home: str, *, consumes: bool = True, crosses: bool = False
    ) -> None:
        self._limit, self._home = limit, home
        self._consumes, self._crosses = consumes, crosses
        self._left = limit
        self._open: list[int] = []

    def text(self, value: object) -> str:
        """Return the encoded value as JSON text.

        Raises:
            TooLargeError: It does not fit.
        """
        self._left = self._limit
        self._open.clear()
        text = to_text(self._item(value))
        if len(text) > self._limit:
            raise TooLargeError
        return text

    def _charge(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLargeError

    def _item(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            self._charge(4)
            return value
        if kind is str:
            self._charge(len(value))
            return value
        if kind is int and value.bit_length() < _MAX_BITS:
            self._charge(1 + value.bit_length() // 4)
            return value
        self._charge(_TAG_BYTES)
        if kind is float:
            return {"float": repr(value)}
        return self._inside(value, kind)

    def _inside(self, value: Any, kind: type) -> Any:
        """Return what has parts; one that holds itself names how many levels up it is."""
        if id(value) in self._open:
            return {"cycle": len(self._open) - self._open.index(id(value))}
        if len(self._open) >= MAX_DEPTH:
            return {"cut": "depth"}
        self._open.append(id(value))
        try:
            return self._dispatch(value, kind)
        except (TooLargeError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - its own code failed, which says nothing about the call
            return {"opaque": _label(kind)}
        finally:
            self._open.pop()

    def _dispatch(self, value: Any, kind: type) -> Any:
        if (writer := _EXACT.get(kind)) is not None:
            return self._known(value, kind, kind, writer)
        bases = _mro(kind)
        if enum.Enum in bases and not (self._crosses and (int in bases or str in bases)):
            return {"enum": f"{_label(kind)}.{object.__getattribute__(value, '_name_')}"}
        if tuple in bases and "_fields" in _members(kind) and not self._crosses:
            return self._object(kind, zip(kind._fields, tuple.__iter__(value), strict=True))  # type: ignore[attr-defined]
        for base in bases:
            writer = _EXACT.get(base)
            if writer is not None:
                return self._known(value, kind, base, writer)
            if (_module(base), _name(base)) in _SCALARS:
                return {"scalar": _label(kind), "text": self._text(str(value))}
        return self._other(value, kind, bases)

    def _known(self, value: Any, kind: type, base: type, writer: "_Writer") -> dict[str, Any]:
        tag, has_parts, read = writer
        if tag in _SIZES:
            self._charge(_SIZES[tag](value))
        parts = read(value)
        content: dict[str, Any]
        if not has_parts:
            content = {tag: parts}
        elif tag == "dict":
            content = {tag: [[self._item(key), self._item(item)] for key, item in parts]}
        else:
            content = {tag: [self._item(item) for item in parts]}
        if tag in ("set", "frozenset"):
            content[tag].sort(key=to_text)
        if kind is not base or base in _OTHERS:
            content["type"] = _label(kind)
        return content

    def _other(self, value: Any, kind: type, bases: tuple[type, ...]) -> Any:
        if BaseException in bases:
            arguments = BaseException.args.__get__(value)  # type: ignore[attr-defined]
            return {"exception": _label(kind), "args": [self._item(item) for item in arguments]}
        if type in bases:
            return {"named": self._text(_name(value))}
        if any(base in _NAMED for base in bases):
            return {"named": self._text(value.__name__)}
        if any("__next__" in _members(base) for base in bases):
            return self._iterator(value) if self._consumes else {"opaque": _label(kind)}
        fields = _fields(value, bases)
        if fields or _module(kind) == self._home:
            return self._object(kind, fields)
        return {"opaque": _label(kind)}

    def _object(self, kind: type, fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        named = {self._text(name): self._item(item) for name, item in fields}
        return {"object": _label(kind), "fields": named}

    def _iterator(self, value: Any) -> dict[str, Any]:
        items: list[Any] = []
        content: dict[str, Any] = {"iterator": items}
        try:
            for item in value:
                if len(items) == MAX_ITEMS:
                    content["more"] = True
                    break
                items.append(self._item(item))
        except (TooLargeError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - what the iterator raised is part of its value
            content["raised"] = _label(type(error))
        return content

    def _text(self, text: str) -> str:
        text = str.__getitem__(text, slice(None))
        self._charge(len(text))
        return text


def _label(kind: type) -> str:
    return str(_name(kind))[:200]


def _fields(value: object, bases: tuple[type, ...]) -> list[tuple[str, Any]]:
    """Return the attributes that an instance holds itself, in slots or in its dictionary."""
    found = []
    for base in reversed(bases):
        for name, member in _members(base).items():
            if type(member) is types.MemberDescriptorType and "__slots__" in _members(base):
                try:
                    found.append((name, member.__get__(value)))
                except AttributeError:
                    continue  # never set
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return found
    if type(own) is dict:
        found += [(name, item) for name, item in own.items() if type(name) is str]
    return found


def _integer(value: int) -> str:
    return hex(int.__add__(value, 0))


def _bytes(value: Any) -> str:
    return bytes(memoryview(value)).hex()


def _parts(kind: type) -> Callable[[Any], Iterable[Any]]:
    return kind.__iter__  # type: ignore[attr-defined, no-any-return]


_Writer = tuple[str, bool, Callable[[Any], Any]]

# Every type with a form of its own: its tag, whether it has parts to encode, how to read it.
_EXACT: dict[type, _Writer] = {
    int: ("int", False, _integer),
    float: ("float", False, float.__repr__),
    complex: ("complex", False, lambda value: [repr(value.real), repr(value.imag)]),
    str: ("str", False, lambda value: str.__getitem__(value, slice(None))),
    bytes: ("bytes", False, _bytes),
    bytearray: ("bytearray", False, _bytes),
    memoryview: ("bytes", False, _bytes),
    range: ("range", False, lambda value: [value.start, value.stop, value.step]),
    list: ("list", True, _parts(list)),
    tuple: ("tuple", True, _parts(tuple)),
    set: ("set", True, _parts(set)),
    frozenset: ("frozenset", True, _parts(frozenset)),
    collections.deque: ("list", True, _parts(collections.deque)),
    array.array: ("list", True, array.array.tolist),
    collections.OrderedDict: ("dict", True, collections.OrderedDict.items),
    dict: ("dict", True, dict.items),
    type({}.keys()): ("list", True, _parts(type({}.keys()))),
    type({}.values()): ("list", True, _parts(type({}.values()))),
    type({}.items()): ("list", True, _parts(type({}.items()))),
}
_SIZES: dict[str, Callable[[Any], int]] = {
    "int": lambda value: int.bit_length(value) // 4,
    "str": str.__len__,
    "bytes": lambda value: 2 * memoryview(value).nbytes,
    "bytearray": lambda value: 2 * memoryview(value).nbytes,
}
# Types that share a tag with another one, so that they always carry their name.
_OTHERS = frozenset(_EXACT) - {
    *(int, float, complex, str, bytes, bytearray, range),
    *(list, tuple, set, frozenset, dict),
}
