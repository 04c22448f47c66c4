"""Values of a type, as source: the edge cases of it, and any number of others at random.

Owns what an annotation stands for, and what to try where it says little. Values are literals or
constructor calls of classes in the setup, small enough that slow code still ends. A type of which
no value can be written (a callable, an unknown class) has none.
"""

import ast
import random
from collections.abc import Sequence
from itertools import product, zip_longest

from agentflow_planners.functions.calls.kinds import (
    bases_of,
    definitions,
    fields_of,
    first_of,
    head_of,
    is_open,
    members_of,
)

_MAX_DEPTH = 4
_MAX_EDGES = 12
_SAME = {
    "List": "list", "Sequence": "list", "MutableSequence": "list", "Iterable": "list",
    "Collection": "list", "Reversible": "list", "Dict": "dict", "Mapping": "dict",
    "MutableMapping": "dict", "DefaultDict": "dict", "defaultdict": "dict", "OrderedDict": "dict",
    "Tuple": "tuple", "Set": "set", "AbstractSet": "set", "MutableSet": "set",
    "FrozenSet": "frozenset", "Text": "str", "Number": "float", "Real": "float", "Integral": "int",
    "SupportsInt": "int", "SupportsFloat": "float", "Generator": "Iterator", "object": "Any",
    "Hashable": "Any", "Sized": "list", "NoneType": "None",
}  # fmt: skip
_TRANSPARENT = frozenset({"Annotated", "Final", "Required", "NotRequired", "Const"})
_EDGES = {
    "int": ["0", "1", "-1", "2", "3", "10", "7", "100", "-5"],
    "float": ["0.0", "1.0", "-1.5", "0.5", "2.75", "-0.25", "100.125", "1e-07", "3.0"],
    "str": ["''", "'a'", "'ab'", "'aa'", "'Aba'", "'Hello, World!'", "' '", "'a b  a'", "'12'",
            "'żó漢'"],
    "bool": ["True", "False"],
    "bytes": ["b''", "b'a'", "b'ab\\x00\\xff'"],
    "bytearray": ["bytearray(b'')", "bytearray(b'ab')"],
    "complex": ["0j", "(1+2j)", "(-1.5+0j)"],
    "range": ["range(0)", "range(3)", "range(5, 0, -2)"],
    "None": ["None"],
    "Any": ["0", "''", "[]", "None", "1.5", "'a'", "[1, 2]", "True", "{'a': 1}", "(1, 'a')"],
}  # fmt: skip
_BRACKETS = {
    "list": "[{}]",
    "set": "{{{}}}",
    "frozenset": "frozenset({{{}}})",
    "Iterator": "iter([{}])",
    "tuple": "({})",
}
_EMPTY = {
    "list": "[]", "set": "set()", "frozenset": "frozenset()", "Iterator": "iter([])",
    "tuple": "()", "dict": "{}",
}  # fmt: skip
_LETTERS = "abcABxyz 01"


class Values:
    """Values of types, for one parameter.

    Args:
        setup: Source of the classes and type aliases that annotations name.
        random: What other than edge cases is drawn from.
        letters: The characters that strings are made of; empty for any.
        words: What strings are made of, with spaces between; empty where there are no words.
    """

    def __init__(
        self, setup: str, random: random.Random, letters: str = "", words: Sequence[str] = ()
    ) -> None:
        self._random = random
        self._letters = letters
        self._words = words
        self._defined = definitions(setup)

    def edges(self, kind: ast.expr, depth: int = 0) -> list[str]:
        """Return the edge cases of a type, the plainest first; empty if it has no values."""
        name, parts = self._resolved(kind)
        if depth > _MAX_DEPTH:
            return ["None"] if name in ("None", "Any") else []
        found = self._edges(name, parts, depth)
        return list(dict.fromkeys(found))[:_MAX_EDGES]

    def one(self, kind: ast.expr, depth: int = 0) -> str | None:
        """Return a value of a type at random; None if it has no values."""
        name, parts = self._resolved(kind)
        if depth > _MAX_DEPTH:
            return None
        match name:
            case "int" | "float" | "str":
                return self._scalar(name)
            case "Union":
                return self.one(self._random.choice(parts), depth + 1) if parts else None
            case "dict":
                return self._dict(parts, depth)
            case "tuple" if parts and not is_open(parts):
                return self._joined("tuple", [self.one(part, depth + 1) for part in parts])
            case _ if name in _BRACKETS:
                return self._collection(name, parts, depth)
            case _ if name in self._defined and name not in _EDGES:
                fields = [self.one(item, depth + 1) for _, item in self._fields(name)]
                return self._built(name, fields) or self._drawn(self._edges(name, parts, depth))
        return self._drawn(self._edges(name, parts, depth))

    def _drawn(self, found: Sequence[str]) -> str | None:
        return self._random.choice(found) if found else None

    def _resolved(self, kind: ast.expr) -> tuple[str, list[ast.expr]]:
        """Return the name of a type and its parameters, through aliases, strings and wrappers."""
        for _ in range(_MAX_DEPTH * 2):
            name, parts = head_of(kind)
            alias = self._defined.get(name)
            if isinstance(alias, ast.expr):
                kind = alias
            elif name in _TRANSPARENT and parts:
                kind = parts[0]
            elif name == "Optional":
                return "Union", [*parts, ast.Constant(None)]
            else:
                return _SAME.get(name, name), parts
        return "", []

    def _edges(self, name: str, parts: list[ast.expr], depth: int) -> list[str]:
        if name == "str" and self._letters:
            once = [repr(letter) for letter in self._letters[:4]]
            return ["''", *once, repr(self._letters[0] * 2), repr(self._letters[:8])]
        if name == "Union":
            columns = zip_longest(*(self.edges(part, depth + 1) for part in reversed(parts)))
            return [text for row in columns for text in row if text is not None]
        if name == "Literal":
            return [ast.unparse(part) for part in parts]
        if name == "dict":
            return self._dict_edges(parts, depth)
        if name == "tuple" and parts and not is_open(parts):
            return self._rows("tuple", [self.edges(part, depth + 1) for part in parts])
        if name in _BRACKETS:
            return self._collection_edges(name, parts, depth)
        if isinstance(self._defined.get(name), ast.ClassDef):
            return self._object_edges(name, depth)
        return _EDGES.get(name, [])

    def _collection_edges(self, name: str, parts: list[ast.expr], depth: int) -> list[str]:
        items = self.edges(first_of(parts, "int"), depth + 1)
        if not items:
            return []
        several = items[:5]
        rows = [[], items[:1], items[1:2], items[1:2] * 2, several[::-1], [*several, *several[:2]]]
        return [self._joined(name, row) or _EMPTY[name] for row in rows]

    def _dict_edges(self, parts: list[ast.expr], depth: int) -> list[str]:
        keys = self.edges(first_of(parts, "str"), depth + 1)
        values = self.edges(first_of(parts[1:], "int"), depth + 1)
        if not keys or not values:
            return []
        rows = list(zip(keys, values * len(keys), strict=False))
        return [
            "{" + ", ".join(f"{k}: {v}" for k, v in row) + "}"
            for row in ([], rows[:1], rows[1:2], rows[:4])
        ]

    def _object_edges(self, name: str, depth: int) -> list[str]:
        found = self._defined[name]
        assert isinstance(found, ast.ClassDef)
        if "Enum" in bases_of(found):
            return [f"{name}.{member}" for member in members_of(found)]
        fields = self._fields(name)
        columns = [self.edges(kind, depth + 1) for _, kind in fields]
        if not all(columns):
            return []
        height = max((len(column) for column in columns), default=1)
        rows = ([column[i % len(column)] for column in columns] for i in range(height))
        return [text for row in rows if (text := self._built(name, list(row)))]

    def _rows(self, name: str, columns: list[list[str]]) -> list[str]:
        rows = product(*(column[:3] for column in columns))
        return [text for row in rows if (text := self._joined(name, list(row)))]

    def _scalar(self, name: str) -> str:
        draw = self._random
        if name == "int":
            return str(
                draw.choice((draw.randint(-10, 10), draw.randint(0, 30), draw.randint(-500, 500)))
            )
        if name == "float":
            return repr(round(draw.uniform(-10, 10), draw.choice((0, 1, 2, 3))))
        if self._words and draw.random() < 0.6:
            return repr(" ".join(draw.choices(self._words, k=draw.randint(1, 6))))
        letters = self._letters or _LETTERS
        return repr("".join(draw.choices(letters, k=draw.randint(1, 10))))

    def _collection(self, name: str, parts: list[ast.expr], depth: int) -> str | None:
        kind = first_of(parts, "int")
        size = self._random.randint(1, 7 if depth == 0 else 4)
        if head_of(kind)[0] in ("list", "List") and name == "list":
            return self._grid(kind, size, depth)
        return self._joined(name, [self.one(kind, depth + 1) for _ in range(size)])

    def _grid(self, kind: ast.expr, size: int, depth: int) -> str | None:
        """Return a list of lists of one length: a ragged matrix is rarely what is meant."""
        inner = first_of(head_of(kind)[1], "int")
        width = self._random.choice((size, self._random.randint(1, 4)))
        rows = [[self.one(inner, depth + 2) for _ in range(width)] for _ in range(size)]
        return self._joined("list", [self._joined("list", row) for row in rows])

    def _dict(self, parts: list[ast.expr], depth: int) -> str | None:
        key, value = first_of(parts, "str"), first_of(parts[1:], "int")
        items = [
            (self.one(key, depth + 1), self.one(value, depth + 1))
            for _ in range(self._random.randint(1, 4))
        ]
        if any(None in item for item in items):
            return None
        return "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"

    def _joined(self, name: str, items: Sequence[str | None]) -> str | None:
        """Return a collection of items; None if one of them could not be written."""
        known = [item for item in items if item is not None]
        if len(known) < len(items):
            return None
        if not known:
            return _EMPTY[name]
        comma = "," if name == "tuple" and len(known) == 1 else ""
        return _BRACKETS[name].format(", ".join(known) + comma)

    def _fields(self, name: str) -> list[tuple[str, ast.expr]]:
        found = self._defined.get(name)
        return fields_of(found) if isinstance(found, ast.ClassDef) else []

    def _built(self, name: str, values: Sequence[str | None]) -> str | None:
        found = self._defined.get(name)
        if not isinstance(found, ast.ClassDef) or None in values or "Enum" in bases_of(found):
            return None
        names = [field for field, _ in self._fields(name)]
        pairs = zip(names, values, strict=True)
        if "TypedDict" in bases_of(found):
            return "{" + ", ".join(f"{field!r}: {value}" for field, value in pairs) + "}"
        return f"{name}({', '.join(f'{field}={value}' for field, value in pairs)})"
