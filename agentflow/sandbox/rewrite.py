"""Prepare a program for the sandbox, and find its lines as written again.

Owns the order of the steps: parse, refuse names that belong to the host, simplify, find the calls
that the host answers, let them overlap, and wrap all into one function of the inputs.
"""

import ast
from collections.abc import Iterable, Iterator

from agentflow.errors import ProgramError
from agentflow.sandbox.dataflow import Block, Program
from agentflow.sandbox.names import bound_anywhere, captured, parse_program, too_deep, unresolved
from agentflow.sandbox.nodes import MAIN, PREFIX, Hosted
from agentflow.sandbox.simplify import Mapped, Plain


class Rewritten:
    """The program as the sandbox runs it. `unwritten` are names that it reads but nobody defines."""

    def __init__(self, source: str, lines: dict[int, int], unwritten: frozenset[str]) -> None:
        self.source, self.unwritten = source, unwritten
        self._lines = lines

    def line_of(self, line: int) -> int | None:
        """Return the line in the program as written; None for lines that are only ours."""
        return self._lines.get(line)


def rewrite(code: str, inputs: Iterable[str], *, parallel: bool) -> Rewritten:
    """Return the program as one function of its inputs, and a call of it.

    Raises:
        ProgramError: It does not parse, or uses names that belong to the host.
    """
    tree = parse_program(code)
    try:
        return _rewritten(tree, tuple(inputs), parallel=parallel)
    except RecursionError as error:
        raise too_deep() from error


def _rewritten(tree: ast.Module, inputs: tuple[str, ...], *, parallel: bool) -> Rewritten:
    _refuse_our_names(tree)
    Plain(tree).visit(tree)
    found = unresolved(tree, inputs)
    hosted: Hosted = {id(call): call for call in found.calls if not _is_dunder(call)}
    loose = {id(name): name.id for name in found.reads}
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        tree.body[-1] = ast.copy_location(ast.Return(value=last.value), last)
    Mapped(loose, hosted).visit(tree)
    program = Program(
        hosted=hosted,
        captured=captured(tree),
        own=bound_anywhere(tree),
        catches=any(isinstance(node, ast.Try | ast.With) for node in ast.walk(tree)),
        parallel=parallel,
    )
    main = ast.parse(f"def {MAIN}({', '.join(inputs)}): pass\n{MAIN}({', '.join(inputs)})")
    function = main.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = Block(program).statements(tree.body) or function.body
    ast.fix_missing_locations(main)
    source = ast.unparse(main)
    return Rewritten(source, _line_map(main, source), frozenset(loose.values()))


def _is_dunder(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id.startswith("__")


def _refuse_our_names(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        for field in ("id", "name", "arg", "asname", "attr", "rest"):
            name = getattr(node, field, None)
            if isinstance(name, str) and name.startswith(PREFIX):
                message = f"the name {name!r} is reserved"
                line = getattr(node, "lineno", None)
                raise ProgramError(
                    phase="parse", name="NameError", message=message, line=line, report=message
                )


def _line_map(tree: ast.Module, source: str) -> dict[int, int]:
    """Pair the rewritten tree, which knows the lines as written, with the same tree parsed again."""
    lines: dict[int, int] = {}
    for ours, again in zip(_statements(tree), _statements(parse_program(source)), strict=True):
        if hasattr(ours, "af_line"):
            lines.setdefault(again.lineno, ours.af_line)
    return lines


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements below a node: these have the same order however expressions are spelt."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _statements(child)
