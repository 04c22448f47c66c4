"""Give the names of a function's module other names, and find those that mean two things.

Owns the choice of new names. A function keeps its text but for the names.
"""

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.source import read_module, statements
from agentflow_planners.functions.text.layout import read_tree, shape
from agentflow_planners.functions.text.scopes import bound_names, open_names, renamed


def renamed_node(
    node: FunctionNode, names: Mapping[str, str], *, with_setup: bool = False
) -> FunctionNode:
    """Return a function whose code uses other names; `with_setup` says that its setup does so too.

    Raises:
        ProgramError: A name stands where it cannot be changed.
    """
    if not names:
        return node
    code = renamed(node.source() if node.is_written else node.stub(), names)
    found = read_module(code).functions[0]
    update = {
        "name": found.name,
        "signature": found.signature,
        "body": found.body if node.is_written else node.body,
        "needs": tuple(dict.fromkeys(names.get(need, need) for need in node.needs)),
        "setup": renamed(node.setup, names) if with_setup else node.setup,
    }
    return FunctionNode(**{**dict(node), **update})


def with_body_of(node: FunctionNode, other: FunctionNode) -> FunctionNode:
    """Return a function with the body of another version of it, and what that one is read in."""
    code = renamed(other.source(), {other.name: node.name} if other.name != node.name else {})
    body = read_module(code).functions[0].body
    known = {shape(item) for item in read_tree(node.setup).body}
    new = [text for item, text in statements(other.setup) if shape(item) not in known]
    setup = "\n".join([*([node.setup] if node.setup else []), *new])
    needs = tuple(dict.fromkeys([*node.needs, *other.needs]))
    return FunctionNode(**{**dict(node), "body": body, "setup": setup, "needs": needs})


@lru_cache(maxsize=256)
def code_names(node: FunctionNode) -> frozenset[str]:
    """Return the names of its module that a function uses."""
    return open_names(read_tree(node.source() if node.is_written else node.stub()))


def called_names(node: FunctionNode) -> frozenset[str]:
    """Return the names that a function leaves to the library: not its own, not from its setup."""
    known = set(_setup_names(node.setup)) - set(node.needs)
    return (code_names(node) | _setup_uses(node.setup)) - known - {node.name}


def setup_names(node: FunctionNode) -> dict[str, str]:
    """Return the names that a function's setup binds, each with what it stands for."""
    return dict(_setup_names(node.setup))


@lru_cache(maxsize=64)
def _setup_names(setup: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for item in read_tree(setup).body:
        if isinstance(item, ast.Import | ast.ImportFrom):
            found.update(_imported(item))
        else:
            for name in bound_names(item):
                found[name] = f"{found.get(name, '')}{shape(item)}\n"
    return found


@lru_cache(maxsize=64)
def _setup_uses(setup: str) -> frozenset[str]:
    return open_names(read_tree(setup))


def clashing(node: FunctionNode, others: Sequence[FunctionNode]) -> set[str]:
    """Return the names of a function's setup that mean something else to other functions."""
    known: dict[str, set[str]] = {other.name: {"a function"} for other in others}
    for other in others:
        for name, meaning in setup_names(other).items():
            known.setdefault(name, set()).add(meaning)
    return {
        name
        for name, meaning in setup_names(node).items()
        if name != node.name and name not in node.needs and known.get(name, {meaning}) != {meaning}
    }


def without_known_classes(node: FunctionNode, callers: Sequence[FunctionNode]) -> FunctionNode:
    """Return a function that shares its callers' classes.

    A model repeats the classes it was shown, perhaps with less in them; values go between the
    functions, so there must be one class.
    """
    known = {
        item.name: _attributes(item)
        for caller in reversed(callers)
        for item in read_tree(caller.setup).body
        if isinstance(item, ast.ClassDef)
    }
    kept = [
        text
        for item, text in statements(node.setup)
        if not (
            isinstance(item, ast.ClassDef)
            and item.name in known
            and _attributes(item) <= known[item.name]
        )
    ]
    setup = "\n".join(kept)
    return node if len(kept) == len(read_tree(node.setup).body) else _with_setup(node, setup)


def words(nodes: Collection[FunctionNode]) -> set[str]:
    """Return every word in the text of functions: no new name may be one of them."""
    texts = (f"{node.signature} {node.setup} {node.body or ''}" for node in nodes)
    return {word for text in texts for word in re.findall(r"\w+", text)}


def fresh(names: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """Return a new name for each: `helper_2`, `helper_3`, ..."""
    found: dict[str, str] = {}
    for name in sorted(names):
        number = 2
        while f"{name}_{number}" in taken:
            number += 1
        found[name] = f"{name}_{number}"
    return found


def _with_setup(node: FunctionNode, setup: str) -> FunctionNode:
    return FunctionNode(**{**dict(node), "setup": setup})


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    origin = f"{'.' * node.level}{node.module}." if isinstance(node, ast.ImportFrom) else ""
    found: dict[str, str] = {}
    for item in node.names:
        package = item.name.partition(".")[0]
        found[item.asname or package] = f"import {origin}{item.name if item.asname else package}"
    return found


def _attributes(node: ast.ClassDef) -> set[str]:
    return {name for item in node.body for name in bound_names(item)}
