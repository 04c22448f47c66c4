"""Which names of a piece of code belong to its module, and giving those other names.

Owns Python's scoping rules over the syntax tree: parameters, assignments, comprehensions, nested
functions, classes, `global` and `nonlocal`. A renamed text differs from the old one in those names
only: the trees of both are compared.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentflow.errors import ProgramError
from agentflow_planners.functions.text.layout import column, normal, read_tree, shape, unreadable

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Import = ast.Import | ast.ImportFrom
_Use = ast.Name | ast.Global | _Definition | _Import


@dataclass(frozen=True, slots=True)
class _Scope:
    bound: frozenset[str]
    shared: frozenset[str] = frozenset()  # declared `global`
    is_class: bool = False


_Scopes = tuple[_Scope, ...]


def open_names(tree: ast.AST) -> frozenset[str]:
    """Return the names of the module that code reads or writes, those it defines itself included."""
    return frozenset(use.id for use in _uses(tree) if isinstance(use, ast.Name))


def bound_names(statement: ast.stmt) -> frozenset[str]:
    """Return the names that a statement of a module binds there."""
    return _scope([statement], frozenset()).bound


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return code in which names of the module are others; local names and attributes stay.

    Raises:
        ProgramError: It does not parse.
    """
    tree = read_tree(text)
    uses = [use for use in _uses(tree) if any(name in names for name in _names_of(use))]
    if not uses:
        return text
    places = _Places(normal(text))
    edits = _edits(tree, uses, places, names)
    made = places.edited(edits)
    try:
        is_exact = shape(read_tree(made)) == shape(tree)
    except ProgramError:
        is_exact = False
    return made if is_exact else _written(tree)


def _uses(tree: ast.AST) -> Iterator[_Use]:
    """Yield every place that names something of the module."""
    waiting: list[tuple[ast.AST, _Scopes]] = [(tree, ())]
    while waiting:
        node, scopes = waiting.pop()
        if isinstance(node, ast.Name):
            if _is_global(node.id, scopes):
                yield node
            continue
        if isinstance(node, ast.Global) or (
            isinstance(node, _Definition | _Import) and _is_here(node, scopes)
        ):
            yield node
        waiting += _inside(node, scopes)


def _is_here(node: _Definition | _Import, scopes: _Scopes) -> bool:
    return all(_is_global(name, scopes) for name in _names_of(node))


def _inside(node: ast.AST, scopes: _Scopes) -> list[tuple[ast.AST, _Scopes]]:
    """Return the children of a node, each with the scopes it is in."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return _of_definition(node, scopes)
        case ast.Lambda():
            inner = (*scopes, _scope([node.body], _parameters(node.args)))
            return [(node.args, scopes), (node.body, inner)]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            targets = [item.target for item in node.generators]
            inner = (*scopes, _scope(targets, frozenset()))
            first, *others = node.generators
            results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            inside: list[ast.AST] = [first.target, *first.ifs, *others, *results]
            return [(first.iter, scopes), *((child, inner) for child in inside)]
    return [(child, scopes) for child in ast.iter_child_nodes(node)]


def _of_definition(node: _Definition, scopes: _Scopes) -> list[tuple[ast.AST, _Scopes]]:
    kinds: list[ast.AST] = list(getattr(node, "type_params", []))  # Python 3.12 and later
    names = frozenset(str(getattr(kind, "name", "")) for kind in kinds)
    around = (*scopes, _Scope(names)) if names else scopes
    outside: list[ast.AST] = list(kinds)
    if isinstance(node, ast.ClassDef):
        own = _scope(node.body, frozenset())
        scope = _Scope(own.bound, own.shared, is_class=True)
        outside += [*node.bases, *node.keywords]
    else:
        scope = _scope(node.body, _parameters(node.args))
        outside += [node.args, *([node.returns] if node.returns else [])]
    found: list[tuple[ast.AST, _Scopes]] = [(child, scopes) for child in node.decorator_list]
    found += [(child, around) for child in outside]
    return found + [(child, (*around, scope)) for child in node.body]


def _is_global(name: str, scopes: _Scopes) -> bool:
    for depth, scope in enumerate(reversed(scopes)):
        if scope.is_class and depth:
            continue  # the methods of a class do not see its names
        if name in scope.shared:
            return True
        if name in scope.bound:
            return False
    return True


def _scope(body: Sequence[ast.AST], parameters: frozenset[str]) -> _Scope:
    """Return the names that code binds in its own scope."""
    bound, shared = set(parameters), set[str]()
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        bound |= _bindings(node)
        if isinstance(node, ast.Global):
            shared.update(node.names)
        elif not isinstance(node, _Definition | ast.Lambda | _Comprehension):
            waiting += ast.iter_child_nodes(node)
    return _Scope(frozenset(bound), frozenset(shared))


def _bindings(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return {name}
        case ast.alias():
            return {_alias(node)}
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            return {name}
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            # Only a walrus binds outside of a comprehension.
            found = [item.target for item in ast.walk(node) if isinstance(item, ast.NamedExpr)]
            return {target.id for target in found}
    return set()


def _alias(node: ast.alias) -> str:
    return node.asname or node.name.partition(".")[0]


def _parameters(arguments: ast.arguments) -> frozenset[str]:
    plain = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    starred = (item for item in (arguments.vararg, arguments.kwarg) if item)
    return frozenset(item.arg for item in (*plain, *starred))


def _names_of(use: _Use) -> Collection[str]:
    match use:
        case ast.Name(id=name):
            return (name,)
        case ast.Global(names=names):
            return names
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [_alias(item) for item in aliases]
    return (use.name,)


def _rename_alias(item: ast.alias, names: Mapping[str, str]) -> None:
    name = _alias(item)
    if name in names and item.asname is None and "." in item.name:
        # `import a.b` binds `a`, and no other way of writing it does.
        raise unreadable(f"`import {item.name}` cannot be given another name than `{name}`")
    item.asname = names.get(name, item.asname)


class _Places:
    """A text, addressed by the lines and columns of its syntax tree."""

    def __init__(self, text: str) -> None:
        self.text, self._lines = text, text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def of(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        last = node.end_lineno or node.lineno
        return (
            self._at(node.lineno, node.col_offset),
            self._at(last, node.end_col_offset or 0),
        )

    def of_name(self, use: ast.Name | _Definition, name: str) -> tuple[int, int] | None:
        """Return where the name stands; None where the tree does not say it, as in old f-strings."""
        start, end = self.of(use)
        head = "" if isinstance(use, ast.Name) else r"(?:async\s+)?(?:def|class)\s+"
        found = re.compile(rf"{head}({re.escape(name)})(?!\w)").match(self.text, start, end)
        return found.span(1) if found else None

    def edited(self, edits: Mapping[tuple[int, int], str]) -> str:
        parts, done = list[str](), 0
        for (start, end), new in sorted(edits.items()):
            parts += [self.text[done:start], new]
            done = end
        return "".join([*parts, self.text[done:]])

    def _at(self, line: int, bytes_before: int) -> int:
        return self._starts[line - 1] + column(self._lines[line - 1], bytes_before)


def _edits(
    tree: ast.AST, uses: Sequence[_Use], places: _Places, names: Mapping[str, str]
) -> dict[tuple[int, int], str]:
    """Rename the uses in the tree; return the edits that do the same to the text."""
    strings = _strings_around(tree)
    edits: dict[tuple[int, int], str] = {}
    whole: list[ast.stmt | ast.expr] = []
    for use in uses:
        if isinstance(use, ast.Global | _Import):
            whole.append(use)
        elif id(use) in strings:
            whole.append(strings[id(use)])
        else:
            name = next(iter(_names_of(use)))
            spot = places.of_name(use, name)
            if spot is not None:
                edits[spot] = names[name]
        _rename(use, names)
    return edits | {places.of(node): _written(node) for node in whole}


def _written(node: ast.AST) -> str:
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError) as error:
        raise unreadable(f"its names cannot be changed: {error}") from error


def _strings_around(tree: ast.AST) -> dict[int, ast.JoinedStr]:
    """Return the f-string around each node that is in one."""
    found: dict[int, ast.JoinedStr] = {}
    for node in ast.walk(tree):  # outer strings come first
        if isinstance(node, ast.JoinedStr):
            for item in ast.walk(node):
                found.setdefault(id(item), node)
    return found


def _rename(use: _Use, names: Mapping[str, str]) -> None:
    match use:
        case ast.Name(id=name):
            use.id = names[name]
        case ast.Global():
            use.names = [names.get(name, name) for name in use.names]
        case ast.Import() | ast.ImportFrom():
            for item in use.names:
                _rename_alias(item, names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            use.name = names[use.name]
