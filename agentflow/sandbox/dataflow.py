"""Rewrite a program so that host calls which do not need each other overlap.

Owns the rewrite. Three functions of the host take the place of a call `f(x)` of an unwritten one:

- `__af_issue("f", line, x)` starts the call and gives a handle at once. A handle may be assigned,
  collected, or passed straight to another issue, for which the host waits; nothing else.
- `__af_wait(handles)` gives the value of a handle, or of each in a list, set or dictionary.
- `__af_call("f", line, x)` is both in one: an ordinary call.

So `a = f(x); b = g(y); c = h(a); return b + c` issues f, g and h, and waits only where Python itself
needs a value. Variables that hold a handle are tracked within straight-line code; whatever branches,
loops or catches is entered, and left, with none pending, so an exception surfaces in the `try` that
it belongs to. The result is that of plain sequential Python for calls without effects on each other;
only which of two errors of one block comes first may differ.
"""

import ast
from collections.abc import Iterable
from typing import TypeVar, cast

from agentflow.errors import ProgramError
from agentflow.sandbox.names import parse, unresolved
from agentflow.sandbox.simplify import Mapped, Plain

PREFIX = "__af_"
ISSUE, WAIT, CALL, MAIN = "__af_issue", "__af_wait", "__af_call", "__af_main"

Node = TypeVar("Node", bound=ast.AST)

_CONSUMERS = frozenset({"sum", "list", "tuple", "set", "sorted", "max", "min", "dict"})
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp


class Rewritten:
    """The program as the sandbox runs it. `line_of` gives the line as written for one of its lines."""

    def __init__(self, source: str, lines: dict[int, int]) -> None:
        self.source, self._lines = source, lines

    def line_of(self, line: int) -> int | None:
        """Return the line in the program as written; None for lines that are only ours."""
        return self._lines.get(line)


def rewrite(code: str, inputs: Iterable[str], *, parallel: bool) -> Rewritten:
    """Return the program as one function of its inputs, and a call of it.

    Raises:
        ProgramError: It does not parse, or uses names that belong to the host.
    """
    names = tuple(inputs)
    tree = parse(code)
    _refuse_our_names(tree)
    Plain().visit(tree)
    found = unresolved(tree, names)
    hosted = {id(call) for call in found.calls if not _is_dunder(call)}
    loose = {id(name): name.id for name in found.reads}
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        tree.body[-1] = ast.copy_location(ast.Return(value=last.value), last)
    Mapped(loose, hosted).visit(tree)
    body = _Block(hosted, parallel=parallel).statements(tree.body)
    main = ast.parse(f"def {MAIN}({', '.join(names)}): pass\n{MAIN}({', '.join(names)})")
    function = main.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = body or function.body
    ast.fix_missing_locations(main)
    source = ast.unparse(main)
    return Rewritten(source, _line_map(main, source))


def _is_dunder(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id.startswith("__")


def _refuse_our_names(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        name = (
            getattr(node, "id", None) or getattr(node, "name", None) or getattr(node, "arg", None)
        )
        if isinstance(name, str) and name.startswith(PREFIX):
            line = getattr(node, "lineno", None)
            message = f"the name {name!r} is reserved"
            raise ProgramError(
                phase="parse", name="NameError", message=message, line=line, report=message
            )


def _line_map(tree: ast.Module, source: str) -> dict[int, int]:
    """Pair the rewritten tree, which knows the lines as written, with the same tree parsed again."""
    pairs = zip(ast.walk(tree), ast.walk(ast.parse(source)), strict=False)
    lines: dict[int, int] = {}
    for ours, again in pairs:
        if isinstance(ours, ast.stmt) and isinstance(again, ast.stmt) and hasattr(ours, "af_line"):
            lines.setdefault(again.lineno, ours.af_line)
    return lines


class _Block:
    """Rewrites one block after another; `_pending` are the waits that are still owed."""

    def __init__(self, hosted: set[int], *, parallel: bool) -> None:
        self._hosted, self._parallel = hosted, parallel
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
        if not self._parallel or not isinstance(
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
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(node, field, None)
            if isinstance(inner, list) and inner and isinstance(inner[0], ast.stmt):
                setattr(node, field, self.statements(inner))
        for holder in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            holder.body = self.statements(holder.body)
        return [*before, self._called(node)]

    def _plain_statement(self, node: ast.stmt) -> list[ast.stmt]:
        before = self._settle(_names(node))
        if isinstance(node, ast.Return):
            ended = self._called(node)
            if not self._pending:
                return [*before, ended]
            kept = self._temporary()
            value = ended.value or ast.Constant(value=None)
            settled = self._settle_all()
            return [*before, _assign(kept, value), *settled, ast.Return(value=_load(kept))]
        return [*before, self._called(node)]

    def _issued_statement(self, node: ast.stmt) -> list[ast.stmt] | None:
        """Return the statement as an issue whose wait is owed, or None if it cannot be one."""
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign):
            if len(node.targets) != 1 or not _is_plain_target(node.targets[0]):
                return None
            target: ast.expr | None = node.targets[0]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            target = node.target
        elif isinstance(node, ast.Expr):
            target = None
        else:
            return None
        if value is None or not self._can_issue(value):
            return None
        before = self._settle(self._needed(value) | _names(target))
        handle = self._temporary()
        wait = _call(WAIT, [_load(handle)])
        owed: ast.stmt = (
            ast.Expr(value=wait) if target is None else ast.Assign(targets=[target], value=wait)
        )
        owed.af_line = node.lineno  # type: ignore[attr-defined]
        issue = _assign(handle, self._issue(value))
        for name in _names(target) or {handle}:
            self._pending[name] = owed
            self._handles.pop(name, None)
        if isinstance(target, ast.Name):
            self._handles[target.id] = handle
        return [*before, issue]

    def _can_issue(self, node: ast.expr) -> bool:
        if id(node) in self._hosted:
            return True
        if not isinstance(node, _Comprehension):
            return False
        element = node.value if isinstance(node, ast.DictComp) else node.elt
        parts = [part for generator in node.generators for part in (generator.iter, *generator.ifs)]
        if isinstance(node, ast.DictComp):
            parts.append(node.key)
        assert isinstance(element, ast.expr)
        rest = [
            child
            for child in ast.iter_child_nodes(element)
            if child is not getattr(element, "func", None)
        ]
        return id(element) in self._hosted and not any(
            self._calls_in(part) for part in [*parts, *rest]
        )

    def _issue(self, node: ast.expr) -> ast.expr:
        """Return the expression with its host calls issued, handles passed on as they are."""
        if isinstance(node, ast.DictComp):
            node.value = self._issue(node.value)
            return node
        if isinstance(node, ast.ListComp | ast.SetComp):
            node.elt = self._issue(node.elt)
            # Handles of equal calls differ, so a set of them would keep what the set of values drops.
            return node
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        args = [self._argument(item) for item in node.args]
        keywords = [
            ast.keyword(arg=word.arg, value=self._argument(word.value)) for word in node.keywords
        ]
        return _host(ISSUE, node, args, keywords)

    def _argument(self, node: ast.expr) -> ast.expr:
        if id(node) in self._hosted:
            return self._issue(node)
        if isinstance(node, ast.Name) and node.id in self._pending and node.id in self._handles:
            return _load(self._handles[node.id])
        return self._called(node)

    def _needed(self, node: ast.expr) -> set[str]:
        """Return the names whose values, not handles, the issue of `node` needs."""
        if id(node) not in self._hosted:
            return _names(node)
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
        finder = _Hoistable(self)
        finder.visit(expression)
        if not finder.calls or finder.is_impure:
            return []
        before: list[ast.stmt] = []
        for call in finder.calls:
            before += self._settle(self._needed(call))
            handle = self._temporary()
            before.append(_assign(handle, self._issue(call)))
            finder.replace[id(call)] = _call(WAIT, [_load(handle)])
        field = "test" if isinstance(node, ast.Assert) else "value"
        setattr(node, field, _Replace(finder.replace).visit(expression))
        return before

    def _called(self, node: Node) -> Node:
        """Return the node with every host call left in it made in place."""
        return cast("Node", _InPlace(self._hosted).visit(node))

    def _calls_in(self, node: ast.AST) -> bool:
        return any(id(item) in self._hosted for item in ast.walk(node))

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


class _Hoistable(ast.NodeVisitor):
    """Collects the host calls that are evaluated for certain, and sees whether anything else may act."""

    def __init__(self, block: _Block) -> None:
        self._block = block
        self.calls: list[ast.expr] = []
        self.replace: dict[int, ast.expr] = {}
        self.is_impure = False

    def visit(self, node: ast.AST) -> None:
        match node:
            case ast.Call() if id(node) in self._block._hosted:
                self.calls.append(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp():
                self._comprehension(node)
            case ast.GeneratorExp():
                self.is_impure |= self._block._calls_in(node)
            case ast.Call(
                func=ast.Name(id=name), args=[ast.GeneratorExp() as only], keywords=[]
            ) if name in _CONSUMERS and name != "dict":
                listed = ast.copy_location(
                    ast.ListComp(elt=only.elt, generators=only.generators), only
                )
                node.args = [listed]
                self._comprehension(listed)
            case ast.BoolOp() | ast.IfExp() | ast.Compare(ops=[_, _, *_]):
                # Later parts may not be evaluated: their calls stay in place, behind those hoisted.
                self.is_impure |= self._block._calls_in(node)
            case ast.Lambda():
                pass
            case ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom():
                self.is_impure = True
            case ast.Call(func=ast.Name(id=name)) if name in _PURE:
                self.generic_visit(node)
            case ast.Call():
                self.is_impure = (
                    True  # a method or the program's own function may change what is read
                )
            case _:
                self.generic_visit(node)

    def _comprehension(self, node: _Comprehension) -> None:
        if self._block._can_issue(node):
            self.calls.append(node)
        elif self._block._calls_in(node):
            self.is_impure = True


_PURE = frozenset(
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
        "list",
        "max",
        "min",
        "pow",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "zip",
    ]
)


class _Replace(ast.NodeTransformer):
    def __init__(self, replace: dict[int, ast.expr]) -> None:
        self._replace = replace

    def visit(self, node: ast.AST) -> ast.AST:
        found = self._replace.get(id(node))
        if found is not None:
            return found
        return cast("ast.AST", super().visit(node))


class _InPlace(ast.NodeTransformer):
    """Turns the remaining host calls into ordinary ones."""

    def __init__(self, hosted: set[int]) -> None:
        self._hosted = hosted

    def visit_Call(self, node: ast.Call) -> ast.AST:
        is_hosted = id(node) in self._hosted
        self.generic_visit(node)
        return _host(CALL, node, node.args, node.keywords) if is_hosted else node


def _host(
    function: str, call: ast.Call, args: list[ast.expr], keywords: list[ast.keyword]
) -> ast.expr:
    assert isinstance(call.func, ast.Name)
    head: list[ast.expr] = [ast.Constant(value=call.func.id), ast.Constant(value=call.lineno)]
    made = ast.Call(func=_load(function), args=head + args, keywords=keywords)
    return ast.copy_location(made, call)


def _call(function: str, args: list[ast.expr]) -> ast.Call:
    return ast.Call(func=_load(function), args=args, keywords=[])


def _load(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value)


def _names(node: ast.AST | None) -> set[str]:
    """Return every name read or written in a node, nested functions included."""
    return (
        set()
        if node is None
        else {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    )


def _is_plain_target(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(isinstance(item, ast.Name) for item in target.elts)
    return isinstance(target, ast.Name)
