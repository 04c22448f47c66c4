"""Put written functions and what they are read in together into one module.

Owns the order of its statements: imports first, then what the functions are read in, then helpers
before their users. A statement that calls functions as the module is loaded comes after them.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentflow_planners.functions.node import Function, FunctionNode
from agentflow_planners.functions.source import statements
from agentflow_planners.functions.text.layout import read_tree, shape
from agentflow_planners.functions.text.scopes import bound_names, open_names


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """A statement of the module; `eager` are the names that it needs as the module is loaded."""

    text: str
    is_import: bool
    binds: frozenset[str]
    uses: frozenset[str]
    eager: frozenset[str]


def program(nodes: Sequence[FunctionNode]) -> str:
    """Return the module that holds the functions, which come helpers before users.

    Raises:
        ExpansionError: One is not written.
        ProgramError: The module would be too long or too deep.
    """
    functions = [_item(read_tree(text).body[0], text) for text in (n.source() for n in nodes)]
    items = [*_setup(nodes), *functions]
    text = _joined(_Order(items).items())
    read_tree(text)
    return text


def setup_texts(node: FunctionNode) -> list[tuple[bool, str]]:
    """Return the statements a function is read in, each with whether it is an import."""
    return [(_is_import(item), text) for item, text in statements(node.setup)]


def eager_names(node: ast.stmt) -> frozenset[str]:
    """Return the names of the module that a statement needs as the module is loaded."""
    if isinstance(node, Function):
        outside = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        return frozenset[str]().union(*map(open_names, outside))
    if isinstance(node, ast.ClassDef):
        outside = [*node.decorator_list, *node.bases, *node.keywords]
        inside = (eager_names(item) for item in node.body)
        return frozenset[str]().union(*map(open_names, outside), *inside)
    return open_names(node)


# A statement by number: put in its place, or (True) with all that running it may lead to.
_Goal = tuple[int, bool]


class _Order:
    """The order in which a module can be loaded, as near to the given one as it goes."""

    def __init__(self, items: Sequence[_Item]) -> None:
        self._items = sorted(items, key=lambda item: not item.is_import)
        self._providers: dict[str, list[int]] = {}
        for number, item in enumerate(self._items):
            for name in item.binds:
                self._providers.setdefault(name, []).append(number)

        self._begun: set[_Goal] = set()
        self._done: list[_Item] = []

    def items(self) -> list[_Item]:
        """Return the statements, each after what it needs."""
        for number in range(len(self._items)):
            self._reach((number, False))
        return self._done

    def _reach(self, goal: _Goal) -> None:
        """Place what a goal needs, then the goal itself; a loop, since chains may be long."""
        waiting = [(goal, iter([goal]))]
        while waiting:
            goal, before = waiting[-1]
            following = next((item for item in before if item not in self._begun), None)
            if following is not None:
                self._begun.add(following)
                waiting.append((following, iter(self._before(following))))
                continue
            waiting.pop()
            if waiting and not goal[1]:
                self._done.append(self._items[goal[0]])

    def _before(self, goal: _Goal) -> list[_Goal]:
        number, is_used = goal
        item = self._items[number]
        needed: list[_Goal] = [(place, True) for place in self._named(item.eager)]
        if is_used:
            needed = [(place, True) for place in self._named(item.uses)] + [(number, False)]
        return needed

    def _named(self, names: frozenset[str]) -> list[int]:
        return sorted({place for name in names for place in self._providers.get(name, [])})


def _setup(nodes: Sequence[FunctionNode]) -> Iterator[_Item]:
    """Yield what the functions are read in: what several of them have in common once."""
    seen: set[tuple[str, int]] = set()
    imported: set[tuple[str, ...]] = set()
    for node in reversed(nodes):  # the root's first
        counts: dict[str, int] = {}
        for statement, text in statements(node.setup):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                aliases = _aliases(statement)
                if not aliases <= imported:
                    yield _item(statement, text)
                imported |= aliases
                continue
            key = shape(statement)
            counts[key] = counts.get(key, 0) + 1
            if (key, counts[key]) not in seen:
                seen.add((key, counts[key]))
                yield _item(statement, text)


def _item(node: ast.stmt, text: str) -> _Item:
    return _Item(
        text=text,
        is_import=_is_import(node),
        binds=bound_names(node),
        uses=open_names(node),
        eager=eager_names(node),
    )


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _aliases(node: ast.Import | ast.ImportFrom) -> set[tuple[str, ...]]:
    origin = f"{'.' * node.level}{node.module}" if isinstance(node, ast.ImportFrom) else ""
    return {(origin, alias.name, alias.asname or "") for alias in node.names}


def _joined(items: Sequence[_Item]) -> str:
    first = [item.text for item in items if item.text.startswith("from __future__")]
    rest = [item.text for item in items if not item.text.startswith("from __future__")]
    parts: list[str] = []
    for text in (*first, *rest):
        is_block = "\n" in text
        after = parts[-1].count("\n") > 0 if parts else False
        parts += (["", ""] if parts and (is_block or after) else []) + [text]
    return "\n".join(parts) + "\n"
