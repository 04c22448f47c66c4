"""Calls to try the versions of a function on.

Owns where calls come from: types, examples nearby, a model's reply. Calls are text and are only
ever parsed here. The same seed gives the same calls, and no two of them are the same call.
"""

import ast
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest

from agentflow_planners.functions.calls.examples import examples_of
from agentflow_planners.functions.calls.expressions import (
    BUILTINS,
    as_call,
    calls_name,
    found_calls,
    free_names,
    written,
)
from agentflow_planners.functions.calls.kinds import as_kind, head_of, kind_of, merged
from agentflow_planners.functions.calls.mutations import mutated
from agentflow_planners.functions.calls.values import Values
from agentflow_planners.functions.node import FunctionNode, Parameter

_TRIES = 20  # for each call wanted
_MAX_DIAGONAL = 8  # calls with all arguments at an edge
_MAX_WORDS = 40
_FEW_LETTERS = 12  # examples made of so few mean a language of their own: brackets, digits
_VAGUE = frozenset(
    {"list", "List", "dict", "Dict", "tuple", "Tuple", "set", "Set", "Any", "object"}
)
_NAMED = {
    "n k m i j x y z a b c p q count size number num limit index start stop end step width "
    "height year age base depth length total amount capacity": "int",
    "s t c ch char text string str word name sentence txt message line key prefix suffix path "
    "title phrase paragraph s1 s2 brackets date sep delimiter pattern": "str",
    "l lst arr array nums numbers values xs ys items list data seq sequence elements": "list[int]",
    "words strings names lines tokens sentences strs": "list[str]",
    "matrix grid board mat table rows": "list[list[int]]",
    "d dic dictionary mapping counts scores prices": "dict[str, int]",
    "flag verbose reverse strict": "bool",
    "ratio rate price probability tolerance eps epsilon radius threshold": "float",
    "intervals pairs edges points": "list[tuple[int, int]]",
}
_KIND_BY_NAME = {name: kind for names, kind in _NAMED.items() for name in names.split()}


def calls_from_types(node: FunctionNode, *, seed: int, count: int) -> tuple[str, ...]:
    """Return up to `count` calls with arguments of the right types, edge cases first.

    Where there is no annotation the examples, the default and the name say what is tried. Empty
    if a parameter needs what cannot be written down, like a callable.
    """
    draw = random.Random(seed)  # noqa: S311 (no secret)
    arguments = [_Argument(node, parameter, draw) for parameter in node.parameters]
    arguments = [item for item in arguments if item.is_tried]
    if any(not item.edges for item in arguments):
        return ()
    tries = islice(_attempts(node.name, arguments, draw), count * _TRIES)
    return _first_unique(tries, count)


def calls_near(calls: Sequence[str], *, seed: int, count: int) -> tuple[str, ...]:
    """Return up to `count` calls that differ a little from given ones, evenly spread over them."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    known = [call for text in unique(calls) if (call := as_call(text)) is not None]
    own = {ast.dump(call) for call in known}
    tries = (
        text
        for index in range(count * _TRIES if known else 0)
        if ast.dump(changed := mutated(known[index % len(known)], known, draw)) not in own
        and (text := written(changed)) is not None
    )
    return _first_unique(tries, count)


def calls_in_reply(text: str, name: str, *, limit: int) -> tuple[str, ...]:
    """Return the first calls of `name` in a reply whose arguments stand for themselves."""
    found = (text[start:end] for start, end in found_calls(text, name))
    return _first_unique((call for call in found if _stands_alone(call, name)), limit)


def unique(calls: Iterable[str]) -> tuple[str, ...]:
    """Return the calls that parse, each once however it is laid out, in their order."""
    return _first_unique(calls, None)


def _first_unique(calls: Iterable[str], count: int | None) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for text in calls:
        if count is not None and len(found) >= count:
            break
        call = as_call(text)
        if call is not None:
            found.setdefault(ast.dump(call), text.strip())
    return tuple(found.values())


def _stands_alone(text: str, name: str) -> bool:
    """Return whether all names are builtins, classes by their look, or the root of a dotted name."""
    call = as_call(text)
    if call is None:
        return False
    roots = {
        part.value.id
        for part in ast.walk(call)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
    }
    others = free_names(call) - BUILTINS - roots - {name}
    return all(other[:1].isupper() for other in others)


class _Argument:
    """What one parameter is given: as text, with its name where that is needed."""

    def __init__(self, node: FunctionNode, parameter: Parameter, draw: random.Random) -> None:
        self.kind = parameter.kind
        self.name = parameter.name
        self.has_default = parameter.default is not None
        samples = _samples(node, parameter)
        self._type = _type_of(parameter, samples)
        texts = _texts(samples)
        self._values = Values(node.setup, draw, _letters(texts), _words(texts))
        self.edges = self._values.edges(self._type)
        is_optional = self.has_default or self.kind == "var_positional"
        self.is_tried = self.kind != "var_keyword" and (bool(self.edges) or not is_optional)

    def edge(self, index: int) -> str:
        return self.edges[index] if index < len(self.edges) else self.any()

    def any(self) -> str:
        return self._values.one(self._type) or self.edges[0]


def _attempts(name: str, arguments: Sequence[_Argument], draw: random.Random) -> Iterator[str]:
    """Yield calls without end: all arguments at an edge, then one of them, and anything between."""
    tallest = max((len(item.edges) for item in arguments), default=1)
    for index in range(min(tallest, _MAX_DIAGONAL)):
        yield _call(name, arguments, [item.edge(index) for item in arguments], draw)
    single = (
        (place, edge)
        for row in zip_longest(*(item.edges for item in arguments))
        for place, edge in enumerate(row)
        if edge is not None
    )
    while True:
        values = [item.any() for item in arguments]
        yield _call(name, arguments, values, draw)
        place, edge = next(single, (None, ""))
        if place is not None:
            values = [item.any() for item in arguments]
            values[place] = edge
            yield _call(name, arguments, values, draw)


def _call(
    name: str, arguments: Sequence[_Argument], values: Sequence[str], draw: random.Random
) -> str:
    """Return the call; arguments with defaults are left out now and then."""
    parts: list[str] = []
    is_by_name = False
    for item, value in zip(arguments, values, strict=True):
        if item.has_default and draw.random() < 0.3:
            is_by_name = True
        elif item.kind == "var_positional":
            parts += [] if is_by_name else [item.any() for _ in range(draw.randint(0, 3))]
        elif item.kind == "keyword_only" or (is_by_name and item.kind != "positional_only"):
            parts.append(f"{item.name}={value}")
        elif not is_by_name:
            parts.append(value)
    return f"{name}({', '.join(parts)})"


def _samples(node: FunctionNode, parameter: Parameter) -> list[ast.expr]:
    """Return what the documentation's examples give a parameter."""
    place = [item.name for item in node.parameters].index(parameter.name)
    found: list[ast.expr] = []
    for example in examples_of(node):
        for call in ast.walk(ast.parse(example.call)):
            if isinstance(call, ast.Call) and calls_name(call, node.name):
                named = {keyword.arg: keyword.value for keyword in call.keywords}
                if parameter.name in named:
                    found.append(named[parameter.name])
                elif place < len(call.args) and isinstance(call.func, ast.Name):
                    found += [call.args[place]] if call.func.id == node.name else []
    return found


def _type_of(parameter: Parameter, samples: Sequence[ast.expr]) -> ast.expr:
    said = as_kind(parameter.annotation)
    if said is not None and not (isinstance(said, ast.Name) and said.id in _VAGUE):
        return said
    shown = merged([kind_of(sample) for sample in samples])
    default = as_kind(parameter.default)
    if shown is None and default is not None:
        shown = kind_of(default)
    named = as_kind(_KIND_BY_NAME.get(parameter.name.lower().rstrip("0123456789_")))
    for guess in (shown, named):
        if guess is not None and (said is None or head_of(said)[0].lower() in ast.unparse(guess)):
            return guess
    return said or shown or named or ast.Name("Any")


def _texts(samples: Sequence[ast.expr]) -> list[str]:
    return [
        part.value
        for sample in samples
        for part in ast.walk(sample)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _letters(texts: Sequence[str]) -> str:
    """Return the characters of texts, if they are few enough to be a language of their own."""
    letters = "".join(sorted(set("".join(texts))))
    return letters if len(letters) <= _FEW_LETTERS else ""


def _words(texts: Sequence[str]) -> list[str]:
    """Return the words of texts, if there are texts of several."""
    words = [word for text in texts for word in text.split()] if any(map(_has_words, texts)) else []
    return list(dict.fromkeys(words))[:_MAX_WORDS]


def _has_words(text: str) -> bool:
    return len(text.split()) > 1
