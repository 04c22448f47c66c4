"""Say whether two functions were seen to do the same.

Owns the comparison of encoded values and of what was observed of a call. Knows nothing of how
a call was run. Every comparison is symmetric, and every encoded value is the same as itself;
types are told apart as `==` would (a tuple is no list), and further where Python mixes them up
(True is no 1, and 1 is no 1.0 unless the caller asks for `numbers`).
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from agentflow.sandbox.workers.protocol import Observation

RELATIVE, ABSOLUTE = 1e-6, 1e-9
_MAX_MATCHED = 100  # unordered items tried against each other; more are compared in sorted order
_KINDS = (
    "str", "int", "float", "complex", "bytes", "bytearray", "list", "tuple", "set", "frozenset", "dict",
    "range", "iterator", "scalar", "enum", "object", "exception", "named", "opaque", "cycle", "cut",
)  # fmt: skip
_NO_LISTS = frozenset({"deque", "array", "dict_keys", "dict_values", "dict_items"})
_NUMBERS = frozenset({"int", "float", "complex"})


def same_value(
    a: Any,
    b: Any,
    *,
    relative: float = RELATIVE,
    absolute: float = ABSOLUTE,
    numbers: bool = False,
) -> bool:
    """Return whether two encoded values are the same.

    Floats may differ by `relative` or `absolute`; nan is nan, infinities go by their sign and
    zeros have none. The order of sets and dicts does not matter. A subclass of a container is
    as its base (Counter as dict), as `==` has it; a deque is no list. Objects go by their fields.

    Args:
        a: As the jail encodes it (agentflow.sandbox.workers.protocol).
        b: Likewise.
        relative: Share of the larger of two floats.
        absolute: In the floats' own unit.
        numbers: Whether 1 is 1.0, for a function that is said to return a float.
    """
    return _Comparison(relative, absolute, numbers).same(a, b)


def same_behaviour(
    x: Observation,
    y: Observation,
    *,
    relative: float = RELATIVE,
    absolute: float = ABSOLUTE,
    numbers: bool = False,
) -> bool:
    """Return whether two calls returned the same, or raised the same type, with the same effects.

    Effects are the arguments changed and the text printed, but for spaces at the ends of lines.
    What was cut off (by time, memory, size or a crash) is the same as nothing, not even itself.
    """
    if not is_whole(x) or x.outcome != y.outcome:
        return False
    compared = _Comparison(relative, absolute, numbers)
    if x.outcome == "raised" and _raised(x) != _raised(y):
        return False
    return (
        _printed(x.stdout) == _printed(y.stdout)
        and compared.same(x.arguments, y.arguments)
        and (x.outcome == "raised" or compared.same(x.value, y.value))
    )


def is_whole(seen: Observation) -> bool:
    """Return whether a call came to its own end, so that what it did is known."""
    return seen.outcome in ("returned", "raised")


def _raised(seen: Observation) -> str:
    return seen.failure.type if seen.failure is not None else ""


def _printed(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _opened(value: Any) -> tuple[str, Any]:
    """Return the kind of an encoded value and what it holds; an unknown shape is its own kind."""
    if value is None or isinstance(value, bool | int | str):
        return type(value).__name__, value
    if isinstance(value, dict):
        for kind in _KINDS:
            if kind in value:
                return kind, value[kind]
    return "unknown", value


def _number(kind: str, content: Any) -> int | float | complex:
    """Return the number an encoded one stands for; ValueError when it stands for none."""
    if kind == "complex":
        real, imaginary = content
        return complex(float(real), float(imaginary))
    if kind == "float":
        return float(content)
    return content if isinstance(content, int) else int(content, 16)


@dataclass(frozen=True)
class _Comparison:
    relative: float
    absolute: float
    numbers: bool

    def same(self, a: Any, b: Any) -> bool:
        kind, content = _opened(a)
        other_kind, other = _opened(b)
        if kind != other_kind:
            return self.numbers and {kind, other_kind} <= _NUMBERS and self._same_number(a, b)
        if kind in _NUMBERS:
            return self._same_number(a, b)
        by_kind: dict[str, Callable[[], bool]] = {
            "list": lambda: _unlike_lists(a) == _unlike_lists(b) and self._in_order(content, other),
            "tuple": lambda: self._in_order(content, other),
            "set": lambda: self._in_any_order(content, other),
            "frozenset": lambda: self._in_any_order(content, other),
            "dict": lambda: self._same_dict(content, other),
            "range": lambda: _same_range(content, other),
            "iterator": lambda: _ending(a) == _ending(b) and self._in_order(content, other),
            "scalar": lambda: _same_scalar(a, b),
            "object": lambda: content == other and self._same_fields(a, b),
            "exception": lambda: content == other and self._in_order(_args(a), _args(b)),
        }
        return by_kind[kind]() if kind in by_kind else bool(content == other)

    def _same_number(self, a: Any, b: Any) -> bool:
        try:
            x, y = _number(*_opened(a)), _number(*_opened(b))
            if isinstance(x, int) and isinstance(y, int):
                return x == y
            x, y = complex(x), complex(y)
        except (ValueError, TypeError, OverflowError):  # no number, or too long for a float
            return bool(a == b)
        return self._close(x.real, y.real) and self._close(x.imag, y.imag)

    def _close(self, x: float, y: float) -> bool:
        if math.isnan(x) or math.isnan(y):
            return math.isnan(x) and math.isnan(y)
        return math.isclose(x, y, rel_tol=self.relative, abs_tol=self.absolute)

    def _in_order(self, a: Sequence[Any], b: Sequence[Any]) -> bool:
        return len(a) == len(b) and all(self.same(x, y) for x, y in zip(a, b, strict=True))

    def _in_any_order(self, a: Sequence[Any], b: Sequence[Any]) -> bool:
        if len(a) != len(b):
            return False
        by_key = {_canonical(item): item for item in (*a, *b)}
        left, right = Counter(map(_canonical, a)), Counter(map(_canonical, b))
        return _can_be_matched(
            [by_key[key] for key in (left - right).elements()],
            [by_key[key] for key in (right - left).elements()],
            self.same,
        )

    def _same_dict(self, a: Sequence[Any], b: Sequence[Any]) -> bool:
        left = {_canonical(key): (key, value) for key, value in a}
        right = {_canonical(key): (key, value) for key, value in b}
        if len(left) != len(right):
            return False
        shared = left.keys() & right.keys()
        return all(self.same(left[key][1], right[key][1]) for key in shared) and _can_be_matched(
            [item for key, item in left.items() if key not in shared],
            [item for key, item in right.items() if key not in shared],
            self._in_order,
        )

    def _same_fields(self, a: Any, b: Any) -> bool:
        left, right = a.get("fields", {}), b.get("fields", {})
        return left.keys() == right.keys() and all(self.same(left[k], right[k]) for k in left)


def _unlike_lists(value: Any) -> str | None:
    """Return the type of what is encoded as a list and yet equals none."""
    kind = value.get("type")
    return kind if kind in _NO_LISTS else None


def _ending(value: Any) -> tuple[bool, str | None]:
    return bool(value.get("more")), value.get("raised")


def _args(value: Any) -> Sequence[Any]:
    args: Sequence[Any] = value.get("args", [])
    return args


def _same_range(a: Sequence[int], b: Sequence[int]) -> bool:
    try:
        return range(*a) == range(*b)
    except (TypeError, ValueError):
        return bool(a == b)


def _same_scalar(a: Any, b: Any) -> bool:
    if a == b or not (a["scalar"] == b["scalar"] == "Decimal"):
        return bool(a == b)
    try:
        return Decimal(a["text"]) == Decimal(b["text"])  # 1.5 is 1.50
    except (InvalidOperation, KeyError):
        return False


def _can_be_matched(a: Sequence[Any], b: Sequence[Any], same: Callable[[Any, Any], bool]) -> bool:
    """Return whether each item of `a` has one of `b` to itself that is the same within tolerance.

    Sameness within a tolerance is not transitive, so taking the first that fits would not be
    symmetric; a matching is.
    """
    if len(a) != len(b):
        return False
    if len(a) > _MAX_MATCHED:
        return all(same(x, y) for x, y in zip(_sorted(a), _sorted(b), strict=True))
    fits = [[j for j, y in enumerate(b) if same(x, y)] for x in a]
    taken: dict[int, int] = {}

    def finds_place(i: int, seen: set[int]) -> bool:
        for j in fits[i]:
            if j not in seen:
                seen.add(j)
                if j not in taken or finds_place(taken[j], seen):
                    taken[j] = i
                    return True
        return False

    return all(finds_place(i, set()) for i in range(len(a)))


def _sorted(items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=_rank)


def _rank(item: Any) -> tuple[float, str]:
    """Return where an item stands among others: numbers by size, the rest by their text."""
    kind, content = _opened(item)
    try:
        number = _number(kind, content) if kind in ("int", "float") else math.inf
        size = math.inf if isinstance(number, complex) else float(number)
    except (ValueError, TypeError, OverflowError):
        size = math.inf
    return (math.inf if math.isnan(size) else size), _canonical(item)
