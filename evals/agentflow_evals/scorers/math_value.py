r"""The value of a mathematical expression in LaTeX or plain text.

Owns a small grammar, read by hand: nothing that a model wrote is ever evaluated as Python. Numbers are
exact fractions as long as they stay small; two expressions with variables are the same if they agree at
some points chosen in advance. What the grammar does not know has no value, and is like nothing.
"""

import cmath
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

MOST_BITS = 20_000
Number = Fraction | complex
Tree = tuple[Any, ...]  # ("number", Fraction), ("name", "x"), or (operator, tree, ...)

_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|\\[a-zA-Z]+|[a-zA-Z]|[-+*/^!(){}\[\]|])", re.ASCII)
_CONSTANTS = {"\\pi": math.pi + 0j, "\\infty": complex(math.inf), "e": math.e + 0j, "i": 1j}
_FUNCTIONS = {
    "\\sin": cmath.sin,
    "\\cos": cmath.cos,
    "\\tan": cmath.tan,
    "\\ln": cmath.log,
    "\\log": cmath.log10,
}
_POINTS = (0.7390851332, 1.3247179572, 2.2955871494, 1.9021605831, 0.5671432904, 2.6854520011)


class NoValueError(ValueError):
    """A text is no expression of the grammar, or has no finite value."""


def same_value(one: str, other: str) -> bool:
    """Return whether two expressions have the same value, wherever their variables stand."""
    try:
        left, right = _Reader(one).read(), _Reader(other).read()
        names = sorted(_names(left) | _names(right))
        if _names(left) != _names(right) and len(names) > 3:
            return False
        return all(_close(_value(left, point), _value(right, point)) for point in _points(names))
    except (ArithmeticError, ValueError, RecursionError):  # no expression, or one nested too deeply
        return False


def _points(names: list[str]) -> list[dict[str, Number]]:
    count = 3 if names else 1
    signs = (1, -1, 1)
    return [
        {
            name: complex(signs[turn] * _POINTS[(index + 2 * turn) % len(_POINTS)] + index // 6)
            for index, name in enumerate(names)
        }
        for turn in range(count)
    ]


def _close(one: Number, other: Number) -> bool:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    left, right = complex(one), complex(other)
    if left == right:
        return True
    return cmath.isfinite(left) and cmath.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


class _Reader:
    """Reads one expression, from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if found is None:
                raise NoValueError(text[position : position + 10])
            self._tokens.append(found[1])
            position = found.end()
        self._at = 0

    def read(self) -> Tree:
        tree = self._sum()
        if self._next is not None:
            raise NoValueError(self._next)
        return tree

    @property
    def _next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, *wanted: str) -> str | None:
        token = self._next
        if token is None or (wanted and token not in wanted):
            return None
        self._at += 1
        return token

    def _expect(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise NoValueError(f"{wanted} is missing")

    def _sum(self) -> Tree:
        tree = self._product()
        while sign := self._take("+", "-"):
            tree = (sign, tree, self._product())
        return tree

    def _product(self) -> Tree:
        tree = self._signed()
        while self._next is not None and self._next not in ("+", "-", ")", "}", "]", "|", "^", "!"):
            operator = self._take("*", "/", "\\div") or "*"
            tree = ("/" if operator == "\\div" else operator, tree, self._signed())
        return tree

    def _signed(self) -> Tree:
        negative = False
        while sign := self._take("+", "-"):
            negative ^= sign == "-"
        tree = self._power()
        return ("negative", tree) if negative else tree

    def _power(self) -> Tree:
        tree = self._atom()
        while self._take("!"):
            tree = ("!", tree)
        if self._take("^"):
            sign = self._take("-")
            exponent = self._power() if self._next != "{" else self._group()
            tree = ("^", tree, ("negative", exponent) if sign else exponent)
        return tree

    def _group(self) -> Tree:
        """Return what a command is given: braces, or one digit or letter as TeX takes it."""
        if self._take("{"):
            tree = self._sum()
            self._expect("}")
            return tree
        return self._atom()

    def _atom(self) -> Tree:
        word = self._take()
        if word is None:
            raise NoValueError("it ends too early")
        if word[0].isdecimal() or word[0] == ".":
            return self._mixed(Fraction(word if word[0] != "." else f"0{word}"))
        for opening, closing in (("(", ")"), ("{", "}"), ("[", "]"), ("|", "|")):
            if word == opening:
                tree = self._sum()
                self._expect(closing)
                return ("absolute", tree) if word == "|" else tree
        if word == "\\frac":
            return ("/", self._group(), self._group())
        if word == "\\sqrt":
            return self._root()
        if word in _FUNCTIONS:
            return (word, self._power())
        if word in _CONSTANTS or word.isalpha():
            return ("name", word)
        raise NoValueError(word)

    def _mixed(self, whole: Fraction) -> Tree:
        r"""Return a number; `2\frac{1}{3}` is two and a third."""
        pattern = ["\\frac", "{", None, "}", "{", None, "}"]
        rest = self._tokens[self._at : self._at + len(pattern)]
        if whole.denominator == 1 and len(rest) == len(pattern):
            fits = zip(rest, pattern, strict=True)
            if all(
                token == given or (given is None and token.isdecimal()) for token, given in fits
            ):
                self._at += len(pattern)
                part = ("/", ("number", Fraction(rest[2])), ("number", Fraction(rest[5])))
                return ("+", ("number", whole), part)
        return ("number", whole)

    def _root(self) -> Tree:
        degree: Tree = ("number", Fraction(2))
        if self._take("["):
            degree = self._sum()
            self._expect("]")
        return ("root", self._group(), degree)


def _names(tree: Tree) -> set[str]:
    if tree[0] == "name":
        return set() if tree[1] in _CONSTANTS else {tree[1]}
    return set().union(*(_names(part) for part in tree[1:] if isinstance(part, tuple)))


def _value(tree: Tree, names: Mapping[str, Number]) -> Number:
    operator = tree[0]
    if operator == "number":
        return Fraction(tree[1])
    if operator == "name":
        return names[tree[1]] if tree[1] in names else _CONSTANTS[tree[1]]
    values = [_value(part, names) for part in tree[1:]]
    if operator in _FUNCTIONS:
        return complex(_FUNCTIONS[operator](complex(values[0])))
    found: Number = _OPERATIONS[operator](*values)
    return found


def _power_of(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent.denominator == 1 and bits * abs(exponent.numerator) <= MOST_BITS:
            return base ** int(exponent)
    return complex(base) ** complex(exponent)


def _root_of(value: Number, degree: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0 and degree == 2:
        found = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if found * found == value:
            return found
    if isinstance(value, Fraction) and value < 0 and degree == 3:
        return -(complex(-value) ** (1 / 3))
    return complex(value) ** (1 / complex(degree))


def _factorial(value: Number) -> Number:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 1000:
        raise NoValueError("no factorial")
    return Fraction(math.factorial(int(value)))


def _exact(operation: Any) -> Any:
    """Return an operation that goes on with floats where fractions would grow too large."""

    def apply(one: Number, other: Number) -> Number:
        both = isinstance(one, Fraction) and isinstance(other, Fraction)
        if not both:
            return complex(operation(complex(one), complex(other)))
        found: Number = operation(one, other)
        assert isinstance(found, Fraction)
        is_small = max(found.numerator.bit_length(), found.denominator.bit_length()) <= MOST_BITS
        return found if is_small else complex(found)

    return apply


_OPERATIONS: Mapping[str, Any] = {
    "+": _exact(lambda one, other: one + other),
    "-": _exact(lambda one, other: one - other),
    "*": _exact(lambda one, other: one * other),
    "/": _exact(lambda one, other: one / other),
    "^": _power_of,
    "root": _root_of,
    "!": _factorial,
    "negative": lambda value: -value,
    "absolute": lambda value: abs(value) if isinstance(value, Fraction) else complex(abs(value)),
}
