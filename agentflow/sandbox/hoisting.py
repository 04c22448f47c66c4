"""Tell which host calls of an expression may start before the rest of it is evaluated.

Owns what counts as pure: only what cannot change what another part of the expression reads.
"""

import ast
from collections.abc import Set as AbstractSet

from agentflow.sandbox.nodes import Hosted, calls_in

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp

_CONSUMERS = frozenset({"sum", "list", "tuple", "set", "sorted", "max", "min"})
_PURE = _CONSUMERS | frozenset(
    [
        "abs",
        "bool",
        "bytes",
        "dict",
        "divmod",
        "enumerate",
        "float",
        "int",
        "len",
        "pow",
        "range",
        "repr",
        "reversed",
        "round",
        "str",
        "zip",
    ]
)


class Hoistable(ast.NodeVisitor):
    """Collects the host calls that are evaluated for certain; `is_impure` if anything else may act.

    `own` are the names that the program binds itself, so that they need not be Python's.
    """

    def __init__(self, hosted: Hosted, own: AbstractSet[str]) -> None:
        self._hosted, self._own = hosted, own
        self._inside = 0
        self.calls: list[ast.expr] = []
        self.is_impure = False

    def visit(self, node: ast.AST) -> None:
        """Visit one node of the expression."""
        match node:
            case ast.Call() if id(node) in self._hosted:
                self._collect(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp():
                self._comprehension(node)
            case ast.BoolOp() | ast.IfExp() | ast.GeneratorExp() | ast.Compare(ops=[_, _, *_]):
                # What may not be evaluated stays in place, and so does all that comes before it.
                self.is_impure |= calls_in(node, self._hosted)
                self.generic_visit(node)
            case ast.Lambda():
                pass
            case ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom():
                self.is_impure = True
            case ast.Call(func=ast.Name(id=name)) if name in _PURE and name not in self._own:
                self._listed(node)
                self.generic_visit(node)
            case ast.Call():
                self.is_impure = True  # a method or own function may change what is read
            case _:
                self.generic_visit(node)

    def _collect(self, node: ast.expr) -> None:
        """Take a call, once with the calls inside of it, whose other parts may not act either."""
        if not self._inside:
            self.calls.append(node)
        self._inside += 1
        self.generic_visit(node)
        self._inside -= 1

    def _comprehension(self, node: Comprehension) -> None:
        if can_issue(node, self._hosted):
            self._collect(node)
            return
        self.is_impure |= calls_in(node, self._hosted)
        self.generic_visit(node)

    def _listed(self, node: ast.Call) -> None:
        """`sum(f(x) for x in xs)` -> `sum([f(x) for x in xs])`, whose calls can be issued."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() as only, *rest]) if (
                name in _CONSUMERS
            ):
                made = ast.ListComp(elt=only.elt, generators=only.generators)
                node.args = [ast.copy_location(made, only), *rest]


def can_issue(node: ast.expr, hosted: Hosted) -> bool:
    """Return whether a node is a host call, or a comprehension of nothing but one per element."""
    if id(node) in hosted:
        return True
    if not isinstance(node, Comprehension):
        return False
    element = node.value if isinstance(node, ast.DictComp) else node.elt
    if id(element) not in hosted:
        return False
    assert isinstance(element, ast.Call)
    rest: list[ast.AST] = [*element.args, *element.keywords]
    rest += [part for generator in node.generators for part in (generator.iter, *generator.ifs)]
    rest += [node.key] if isinstance(node, ast.DictComp) else []
    return not any(calls_in(part, hosted) for part in rest)
