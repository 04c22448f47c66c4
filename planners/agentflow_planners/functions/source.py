"""Read the functions out of Python text, to the letter, and out of a model's reply.

Owns the way from text to nodes. Nothing is executed and nothing is formatted: every function and
every statement is cut out of the text as it stands. What is left out is said in `toplevel.py`.
"""

import ast
import bisect
import inspect
import re
import token
from collections.abc import Collection, Sequence

from pydantic import BaseModel, ConfigDict

from agentflow_planners.functions.node import Function, FunctionNode, is_unfinished
from agentflow_planners.functions.text.annotations import fit, is_same_expression
from agentflow_planners.functions.text.layout import (
    column,
    normal,
    read_tree,
    shifted,
    string_lines,
    tokens,
    unreadable,
)
from agentflow_planners.functions.text.replies import programs_in
from agentflow_planners.functions.text.scopes import open_names
from agentflow_planners.functions.text.toplevel import kept_setup

MAX_FUNCTIONS = 500
_TODO = re.compile(r"#.*\b(?:TODO|FIXME)\b", re.IGNORECASE)


class Module(BaseModel):
    """Python text, read: `setup` is every statement that is no function, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    setup: tuple[str, ...] = ()
    functions: tuple[FunctionNode, ...] = ()

    def function(self, name: str) -> FunctionNode | None:
        """Return the function of that name."""
        return next((node for node in self.functions if node.name == name), None)


def read_module(source: str) -> Module:
    """Return the functions of a module, each once: of several versions the last written one.

    Overloads are declarations only and are left out; a function that a decorator of another one
    registers (`@f.register`) stays with the setup.

    Raises:
        ProgramError: The source does not parse, is too long or nests too deeply.
    """
    text = normal(source)
    tree = read_tree(text)
    if sum(isinstance(node, Function) for node in tree.body) > MAX_FUNCTIONS:
        raise unreadable(f"more than {MAX_FUNCTIONS} functions in one module")
    lines = _Lines(text)
    plain = _plain(tree)
    functions = _functions(plain, lines)
    taken = set(map(id, plain))
    others = [node for node in tree.body if id(node) not in taken]
    kept = kept_setup(others, list(functions.values()))
    setup = tuple(lines.statement(node, tree.body) for node in kept)
    around = "\n".join(setup)
    nodes = [
        _node(node, lines, tree.body, setup=around, names=frozenset(functions))
        for node in functions.values()
    ]
    return Module(setup=setup, functions=tuple(nodes))


def read_reply(text: str) -> Module:
    """Return what a model wrote: prose, fences of other languages and broken ones left out.

    The reply may begin inside a fence, end inside one, or have none. Of what is cut short, the
    statements that are whole are read.

    Raises:
        ProgramError: It holds no Python.
    """
    module = read_module("\n\n".join(programs_in(normal(text))))
    if not module.functions and not module.setup:
        raise unreadable("the reply holds no code")
    return module


def statements(text: str) -> list[tuple[ast.stmt, str]]:
    """Return the top-level statements of a module, each with its text and the comments above it.

    Raises:
        ProgramError: The text does not parse.
    """
    tree, lines = read_tree(text), _Lines(normal(text))
    return [(node, lines.statement(node, tree.body)) for node in tree.body]


def is_stub(node: ast.AST) -> bool:
    """Return whether a function only holds the place of one: no statement of it does anything."""
    return isinstance(node, Function) and is_unfinished(node.body)


def same_signature(a: FunctionNode, b: FunctionNode) -> bool:
    """Return whether two functions are called alike: names, kinds and defaults of the parameters.

    Annotations count where both have them; `List[int]`, `list[int]` and `list` are one type, and so
    are `Optional[int]` and `int | None`.
    """
    if a.is_async != b.is_async or len(a.parameters) != len(b.parameters):
        return False
    pairs = zip(a.parameters, b.parameters, strict=True)
    return fit(a.returns, b.returns) and all(
        (one.name, one.kind) == (other.name, other.kind)
        and is_same_expression(one.default, other.default)
        and fit(one.annotation, other.annotation)
        for one, other in pairs
    )


class _Lines:
    """A module's text by lines, and how to cut statements out of it."""

    def __init__(self, text: str) -> None:
        self.all = text.split("\n")
        self.in_strings = string_lines(text)

    def first(self, node: ast.stmt) -> int:
        """Return the line, from 1, on which a statement begins: that of its first decorator."""
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        return min([node.lineno, *(item.lineno for item in decorators)])

    def statement(self, node: ast.stmt, body: Sequence[ast.stmt]) -> str:
        """Return a statement with the comments directly above it and at its end."""
        start, last = self.first(node), node.end_lineno or node.lineno
        place = bisect.bisect_left(body, (node.lineno, node.col_offset), key=_place)
        before = (body[place - 1].end_lineno or 0) if place else 0
        after = self.first(body[place + 1]) if place + 1 < len(body) else last + 1
        taken = self.all[start - 1 : last]
        if after == last:
            taken[-1] = taken[-1][: column(taken[-1], node.end_col_offset or 0)]
        if before == start:
            taken[0] = taken[0][column(self.all[start - 1], node.col_offset) :]
            return "\n".join(taken)
        return "\n".join([*self._comments(start, before), *taken])

    def block(self, first: int, last: int, prefix: str) -> str:
        """Return lines moved left by `prefix`."""
        inside = (
            number - first + 1 for number in range(first, last + 1) if number in self.in_strings
        )
        kept = frozenset(inside)
        return shifted(self.all[first - 1 : last], prefix, kept)

    def _comments(self, start: int, before: int) -> list[str]:
        above = start - 1
        while above > before and self.all[above - 1].startswith("#"):
            above -= 1
        return self.all[above : start - 1]


def _place(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _functions(plain: Sequence[Function], lines: _Lines) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for node in plain:
        earlier = found.get(node.name)
        if earlier is None or not _is_stub_text(node, lines) or _is_stub_text(earlier, lines):
            found[node.name] = node
    return found


def _plain(tree: ast.Module) -> list[Function]:
    """Return the functions that are known by their own names."""
    found = [node for node in tree.body if isinstance(node, Function)]
    names = {node.name for node in found}
    return [node for node in found if node.name != "_" and not _registers(node, names)]


def _registers(node: Function, names: Collection[str]) -> bool:
    """Return whether a decorator is an attribute of another function, such as `@f.register`."""
    parts = (part for item in node.decorator_list for part in ast.walk(item))
    return any(
        isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.value.id in names
        for part in parts
    )


def _is_stub_text(node: Function, lines: _Lines) -> bool:
    """Return whether a function is a stub, or returns a constant where a comment says TODO."""
    if is_unfinished(node.body):
        return True
    rest = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    match rest:
        case [ast.Return(value=None | ast.Constant() | ast.List(elts=[]) | ast.Dict(keys=[]))]:
            text = lines.all[node.lineno - 1 : node.end_lineno]
            return any(_TODO.search(line) for line in text)
    return False


def _node(
    node: Function,
    lines: _Lines,
    body: Sequence[ast.stmt],
    *,
    setup: str,
    names: frozenset[str],
) -> FunctionNode:
    line, end = _colon(node, lines)
    whole = lines.statement(node, body).split("\n")
    last = node.end_lineno or node.lineno
    head = whole[: len(whole) - (last - line)]
    is_one_line = line == last or lines.first(node.body[0]) == line
    head[-1] = lines.all[line - 1][:end]
    doc = ast.get_docstring(node, clean=False)
    inside = _body(node, lines, line, is_one_line=is_one_line, has_doc=doc is not None)
    note = lines.all[line - 1][end:].strip()
    if note.startswith("#"):
        inside = f"{note}\n{inside}"
    is_written = not _is_stub_text(node, lines)
    words = _cleaned(doc or "") or ("" if is_written else _said(node, inside))
    return FunctionNode(
        name=node.name,
        signature="\n".join(head),
        doc=words,
        setup=setup,
        needs=tuple(sorted((open_names(node) & names) - {node.name})),
        body=inside if is_written else None,
    )


def _colon(node: Function, lines: _Lines) -> tuple[int, int]:
    """Return the line and the end of the colon that closes the signature."""
    first = node.body[0]
    last = lines.first(first)
    column_of_body = 0 if last < first.lineno else column(lines.all[last - 1], first.col_offset)
    found = (node.lineno, len(lines.all[node.lineno - 1]))
    for item in tokens("\n".join(lines.all[node.lineno - 1 : last])):
        place = (item.start[0] + node.lineno - 1, item.start[1])
        if place >= (last, column_of_body):
            break
        if item.type == token.OP and item.string == ":":
            found = (place[0], place[1] + 1)
    return found


def _body(node: Function, lines: _Lines, colon: int, *, is_one_line: bool, has_doc: bool) -> str:
    """Return the statements after the docstring, with the comments between."""
    first = node.body[0]
    before = (first.end_lineno or first.lineno) if has_doc else colon
    rest = node.body[1:] if has_doc else node.body
    last = node.end_lineno or node.lineno
    prefix = "" if is_one_line else _prefix(lines.all[lines.first(first) - 1])
    if not rest:
        return lines.block(before + 1, last, prefix).strip("\n")
    start = lines.first(rest[0])
    if start > before:
        return lines.block(before + 1, last, prefix).strip("\n")
    begun = lines.all[start - 1]
    own = begun[column(begun, rest[0].col_offset) :]
    others = lines.block(start + 1, last, prefix)
    return f"{own}\n{others}" if last > start else own


def _cleaned(doc: str) -> str:
    return inspect.cleandoc("\n".join(line.rstrip() for line in doc.split("\n")))


def _prefix(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _said(node: Function, text: str) -> str:
    """Return what a stub says without a docstring: a string further down, or its comments."""
    for item in node.body:
        match item:
            case ast.Expr(value=ast.Constant(value=str(late))) if late.strip():
                return _cleaned(late)
    said = [line.strip().lstrip("# ") for line in text.split("\n") if line.lstrip().startswith("#")]
    return "\n".join(re.sub(r"^(?:TODO|FIXME)\b[:\s]*", "", line) for line in said).strip()
