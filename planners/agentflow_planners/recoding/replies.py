"""Read a function out of a model's reply.

Owns the way from text (prose, fences, a whole `def` or just its body) to the body of the wanted
function, and the reading of comments as descriptions of the calls below them.
"""

import ast
import re
import textwrap
from collections.abc import Iterator

from agentflow.errors import ProgramError

_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)(?:\n```|```|\Z)", re.DOTALL)


def body_of(reply: str, name: str, parameters: tuple[str, ...]) -> str:
    """Return the body of function `name` as source, its own parameter names bound to ours.

    Raises:
        ProgramError: The reply holds no Python, or Python that does not parse (phase `parse`).
    """
    source = _python_in(reply)
    if not source.strip():
        raise _unreadable("the reply holds no code", None, "")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise _unreadable(error.msg, error.lineno, error.text or "") from error
    wanted = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    found = next((node for node in wanted if node.name == name), None)
    if found is None:
        return source.strip("\n")
    before = [_segment(source, node) for node in tree.body if node is not found and _is_kept(node)]
    return "\n".join([*before, *_renamed(found, parameters), _inside(source, found)])


def comment_above(source: str, line_number: int) -> str:
    """Return what the comment above or at the end of a line says; empty without one."""
    lines = source.splitlines()
    said: list[str] = []
    for line in reversed(lines[: line_number - 1]):
        if not line.strip().startswith("#"):
            break
        said.insert(0, line.strip().lstrip("# "))
    if said:
        return " ".join(said)
    trailing = (
        re.search(r"\)\s*#\s*(.+)$", lines[line_number - 1]) if line_number <= len(lines) else None
    )
    return trailing.group(1).strip() if trailing else ""


def assigned_at(source: str, line_number: int) -> str | None:
    """Return the variable that the statement at a line assigns its call to, if it is a plain one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and node.lineno <= line_number <= (node.end_lineno or 0):
            target = node.targets[0]
            return target.id if isinstance(target, ast.Name) else None
    return None


def is_used_at(source: str, line_number: int, name: str, *, at_end: bool) -> bool:
    """Return whether something is done with the value of a call, or it stands as a statement alone.

    `at_end` says what holds for the last statement, whose value is that of the whole program.
    """
    tree = ast.parse(source)
    alone = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and node.lineno <= line_number <= (node.end_lineno or 0)
        and _called(node.value) == name
    ]
    return at_end if tree.body[-1] in alone else not alone


def returns_nothing(source: str) -> bool:
    """Return whether a function body has no way to give a value: no return, no expression at its end."""
    tree = ast.parse(source)
    inside = (item for node in tree.body for item in _own_nodes(node))
    is_returning = any(isinstance(item, ast.Return) and item.value for item in inside)
    return not is_returning and not isinstance(tree.body[-1], ast.Expr)


def replaced_parameter(source: str, parameters: tuple[str, ...]) -> str | None:
    """Return a parameter that the body overwrites with a literal: data the model made up."""
    literal = ast.List | ast.Dict | ast.Constant
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.value, literal):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id in parameters:
                    return target.id
    return None


def _called(node: ast.expr) -> str | None:
    if isinstance(node, ast.Await):
        node = node.value
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and those below it, but for the insides of nested functions."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    for child in ast.iter_child_nodes(node):
        yield from _own_nodes(child)


def _python_in(reply: str) -> str:
    blocks = _FENCE.findall(reply)
    if blocks:
        return "\n\n".join(textwrap.dedent(block) for block in blocks)
    return textwrap.dedent(reply)


def _is_kept(node: ast.stmt) -> bool:
    """Keep what the function may need; drop example calls and prints around it."""
    return isinstance(
        node,
        ast.Import
        | ast.ImportFrom
        | ast.FunctionDef
        | ast.AsyncFunctionDef
        | ast.ClassDef
        | ast.Assign,
    )


def _segment(source: str, node: ast.stmt) -> str:
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def _renamed(
    node: ast.FunctionDef | ast.AsyncFunctionDef, parameters: tuple[str, ...]
) -> list[str]:
    theirs = [
        argument.arg
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    ]
    pairs = zip(theirs, parameters, strict=False)
    return [f"{own} = {ours}" for own, ours in pairs if own != ours and own not in parameters]


def _inside(source: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    lines = source.splitlines()
    first = node.body[0].lineno - 1
    if first == node.lineno - 1:  # `def f(x): return x` on one line
        return "\n".join(ast.unparse(statement) for statement in node.body)
    while first > node.lineno and lines[first - 1].strip().startswith("#"):
        first -= 1
    # What a model writes after the first return of the body itself is chatter.
    returns = (item.end_lineno for item in node.body if isinstance(item, ast.Return))
    return textwrap.dedent("\n".join(lines[first : next(returns, node.end_lineno)]))


def _unreadable(message: str, line: int | None, text: str) -> ProgramError:
    shown = f"SyntaxError: {message}" + (f" in the line `{text.strip()}`" if text.strip() else "")
    return ProgramError(phase="parse", name="SyntaxError", message=message, line=line, report=shown)
