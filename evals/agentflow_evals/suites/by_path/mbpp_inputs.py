"""What the inputs of MBPP+ are in Python: its JSON has lists where the problems have tuples and sets.

Owns which problems those are, after EvalPlus 0.3.1, whose data says it nowhere.
"""

from collections.abc import Callable, Mapping
from typing import Any

Args = list[Any]


def as_published(problem: int, calls: list[list[object]]) -> list[object]:
    """Return the arguments of each call of a problem, as that problem takes them."""
    convert = _BY_PROBLEM.get(problem)
    return list(calls) if convert is None else [convert(args) for args in calls]


def _tuples(items: Any) -> Any:
    """Return a list whose lists are tuples."""
    return [tuple(item) if isinstance(item, list) else item for item in items]


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _set(item: Any) -> Any:
    return set(item) if isinstance(item, list) and item else {}


_SHAPES: tuple[tuple[Callable[[Args], Any], tuple[int, ...]], ...] = (
    (
        lambda args: [tuple(arg) for arg in args],
        (
            2,
            116,
            132,
            143,
            222,
            261,
            273,
            394,
            399,
            421,
            424,
            429,
            470,
            560,
            579,
            596,
            616,
            630,
            726,
            740,
            744,
            809,
        ),
    ),
    (
        lambda args: [[tuple(item) for item in arg] for arg in args],
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    ),
    (lambda args: [[tuple(item) for item in args[0]], args[1]], (75, 413, 444, 753)),
    (lambda args: [args[0], tuple(args[1])], (106, 750)),
    (lambda args: [tuple(args[0]), *args[1:]], (250, 307, 405, 446, 617, 720, 763, 808)),
    (lambda args: [tuple(tuple(item) for item in arg) for arg in args], (259, 401, 445)),
    (lambda args: [tuple(_tuples(args[0]))], (278,)),
    (
        lambda args: [{key: tuple(value) for key, value in args[0].items()}, *args[1:]],
        (722,),
    ),
    (lambda args: [_deep(arg) for arg in args], (580, 615, 791)),
    (lambda args: [[_set(item) for item in args[0]]], (115,)),
    (lambda args: [float(args[0]), complex(args[1])], (124,)),
    (lambda args: [complex(args[0])], (252,)),
)
_BY_PROBLEM: Mapping[int, Callable[[Args], Any]] = {
    problem: shape for shape, problems in _SHAPES for problem in problems
}
