"""Turn encoded data into live values, inside the jail: between the tests and what they examine.

Owns what can be decoded: plain data, dates and numbers, exceptions of the built-in kinds. Everything
else becomes an `Opaque`, which equals nothing. The text comes from hostile code.
"""

import builtins
import collections
import datetime as dt
import decimal
import fractions
import json
from collections.abc import Callable, Iterator
from typing import Any

_CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "deque": collections.deque,
    "Counter": collections.Counter,
    "OrderedDict": collections.OrderedDict,
    "defaultdict": lambda items: collections.defaultdict(None, items),
}
_SCALARS: dict[str, Callable[[str], Any]] = {
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
}


class Opaque:
    """A value that stayed in the other process."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self._what} of the other process>"


def from_text(text: bytes | str) -> Any:
    """Return the value that encoded JSON text describes.

    Raises:
        ValueError, RecursionError: It is not what the encoder writes.
    """
    return decode(json.loads(text))


def decode(data: Any) -> Any:
    """Return the value that encoded data describes."""
    if data is None or isinstance(data, bool | str | int):
        return data
    if not isinstance(data, dict) or not data:
        raise ValueError("not an encoded value")
    tag = next(iter(data))
    read = _READERS.get(tag)
    if read is None:
        return Opaque(f"{tag} {str(data[tag])[:80]}")
    try:
        return read(data)
    except (TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"not an encoded {tag}") from error


def builtin_error(names: list[str], arguments: list[Any]) -> Exception:
    """Return an exception of the first of `names` that is a built-in one; of `Exception` if none is."""
    for name in names:
        kind = vars(builtins).get(name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(*arguments)
            except TypeError:  # some, as UnicodeDecodeError, take arguments of their own kind
                continue
    return Exception(*arguments)


def has_opaque(data: Any) -> str | None:
    """Return the tag of the first thing inside encoded data that cannot be decoded; None if all can."""
    if isinstance(data, list):
        return next((found for item in data if (found := has_opaque(item))), None)
    if not isinstance(data, dict):
        return None
    tag = next(iter(data))
    if tag not in _READERS or (tag == "scalar" and data[tag] not in _SCALARS):
        return f"{tag} {str(data[tag])[:80]}"
    return has_opaque(list(data.values()))


def _list(data: dict[str, Any]) -> Any:
    items = [decode(item) for item in data["list"]]
    kind = _CONTAINERS.get(data.get("type", ""))
    return items if kind is None else kind(items)


def _dict(data: dict[str, Any]) -> Any:
    items = {decode(key): decode(item) for key, item in data["dict"]}
    kind = _CONTAINERS.get(data.get("type", ""))
    return items if kind is None else kind(items)


def _iterator(data: dict[str, Any]) -> Iterator[Any]:
    items = [decode(item) for item in data["iterator"]]
    return _played(items, data.get("raised"), bool(data.get("more")))


def _played(items: list[Any], raised: str | None, more: bool) -> Iterator[Any]:
    yield from items
    if raised is not None:
        raise builtin_error([raised], [])
    if more:
        raise RuntimeError(f"only the first {len(items)} items cross between the processes")


def _scalar(data: dict[str, Any]) -> Any:
    read = _SCALARS.get(data["scalar"])
    return Opaque(data["scalar"]) if read is None else read(data["text"])


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "int": lambda data: int(data["int"], 16),
    "float": lambda data: float(data["float"]),
    "complex": lambda data: complex(*[float(part) for part in data["complex"]]),
    "str": lambda data: data["str"],
    "bytes": lambda data: bytes.fromhex(data["bytes"]),
    "bytearray": lambda data: bytearray.fromhex(data["bytearray"]),
    "range": lambda data: range(*data["range"]),
    "list": _list,
    "tuple": lambda data: tuple(decode(item) for item in data["tuple"]),
    "set": lambda data: {decode(item) for item in data["set"]},
    "frozenset": lambda data: frozenset(decode(item) for item in data["frozenset"]),
    "dict": _dict,
    "iterator": _iterator,
    "scalar": _scalar,
    "exception": lambda data: builtin_error(
        [data["exception"]], [decode(item) for item in data["args"]]
    ),
}
