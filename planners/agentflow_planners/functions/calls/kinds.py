"""Types as they are written: what an annotation names, and what type a written value has.

Owns the reading of annotations and of the classes and aliases in a setup. Knows nothing of which
values a type has. Types are syntax here; nothing is imported or evaluated.
"""

import ast
from collections.abc import Sequence

from agentflow_planners.functions.calls.expressions import parsed
from agentflow_planners.functions.text.layout import read_tree


def as_kind(text: str | None) -> ast.expr | None:
    """Return an annotation as an expression; None if there is none or it does not parse."""
    return parsed(text) if text else None


def kind_of(value: ast.expr) -> ast.expr | None:
    """Return the type that a literal or constructor call has, as an annotation."""
    match value:
        case ast.Constant(value=None):
            return ast.Constant(None)
        case ast.Constant(value=content):
            return ast.Name(type(content).__name__)
        case ast.UnaryOp(operand=operand):
            return kind_of(operand)
        case ast.List(elts=items) | ast.Set(elts=items):
            return _of(type(value).__name__.lower(), merged([kind_of(item) for item in items]))
        case ast.Tuple(elts=items):
            kinds = [kind_of(item) or ast.Name("Any") for item in items]
            return _of("tuple", ast.Tuple(kinds) if kinds else None)
        case ast.Dict(keys=keys, values=values):
            known = merged([kind_of(key) for key in keys if key])
            of_values = merged([kind_of(item) for item in values])
            return _of("dict", ast.Tuple([known, of_values]) if known and of_values else None)
        case ast.Call(func=ast.Name(id=name)):
            return ast.Name(name)
    return None


def merged(kinds: Sequence[ast.expr | None]) -> ast.expr | None:
    """Return the one type that covers several; a bare `list` says nothing beside a `list[int]`."""
    texts = list(dict.fromkeys(ast.unparse(kind) for kind in kinds if kind is not None))
    fuller = [text for text in texts if not any(o.startswith(f"{text}[") for o in texts)]
    if {"int", "float"} <= set(fuller):
        fuller.remove("int")
    return as_kind(" | ".join(fuller))


def _of(name: str, part: ast.expr | None) -> ast.expr:
    return ast.Name(name) if part is None else ast.Subscript(ast.Name(name), part)


def first_of(parts: Sequence[ast.expr], default: str) -> ast.expr:
    """Return the first parameter of a type; the default where it is not given."""
    return parts[0] if parts else ast.Name(default)


def is_open(parts: Sequence[ast.expr]) -> bool:
    """Return whether these are the parameters of `tuple[int, ...]`."""
    return isinstance(parts[-1], ast.Constant) and parts[-1].value is ...


def head_of(kind: ast.expr) -> tuple[str, list[ast.expr]]:
    """Return the name of a type without its module, and its parameters; "" if it is none."""
    match kind:
        case ast.Constant(value=str() as text):
            inner = parsed(text)
            return ("", []) if inner is None or isinstance(inner, ast.Constant) else head_of(inner)
        case ast.Constant(value=None):
            return "None", []
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name, []
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)):
            return head_of(value)[0], list(parts)
        case ast.Subscript(value=value, slice=part):
            return head_of(value)[0], [part]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            sides = (head_of(left), head_of(right))
            flat = [
                parts if name == "Union" else [side]
                for (name, parts), side in zip(sides, (left, right), strict=True)
            ]
            return "Union", [part for parts in flat for part in parts]
    return "", []


def definitions(setup: str) -> dict[str, ast.ClassDef | ast.expr]:
    """Return the classes of a setup, and what its type aliases stand for."""
    found: dict[str, ast.ClassDef | ast.expr] = {}
    for statement in read_tree(setup).body:
        match statement:
            case ast.ClassDef(name=name):
                found[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name("TypeVar"))):
                found[name] = ast.Name("int")
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name("NewType"), args=[_, kind]),
            ):
                found[name] = kind
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if head_of(value)[0]:
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
    return found


def bases_of(found: ast.ClassDef) -> set[str]:
    """Return the names of the classes a class inherits from; every kind of enum is an Enum."""
    names = {head_of(base)[0] for base in found.bases}
    return names | ({"Enum"} if names & {"IntEnum", "StrEnum", "Flag", "IntFlag"} else set())


def members_of(found: ast.ClassDef) -> list[str]:
    """Return the names that the body of a class assigns to."""
    return [
        target.id
        for item in found.body
        if isinstance(item, ast.Assign)
        for target in item.targets
        if isinstance(target, ast.Name)
    ]


def fields_of(found: ast.ClassDef) -> list[tuple[str, ast.expr]]:
    """Return what a class must be given: the parameters of __init__ or, without it, its fields."""
    for item in found.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            plain = item.args.args[1 : len(item.args.args) - len(item.args.defaults)]
            return [(a.arg, a.annotation or ast.Name("int")) for a in plain]
    return [
        (item.target.id, item.annotation)
        for item in found.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and item.value is None
    ]
