"""Let host calls that do not need each other overlap, within straight-line code.

Owns the blocks. Three functions of the host take the place of a call `f(x)` of an unwritten one:

- `__af_issue("f", line, x)` starts the call and gives a handle at once. A handle may be assigned,
  collected, or passed straight to another issue, for which the host waits; nothing else.
- `__af_wait(handles)` gives the value of a handle, or of each in a list or set, or with `True` the
  dictionary of pairs of a key and a handle.
- `__af_call("f", line, x)` is both in one: an ordinary call.

So `a = f(x); b = g(y); c = h(a); return b + c` issues f, g and h, and waits only where Python itself
needs a value. Variables that hold a handle are tracked within straight-line code; whatever branches,
loops or catches is entered, and left, with none pending, so an exception surfaces in the `try` that
it belongs to. What nested functions share with their surroundings is never pending. The result is
that of plain sequential Python for calls without effects on each other; a program that fails may
have started calls behind the failing one, and outside of `try` either of two errors may come first.
"""

import ast
from dataclasses import dataclass
from typing import TypeVar, cast

from agentflow.sandbox.hoisting import Hoistable, can_issue
from agentflow.sandbox.nodes import (
    ISSUE,
    PREFIX,
    Hosted,
    InPlace,
    Replace,
    assign,
    host_call,
    is_plain_target,
    load,
    names_in,
    wait_for,
)

Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a block has to know of the whole.

    `captured` are the names that nested functions share with their surroundings, `own` all that the
    program binds; `catches` says whether there is a `try` or `with` anywhere.
    """

    hosted: Hosted
    captured: frozenset[str]
    own: frozenset[str]
    catches: bool
    parallel: bool


class Block:
    """Rewrites one block after another; `_pending` are the waits that are still owed."""

    def __init__(self, program: Program) -> None:
        self._program, self._hosted = program, program.hosted
        self._is_parallel = program.parallel
        self._is_guarded = False  # whether an exception of this block may be caught
        self._pending: dict[str, ast.stmt] = {}
        self._handles: dict[str, str] = {}  # which variable stands for which handle, while it pends
        self._temporaries = 0

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Return a block with nothing pending at its end."""
        outer, self._pending = self._pending, {}
        done: list[ast.stmt] = []
        for statement in body:
            line = getattr(statement, "af_line", getattr(statement, "lineno", 0))
            added = self._statement(statement)
            for new in added:
                if not hasattr(new, "af_line"):
                    new.af_line = line  # type: ignore[attr-defined]
            done += added
        done += self._settle_all()
        self._pending = outer
        return done

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        if not self._is_parallel or not isinstance(
            node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr | ast.Return | ast.Assert
        ):
            return self._compound(node)
        issued = self._issued_statement(node)
        if issued is not None:
            return issued
        before = self._hoisted(node)
        return before + self._plain_statement(node)

    def _compound(self, node: ast.stmt) -> list[ast.stmt]:
        """Enter whatever branches, loops, catches or leaves with nothing pending."""
        before = self._settle_all()
        outside = self._is_guarded, self._is_parallel
        is_function = isinstance(node, ast.FunctionDef)
        self._is_guarded |= isinstance(node, ast.Try | ast.With)
        self._is_guarded |= is_function and self._program.catches
        if isinstance(node, ast.ClassDef) or is_function:
            # A class body keeps its assignments as they are: they are its fields.
            self._is_parallel = self._program.parallel and is_function
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(node, field, None)
            if isinstance(inner, list) and inner and isinstance(inner[0], ast.stmt):
                setattr(node, field, self.statements(inner))
        for holder in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            holder.body = self.statements(holder.body)
        self._is_guarded, self._is_parallel = outside
        return [*before, self._called(node)]

    def _plain_statement(self, node: ast.stmt) -> list[ast.stmt]:
        # What may be caught comes in the order of Python: first the errors of calls before this.
        before = self._settle_all() if self._is_guarded else self._settle(names_in(node))
        if isinstance(node, ast.Return):
            ended = self._called(node)
            if not self._pending:
                return [*before, ended]
            kept = self._temporary()
            value = ended.value or ast.Constant(value=None)
            settled = self._settle_all()
            return [*before, assign(kept, value), *settled, ast.Return(value=load(kept))]
        return [*before, self._called(node)]

    def _issued_statement(self, node: ast.stmt) -> list[ast.stmt] | None:
        """Return the statement as an issue whose wait is owed, or None if it cannot be one."""
        value = getattr(node, "value", None)
        target = _single_target(node)
        if value is None or (target is None and not isinstance(node, ast.Expr)):
            return None
        if not can_issue(value, self._hosted) or names_in(target) & self._program.captured:
            return None
        before = self._before_issue(value, names_in(target))
        handle = self._temporary()
        wait = wait_for(handle, as_pairs=isinstance(value, ast.DictComp))
        owed: ast.stmt = (
            ast.Expr(value=wait) if target is None else ast.Assign(targets=[target], value=wait)
        )
        owed.af_line = node.lineno  # type: ignore[attr-defined]
        issue = assign(handle, self._issue(value))
        for name in names_in(target) or {handle}:
            self._pending[name] = owed
            self._handles.pop(name, None)
        if isinstance(target, ast.Name):
            self._handles[target.id] = handle
        return [*before, issue]

    def _before_issue(self, value: ast.expr, targets: set[str]) -> list[ast.stmt]:
        needed = self._needed(value) | targets
        is_simple = isinstance(value, ast.Call) and all(
            isinstance(item, ast.Name | ast.Constant)
            for item in (*value.args, *(word.value for word in value.keywords))
        )
        return self._settle_all() if self._is_guarded and not is_simple else self._settle(needed)

    def _issue(self, node: ast.expr) -> ast.expr:
        """Return the expression with its host calls issued, handles passed on as they are."""
        if isinstance(node, ast.DictComp):
            # A dictionary of handles would lose those under equal keys, and their errors with them.
            pair = ast.Tuple(elts=[node.key, self._issue(node.value)], ctx=ast.Load())
            return ast.copy_location(ast.ListComp(elt=pair, generators=node.generators), node)
        if isinstance(node, ast.ListComp | ast.SetComp):
            node.elt = self._issue(node.elt)  # handles differ, so a set keeps every one
            return node
        assert isinstance(node, ast.Call)
        args = [self._argument(item) for item in node.args]
        keywords = [
            ast.keyword(arg=word.arg, value=self._argument(word.value)) for word in node.keywords
        ]
        return host_call(ISSUE, node, args, keywords)

    def _argument(self, node: ast.expr) -> ast.expr:
        if id(node) in self._hosted:
            return self._issue(node)
        if isinstance(node, ast.Name) and node.id in self._pending and node.id in self._handles:
            return load(self._handles[node.id])
        return self._called(node)

    def _needed(self, node: ast.expr) -> set[str]:
        """Return the names whose values, not handles, the issue of `node` needs."""
        if id(node) not in self._hosted:
            return names_in(node)
        assert isinstance(node, ast.Call)
        needed: set[str] = set()
        for item in (*node.args, *(word.value for word in node.keywords)):
            if isinstance(item, ast.Name) and item.id in self._pending and item.id in self._handles:
                continue
            needed |= self._needed(item)
        return needed

    def _hoisted(self, node: ast.stmt) -> list[ast.stmt]:
        """Issue the host calls of a larger expression before it, where the order cannot be seen."""
        expression = getattr(node, "value", None) or getattr(node, "test", None)
        if not isinstance(expression, ast.expr) or isinstance(node, ast.AugAssign):
            return []
        finder = Hoistable(self._hosted, self._program.own)
        finder.visit(expression)
        if not finder.calls or finder.is_impure:
            return []
        before: list[ast.stmt] = []
        replace: dict[int, ast.expr] = {}
        for call in finder.calls:
            before += self._before_issue(call, set())
            handle = self._temporary()
            before.append(assign(handle, self._issue(call)))
            replace[id(call)] = wait_for(handle, as_pairs=isinstance(call, ast.DictComp))
        field = "test" if isinstance(node, ast.Assert) else "value"
        setattr(node, field, Replace(replace).visit(expression))
        return before

    def _called(self, node: Node) -> Node:
        """Return the node with every host call left in it made in place."""
        return cast("Node", InPlace(self._hosted).visit(node))

    def _settle(self, names: set[str]) -> list[ast.stmt]:
        """Return the owed waits for these names, once each, in the order of issue."""
        owed = {id(wait): wait for name, wait in self._pending.items() if name in names}
        self._pending = {name: wait for name, wait in self._pending.items() if id(wait) not in owed}
        return list(owed.values())

    def _settle_all(self) -> list[ast.stmt]:
        return self._settle(set(self._pending))

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"{PREFIX}{self._temporaries}"


def _single_target(node: ast.stmt) -> ast.expr | None:
    """Return what a statement assigns to, if it is one name or names side by side."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and is_plain_target(node.targets[0]):
        return node.targets[0]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target
    return None
