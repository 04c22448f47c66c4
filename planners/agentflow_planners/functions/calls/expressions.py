"""Read single Python expressions out of text that holds anything.

Owns what counts as a call and as a value in documentation and replies: an expression of at most
MAX_CHARS whose names are all known. Nothing is evaluated; text that is no such expression is None.
"""

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from itertools import islice

from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.text.layout import read_tree

MAX_CHARS = 2_000
_MAX_FOUND = 500  # calls looked at in one text
_MAX_DEPTH = 60  # what recurses over a tree needs some frames for each level
_EFFECTS = {
    "breakpoint", "compile", "copyright", "credits", "delattr", "eval", "exec", "exit", "globals",
    "help", "input", "license", "locals", "memoryview", "open", "print", "quit", "setattr", "vars",
    "__import__",
}  # fmt: skip
BUILTINS = frozenset(dir(builtins)) - _EFFECTS
BUILTIN_TYPES = frozenset(name for name in BUILTINS if isinstance(getattr(builtins, name), type))
_OPENING, _CLOSING = "([{", ")]}"
_PLAIN = (
    ast.List, ast.Tuple, ast.Set, ast.Dict, ast.BinOp, ast.operator, ast.UnaryOp, ast.USub,
    ast.UAdd, ast.Invert, ast.keyword, ast.expr_context,
)  # fmt: skip
_SPELLED = {"true": "True", "false": "False", "null": "None", "none": "None"}
_SPELLED |= {"nan": "float('nan')", "inf": "float('inf')"}


def parsed(text: str) -> ast.expr | None:
    """Return the expression that text is; None when it is none, too long or nested too deeply."""
    if len(text) > MAX_CHARS:
        return None
    found = statements(text.strip())
    return found[0].value if len(found) == 1 and isinstance(found[0], ast.Expr) else None


def statements(text: str) -> list[ast.stmt]:
    """Return the statements that text is; none when it does not parse or nests too deeply."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the text's own escapes and comparisons
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    level: list[ast.AST] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return [] if level else tree.body


def written(expression: ast.expr) -> str | None:
    """Return an expression as one line of source; None when it nests too deeply or is too long."""
    try:
        text = ast.unparse(expression)
    except (RecursionError, ValueError):
        return None
    return text if len(text) <= MAX_CHARS else None


def as_call(text: str) -> ast.Call | None:
    """Return the call that text is."""
    found = parsed(text)
    return found if isinstance(found, ast.Call) else None


def calls_name(expression: ast.AST, name: str) -> bool:
    """Return whether the function `name` is called anywhere inside."""
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == name
        for part in ast.walk(expression)
    )


def free_names(expression: ast.AST) -> set[str]:
    """Return the names that an expression reads and does not bind itself."""
    read: set[str] = set()
    bound: set[str] = set()
    for part in ast.walk(expression):
        if isinstance(part, ast.Name):
            (read if isinstance(part.ctx, ast.Load) else bound).add(part.id)
        elif isinstance(part, ast.arg):
            bound.add(part.arg)
    return read - bound


def names_of_setup(setup: str) -> frozenset[str]:
    """Return the names that the top-level statements of a node's setup bind."""
    return frozenset(name for statement in read_tree(setup).body for name in _bound(statement))


def known_names(node: FunctionNode) -> frozenset[str]:
    """Return what a call of the function may name: builtins, its setup, its helpers and itself."""
    return BUILTINS | names_of_setup(node.setup) | {node.name, *node.needs}


def is_value(expression: ast.expr, setup: frozenset[str]) -> bool:
    """Return whether an expression only builds a value: literals, arithmetic, constructors."""
    heads = {id(part.func) for part in ast.walk(expression) if isinstance(part, ast.Call)}
    return all(_builds(part, id(part) in heads, setup) for part in ast.walk(expression))


def spelled(expression: ast.expr, known: frozenset[str]) -> ast.expr:
    """Return an expression with true, null, nan and the like as Python writes them."""
    return _Speller(known).visit(expression)  # type: ignore[no-any-return]


def found_calls(text: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield where each outermost call of `name` begins and ends, be it an expression or not."""
    position = 0
    matches = re.finditer(rf"(?<![\w.]){re.escape(name)}\(", text)
    for match in islice(matches, _MAX_FOUND):
        if match.start() < position:
            continue
        end = closing(text, match.end() - 1)
        if end is not None:
            yield match.start(), end
            position = end


def closing(text: str, start: int) -> int | None:
    """Return the position after the bracket that closes the one at `start`."""
    depth, quote, index = 0, "", start
    while index < min(len(text), start + MAX_CHARS):
        char = text[index]
        if quote:
            index += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1
    return None


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).split(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
    else:
        yield from (
            part.id
            for part in ast.walk(statement)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        )


def _builds(part: ast.AST, is_called: bool, setup: frozenset[str]) -> bool:
    match part:
        case ast.Constant(value=value):
            return value is not ...
        case ast.Name(id=name):
            return name in setup or (is_called and name in BUILTIN_TYPES)
        case ast.Call(func=ast.Name() | ast.Attribute()) | ast.Attribute(value=ast.Name()):
            return True
    return isinstance(part, _PLAIN)


class _Speller(ast.NodeTransformer):
    def __init__(self, known: frozenset[str]) -> None:
        self._known = known

    def visit_Name(self, name: ast.Name) -> ast.expr:
        if name.id in self._known or name.id not in _SPELLED:
            return name
        return ast.parse(_SPELLED[name.id], mode="eval").body
