"""Find out which functions a program calls but nobody has written.

Owns name resolution over the syntax tree: parameters, assignments, comprehensions, nested functions,
classes, imports and builtins, by Python's scoping rules and never by looking for text.
"""

import ast
import builtins
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agentflow.errors import ProgramError

BUILTINS = frozenset(dir(builtins))

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A call of an unwritten function.

    `parameters` names its positional arguments, as well as the caller's own words allow; `keywords`
    are the names given at the call.
    """

    name: str
    line: int
    parameters: tuple[str, ...]
    keywords: tuple[str, ...]


def parse_program(code: str) -> ast.Module:
    """Return the syntax tree of a function body, in which top-level `return` and `await` are allowed.

    Raises:
        ProgramError: It does not parse (phase `parse`).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape in somebody's plan is not our news
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        message = getattr(error, "msg", None) or str(error) or "nested too deeply"
        text = (getattr(error, "text", None) or "").strip()
        report = f"SyntaxError: {message}" + (f" in line {line}: `{text}`" if text else "")
        raise ProgramError(
            phase="parse", name="SyntaxError", message=message, line=line, report=report
        ) from error


def too_deep() -> ProgramError:
    """Return the error for code that nests deeper than the visitors can go."""
    message = "nested too deeply; split it into several statements"
    return ProgramError(
        phase="parse",
        name="SyntaxError",
        message=message,
        line=None,
        report=f"SyntaxError: {message}",
    )


def placeholders(code: str, known: Collection[str]) -> tuple[Placeholder, ...]:
    """Return the calls of functions that neither the program nor `known` nor Python defines.

    Raises:
        ProgramError: The code does not parse.
    """
    calls = sorted(
        unresolved(parse_program(code), known).calls,
        key=lambda call: (call.lineno, call.col_offset),
    )
    return tuple(
        Placeholder(
            name=call.func.id,
            line=call.lineno,
            parameters=_parameter_names(call),
            keywords=tuple(word.arg for word in call.keywords if word.arg),
        )
        for call in calls
        if isinstance(call.func, ast.Name)
    )


class Unresolved:
    """What a program leaves open: `calls` of unknown names, and other `reads` of them."""

    def __init__(self) -> None:
        self.calls: list[ast.Call] = []
        self.reads: list[ast.Name] = []


def unresolved(tree: ast.Module, known: Collection[str]) -> Unresolved:
    """Return the uses of names that are bound nowhere."""
    found = Unresolved()
    try:
        _walk(tree, [frozenset(known) | BUILTINS, _bound(tree.body)], found)
    except RecursionError as error:
        raise too_deep() from error
    return found


def bound_anywhere(tree: ast.AST) -> frozenset[str]:
    """Return every name that the program binds in some scope."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            bound |= _parameters(node.args)
        bound |= frozenset(_bindings(node)) if isinstance(node, ast.stmt | ast.expr) else set()
    return frozenset(bound)


def captured(tree: ast.AST) -> frozenset[str]:
    """Return the names that nested functions read or write in the scopes around them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            found |= _free(node)
    return frozenset(found)


def _free(node: _Function) -> set[str]:
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
    inside = [item for statement in body for item in ast.walk(statement)]
    shared = {
        name
        for item in inside
        if isinstance(item, ast.Global | ast.Nonlocal)
        for name in item.names
    }
    bound = _bound(node.body) if not isinstance(node, ast.Lambda) else frozenset()
    read = {item.id for item in inside if isinstance(item, ast.Name)}
    return (read - bound - _parameters(node.args)) | shared


def _walk(node: ast.AST, scopes: list[frozenset[str]], found: Unresolved) -> None:
    match node:
        case ast.Call(func=ast.Name(id=name)) if not _is_bound(name, scopes):
            found.calls.append(node)
            for child in (*node.args, *node.keywords):
                _walk(child, scopes, found)
        case ast.Name(id=name, ctx=ast.Load()):
            if not _is_bound(name, scopes):
                found.reads.append(node)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            _walk_function(node, scopes, found)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            _walk_comprehension(node, scopes, found)
        case ast.ClassDef():
            _walk_class(node, scopes, found)
        case _:
            for child in ast.iter_child_nodes(node):
                _walk(child, scopes, found)


def _walk_class(node: ast.ClassDef, scopes: list[frozenset[str]], found: Unresolved) -> None:
    for child in (*node.bases, *node.keywords, *node.decorator_list):
        _walk(child, scopes, found)
    for statement in node.body:
        # Names of a class body are seen by its statements, not by its methods.
        is_method = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        _walk(statement, scopes if is_method else [*scopes, _bound(node.body)], found)


def _walk_function(node: _Function, scopes: list[frozenset[str]], found: Unresolved) -> None:
    arguments = node.args
    for outside in (*arguments.defaults, *(item for item in arguments.kw_defaults if item)):
        _walk(outside, scopes, found)
    if not isinstance(node, ast.Lambda):
        for outside in node.decorator_list:
            _walk(outside, scopes, found)
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    inner = [*scopes, _parameters(arguments) | _bound(body)]
    for child in body:
        _walk(child, inner, found)


def _walk_comprehension(
    node: _Comprehension, scopes: list[frozenset[str]], found: Unresolved
) -> None:
    _walk(node.generators[0].iter, scopes, found)
    targets = frozenset(name for part in node.generators for name in _stored(part.target))
    inner = [*scopes, targets]
    for index, part in enumerate(node.generators):
        for child in (*([part.iter] if index else []), *part.ifs):
            _walk(child, inner, found)
    parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    for child in parts:
        _walk(child, inner, found)


def _is_bound(name: str, scopes: list[frozenset[str]]) -> bool:
    return any(name in scope for scope in scopes)


def _parameters(arguments: ast.arguments) -> frozenset[str]:
    plain = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    starred = (item for item in (arguments.vararg, arguments.kwarg) if item)
    return frozenset(item.arg for item in (*plain, *starred))


def _bound(body: list[ast.stmt] | list[ast.expr]) -> frozenset[str]:
    """Return the names that a function body binds in its own scope."""
    return frozenset(name for statement in body for name in _bindings(statement))


def _bindings(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return
        case ast.Lambda():
            return
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
        ):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
    if isinstance(node, _Comprehension):
        # Only a walrus binds outside of a comprehension.
        walrus = (item for item in ast.walk(node) if isinstance(item, ast.NamedExpr))
        yield from (item.target.id for item in walrus)
        return
    for child in ast.iter_child_nodes(node):
        yield from _bindings(child)


def _stored(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id


def _parameter_names(call: ast.Call) -> tuple[str, ...]:
    names: list[str] = []
    for index, argument in enumerate(call.args):
        name = _name_for(argument) or f"argument_{index + 1}"
        names.append(name if name not in names else f"{name}_{index + 1}")
    return tuple(names)


def _name_for(argument: ast.expr) -> str | None:
    match argument:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))) if name.isidentifier():
            return name
        case ast.Call(func=ast.Name(id=name)):
            return f"{name}_result"
    return None
