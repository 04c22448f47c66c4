"""Arithmetic in x as text: read as a syntax tree that holds nothing else, and written as Python.

Owns which names and operators there are. Model output is hostile: what is not a number, x, an operator
or a known function is refused, so that what is evaluated in the sandbox can only be arithmetic.
"""

import ast
import re
import sys
from typing import cast

MAX_CHARS = 500
MAX_LEVELS = 40
LARGEST = sys.float_info.max
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
SIGNS = {ast.UAdd: "+", ast.USub: "-"}
CONSTANTS = {"x": "x", "pi": "math.pi", "e": "math.e"}
_TRIGONOMETRIC = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
_OF_MATH = (*_TRIGONOMETRIC, "asinh", "acosh", "atanh", "exp", "log", "sqrt", "erf")
FUNCTIONS = {name: f"math.{name}" for name in _OF_MATH} | {
    "abs": "abs",
    "ln": "math.log",
    "arcsin": "math.asin",
    "arccos": "math.acos",
    "arctan": "math.atan",
}


def arithmetic(text: str) -> str:
    """Return an expression in x in its plain form, without a constant of integration.

    Raises:
        ValueError: It is no arithmetic in x.
    """
    return ast.unparse(_tree(text))


def as_python(text: str) -> str:
    """Return the Python that evaluates an expression in x, with `math` in sight; numbers are floats.

    Raises:
        ValueError: It is no arithmetic in x.
    """
    return _python(_tree(text))


def _tree(text: str) -> ast.expr:
    plain = re.sub(r"\+\s*C\s*$", "", text.strip()).replace("^", "**")
    if not plain or len(plain) > MAX_CHARS:
        raise ValueError(f"an expression has between 1 and {MAX_CHARS} characters")
    try:
        body = ast.parse(plain, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{plain!r} is no expression") from error
    _python(body)
    return body


def _python(node: ast.expr, level: int = 0) -> str:
    """Return the Python that evaluates a tree of arithmetic; numbers are floats, so none grows."""
    if level > MAX_LEVELS:
        raise ValueError("the expression is nested too deeply")
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number) if abs(number) <= LARGEST:
            return repr(float(number))
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in SIGNS:
            return f"({SIGNS[cast('type[ast.UAdd]', type(op))]}{_python(operand, level + 1)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            sign = OPERATORS[cast("type[ast.Add]", type(op))]
            return f"({_python(left, level + 1)} {sign} {_python(right, level + 1)})"
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return f"{FUNCTIONS[name]}({_python(argument, level + 1)})"
    raise ValueError(f"{type(node).__name__} is no arithmetic in x")
