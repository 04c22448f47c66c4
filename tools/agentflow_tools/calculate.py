"""Arithmetic, for models that are bad at it."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from agentflow import tool

MAX_CHARS = 500
MAX_BITS = 4_096

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}


@tool
def calculate(expression: str) -> float:
    """Return the value of an arithmetic expression: + - * / // % **, abs, max, min, round, sqrt."""
    if len(expression) > MAX_CHARS:
        raise ValueError(f"an expression has at most {MAX_CHARS} characters")
    return float(_value(ast.parse(expression, mode="eval").body))


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.BinOp():
            return _binary(_BINARY.get(type(node.op)), _value(node.left), _value(node.right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*map(_value, node.args))
    raise ValueError(f"not arithmetic: {ast.unparse(node)}")


def _binary(apply: Callable[[Any, Any], Any] | None, left: Any, right: Any) -> Any:
    if apply is None:
        raise ValueError("that operator is not arithmetic")
    if (
        apply is operator.pow
        and isinstance(left, int)
        and abs(right) * left.bit_length() > MAX_BITS
    ):
        raise ValueError("that power is too large")
    return apply(left, right)
