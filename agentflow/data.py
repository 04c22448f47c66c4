"""Plain Python data as JSON and back, without loss.

Owns the tagged form of what JSON lacks: tuples, sets, bytes, dictionaries with other keys than
strings, dates, decimals and non-finite floats. Knows nothing of flows or the journal.
`decode(encode(value))` equals `value` and has its types; nothing decoded can run code.
"""

import base64
import datetime as dt
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, PlainSerializer, PlainValidator, ValidationInfo

TAG = "$"
MAX_DEPTH = 200


class NotPlainError(ValueError):
    """A value is not plain data; `path` says where and `kind` what it is."""

    def __init__(self, path: str, kind: str) -> None:
        self.path, self.kind = path, kind
        super().__init__(f"{path} is a {kind}, not plain data")


def encode(value: object, path: str = "value", depth: int = 0) -> Any:
    """Return `value` as JSON data, tagging what JSON cannot say.

    Raises:
        NotPlainError: Something inside is neither plain data nor a pydantic model.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else _tagged("float", str(value))
    if depth > MAX_DEPTH:
        raise NotPlainError(path, "value nested too deeply or into itself")
    if isinstance(value, BaseModel):
        return encode(value.model_dump(), path, depth + 1)
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value, path, depth + 1)
    raise NotPlainError(path, type(value).__name__)


def decode(data: Any) -> Any:
    """Return the value that `encode` turned into `data`.

    Raises:
        ValueError: `data` holds a tag that `encode` never writes.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if TAG not in data:
        return {key: decode(item) for key, item in data.items()}
    read = _READERS.get(data[TAG])
    if read is None:
        raise ValueError(f"unknown tag {data[TAG]!r} in recorded data")
    return read(data["v"])


def to_json(value: object) -> bytes:
    """Return plain data as compact JSON; dictionaries keep their order, as Python's do."""
    return canonical(encode(value))


def canonical(data: Any) -> bytes:
    """Return JSON data as bytes: no spaces, UTF-8, the order of dictionaries kept."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def from_json(text: bytes) -> Any:
    """Return the plain data that `to_json` wrote."""
    return decode(json.loads(text))


def _tagged(tag: str, value: Any) -> dict[str, Any]:
    return {TAG: tag, "v": value}


def _items(values: Any, path: str, depth: int) -> list[Any]:
    return [encode(item, f"{path}[{index}]", depth) for index, item in enumerate(values)]


def _mapping(value: Mapping[Any, Any], path: str, depth: int) -> Any:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: encode(item, f"{path}[{key!r}]", depth) for key, item in value.items()}
    pairs = [
        [encode(key, f"key of {path}", depth), encode(item, f"{path}[{key!r}]", depth)]
        for key, item in value.items()
    ]
    return _tagged("dict", pairs)


def _unordered(tag: str) -> Callable[[Any, str, int], Any]:
    def write(value: Any, path: str, depth: int) -> Any:
        return _tagged(tag, sorted(_items(value, path, depth), key=canonical))

    return write


def _parts(value: dt.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


# Order matters: bool is an int, datetime is a date.
_WRITERS: tuple[tuple[type, Callable[[Any, str, int], Any]], ...] = (
    (list, _items),
    (Mapping, _mapping),
    (tuple, lambda value, path, depth: _tagged("tuple", _items(value, path, depth))),
    (set, _unordered("set")),
    (frozenset, _unordered("frozenset")),
    (bytes, lambda value, _path, _depth: _tagged("bytes", base64.b64encode(value).decode())),
    (dt.datetime, lambda value, _path, _depth: _tagged("datetime", value.isoformat())),
    (dt.date, lambda value, _path, _depth: _tagged("date", value.isoformat())),
    (dt.timedelta, lambda value, _path, _depth: _tagged("timedelta", _parts(value))),
    (Decimal, lambda value, _path, _depth: _tagged("decimal", str(value))),
    (complex, lambda value, _path, _depth: _tagged("complex", str(value))),
    (int, lambda value, _path, _depth: int(value)),
    (float, lambda value, _path, _depth: float(value)),
)

_READERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "dict": lambda pairs: {decode(key): decode(item) for key, item in pairs},
    "tuple": lambda items: tuple(decode(items)),
    "set": lambda items: set(decode(items)),
    "frozenset": lambda items: frozenset(decode(items)),
    "bytes": base64.b64decode,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "decimal": Decimal,
    "complex": complex,
}


def _validate(value: Any, info: ValidationInfo) -> Any:
    return decode(value) if info.mode == "json" else value


Data = Annotated[Any, PlainValidator(_validate), PlainSerializer(encode, when_used="json")]
"""Any plain value in a pydantic field, kept without loss in JSON."""
