"""When two annotations mean one type, and two expressions are one, by their syntax."""

import ast

from agentflow_planners.functions.text.layout import read_tree, shape

_ANY = ("Any", "object")


def is_same_expression(one: str | None, other: str | None) -> bool:
    """Return whether two expressions are written alike, but for layout."""
    if one is None or other is None:
        return one is other
    return one == other or shape(read_tree(f"({one})")) == shape(read_tree(f"({other})"))


def fit(one: str | None, other: str | None) -> bool:
    """Return whether two annotations can mean one type; a missing one fits every other."""
    if one is None or other is None:
        return True
    return _fits(_plain(_expression(one)), _plain(_expression(other)))


def _expression(text: str) -> ast.expr:
    found = read_tree(f"({text})").body[0]
    assert isinstance(found, ast.Expr)
    return found.value


def _fits(one: ast.expr, other: ast.expr) -> bool:
    if _name(one) in _ANY or _name(other) in _ANY:
        return True
    if isinstance(one, ast.Subscript) != isinstance(other, ast.Subscript):
        return _name(one) == _name(other) != ""  # `list` says less than `list[int]`
    if isinstance(one, ast.Subscript) and isinstance(other, ast.Subscript):
        return _fits(one.value, other.value) and _fits(one.slice, other.slice)
    if isinstance(one, ast.Tuple | ast.Set) and isinstance(other, ast.Tuple | ast.Set):
        pairs = list(zip(one.elts, other.elts, strict=False))
        return len(one.elts) == len(other.elts) and all(_fits(*pair) for pair in pairs)
    return shape(one) == shape(other)


def _name(node: ast.expr) -> str:
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.id if isinstance(node, ast.Name) else ""


def _plain(node: ast.expr) -> ast.expr:
    """Return an annotation in one spelling: builtin names, unions as sorted sets."""
    match node:
        case ast.Constant(value=str(text)) if text.strip():
            return _plain(_expression(text))
        case ast.Attribute(value=ast.Name(id="typing" | "t" | "collections"), attr=name):
            return _plain(_named(name))
        case ast.Name(id="List" | "Dict" | "Set" | "Tuple" | "FrozenSet" | "Type" | "Text"):
            return _named("str" if node.id == "Text" else node.id.lower())
        case ast.Subscript(value=ast.Name(id="Optional"), slice=item):
            return _union([item, ast.Constant(None)])
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=items)):
            return _union(items)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right])
        case ast.Subscript(value=value, slice=item):
            return ast.Subscript(value=_plain(value), slice=_plain(item), ctx=ast.Load())
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return ast.Tuple(elts=[_plain(item) for item in items], ctx=ast.Load())
    return node


def _named(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def _union(items: list[ast.expr]) -> ast.expr:
    """Return the members of a union in one order, unions inside it opened."""
    members: dict[str, ast.expr] = {}
    for item in map(_plain, items):
        for member in item.elts if isinstance(item, ast.Set) else [item]:
            members[shape(member)] = member
    return ast.Set(elts=[members[key] for key in sorted(members)])
