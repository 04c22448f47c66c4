"""Small pieces of syntax tree that the rewrite is made of.

Owns the names of the host's functions, how calls of them are written, and the two visitors that put
them in place. Knows nothing of what may overlap.
"""

import ast
from typing import cast

PREFIX = "__af_"
ISSUE, WAIT, CALL, MAIN = "__af_issue", "__af_wait", "__af_call", "__af_main"

# The calls that the host answers, by identity. Holding them keeps an identity from being used twice.
Hosted = dict[int, ast.Call]


class Replace(ast.NodeTransformer):
    """Puts other nodes in the place of some, found by identity."""

    def __init__(self, replace: dict[int, ast.expr]) -> None:
        self._replace = replace

    def visit(self, node: ast.AST) -> ast.AST:
        """Return what takes the place of the node, else the node with its children visited."""
        found = self._replace.get(id(node))
        if found is not None:
            return found
        return cast("ast.AST", super().visit(node))


class InPlace(ast.NodeTransformer):
    """Turns the remaining host calls into ordinary ones."""

    def __init__(self, hosted: Hosted) -> None:
        self._hosted = hosted

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`f(x)` -> `__af_call("f", line, x)`."""
        is_hosted = id(node) in self._hosted
        self.generic_visit(node)
        return host_call(CALL, node, node.args, node.keywords) if is_hosted else node


def calls_in(node: ast.AST, hosted: Hosted) -> bool:
    """Return whether the host answers a call somewhere in the node."""
    return any(id(item) in hosted for item in ast.walk(node))


def host_call(
    function: str, call: ast.Call, args: list[ast.expr], keywords: list[ast.keyword]
) -> ast.expr:
    """Return the call of a function of the host that stands for `call`."""
    assert isinstance(call.func, ast.Name)
    head: list[ast.expr] = [ast.Constant(value=call.func.id), ast.Constant(value=call.lineno)]
    made = ast.Call(func=load(function), args=head + args, keywords=keywords)
    return ast.copy_location(made, call)


def wait_for(handle: str, *, as_pairs: bool = False) -> ast.expr:
    """Return the wait for a handle, for a collection of them, or for the values of pairs."""
    flag: list[ast.expr] = [ast.Constant(value=True)] if as_pairs else []
    return ast.Call(func=load(WAIT), args=[load(handle), *flag], keywords=[])


def load(name: str) -> ast.Name:
    """Return the reading of a name."""
    return ast.Name(id=name, ctx=ast.Load())


def assign(name: str, value: ast.expr) -> ast.stmt:
    """Return `name = value`."""
    return ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value)


def names_in(node: ast.AST | None) -> set[str]:
    """Return every name read or written in a node, nested functions included."""
    if node is None:
        return set()
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def is_plain_target(target: ast.expr) -> bool:
    """Return whether the target is a name, or names side by side."""
    if isinstance(target, ast.Tuple | ast.List):
        return all(isinstance(item, ast.Name) for item in target.elts)
    return isinstance(target, ast.Name)
