"""What of a module stands around its functions, and what only tries them out.

Owns the choice of statements: imports, classes and whatever the functions use are kept; prints,
asserts, example calls and `if __name__` are left out, with the values that only they use.
"""

import ast
from collections.abc import Sequence
from typing import Literal

from agentflow_planners.functions.node import Function
from agentflow_planners.functions.text.scopes import bound_names, open_names

_Verdict = Literal["keep", "leave", "if used"]

_TALK = frozenset({"print", "input", "breakpoint", "exit", "quit", "help", "exec", "eval"})
_RUNS = frozenset(
    {
        "doctest.testmod",
        "unittest.main",
        "pytest.main",
        "asyncio.run",
        "sys.exit",
        "sys.stdout.write",
    }
)
_Definition = Function | ast.ClassDef | ast.Import | ast.ImportFrom
_Leaving = ast.Return | ast.Yield | ast.YieldFrom | ast.Await | ast.AsyncFor | ast.AsyncWith


def kept_setup(statements: Sequence[ast.stmt], functions: Sequence[Function]) -> list[ast.stmt]:
    """Return those top-level statements, in order, that are more than a try-out of the functions."""
    names = frozenset(node.name for node in functions)
    imported = {name for node in statements if _is_import(node) for name in bound_names(node)}
    bound = imported | {name for node in statements for name in bound_names(node)}
    verdicts = [_verdict(node, names, bound) for node in statements]
    kept = [verdict == "keep" for verdict in verdicts]
    used = {name for node in functions for name in open_names(node)}
    while True:
        used |= {
            name
            for node, is_in in zip(statements, kept, strict=True)
            if is_in
            for name in open_names(node) - _counted(node)
        }
        more = [
            index
            for index, node in enumerate(statements)
            if not kept[index]
            and verdicts[index] == "if used"
            and (_touched(node) - imported) & used
        ]
        if not more:
            return [node for node, is_in in zip(statements, kept, strict=True) if is_in]
        for index in more:
            kept[index] = True


def _verdict(node: ast.stmt, names: frozenset[str], bound: set[str]) -> _Verdict:
    if isinstance(node, _Definition):
        return "keep"
    if isinstance(node, ast.Assert | ast.Pass) or _is_entry(node) or _leaves(node):
        return "leave"
    tries = _tries_out(node, names)
    if isinstance(node, ast.Expr):
        call = node.value
        if not isinstance(call, ast.Call) or _dotted(call.func) in _RUNS:
            return "leave"
        if _root(call.func) not in bound or (tries and isinstance(call.func, ast.Name)):
            return "leave"
    return "if used" if tries else "keep"


def _tries_out(node: ast.stmt, names: frozenset[str]) -> bool:
    """Return whether a statement uses the module's functions, or talks to a person, as it runs."""
    found = (item for item in ast.walk(node) if isinstance(item, ast.Name))
    return any(item.id in names or item.id in _TALK for item in found)


def _is_entry(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(item, ast.Name) and item.id == "__name__" for item in ast.walk(node.test)
    )


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _leaves(node: ast.stmt) -> bool:
    """Return whether a statement stands in no function but should: text cut out of one."""
    waiting: list[ast.AST] = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Leaving):
            return True
        if not isinstance(item, Function | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(item)
    return False


def _touched(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds, or whose value it may change."""
    found: set[str] = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Attribute | ast.Subscript) and not isinstance(item.ctx, ast.Load):
            found.add(_root(item))
        elif isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute):
            found.add(_root(item.func))
    return (found | bound_names(node)) - {"", *_counted(node)}


def _counted(node: ast.stmt) -> frozenset[str]:
    """Return the names that a loop counts with: nobody else means them."""
    return bound_names(ast.Expr(node.target)) if isinstance(node, ast.For) else frozenset()


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join([_root(node), *parts])
