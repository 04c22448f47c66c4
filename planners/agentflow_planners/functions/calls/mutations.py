"""Change a call a little: the values near an example are where versions of a function differ.

Owns the small changes to literals. A change keeps the type of what it changes, and mostly the
characters and numbers that are there, so that the call stays one the function was meant for.
"""

import ast
import copy
import random
import re
from collections.abc import Sequence

_Literal = ast.Constant | ast.List | ast.Tuple | ast.Set | ast.Dict
_FAR_INTS = (0, 1, -1, 2, 100)
_LONG_TEXT = 50
_FAR_TEXTS = ("", " ", "a", "A", "0", "é")


def mutated(call: ast.Call, others: Sequence[ast.Call], draw: random.Random) -> ast.Call:
    """Return a copy of a call in which one or two literals are changed.

    Now and then a whole argument is taken from another call of as many arguments instead.
    """
    changed = copy.deepcopy(call)
    alike = [other for other in others if len(other.args) == len(call.args) > 1]
    if alike and draw.random() < 0.2:
        place = draw.randrange(len(call.args))
        changed.args[place] = copy.deepcopy(draw.choice(alike).args[place])
        return changed
    for _ in range(draw.choice((1, 1, 2))):
        literals = [part for part in _arguments(changed) if _is_changeable(part)]
        if literals:
            _change(draw.choice(literals), draw)
    return changed


def _arguments(call: ast.Call) -> list[ast.AST]:
    roots = [*call.args, *(keyword.value for keyword in call.keywords)]
    return [part for root in roots for part in ast.walk(root)]


def _is_changeable(part: ast.AST) -> bool:
    if isinstance(part, ast.Constant):
        return isinstance(part.value, bool | int | float | str | bytes)
    if isinstance(part, ast.Tuple):
        return len(part.elts) > 1
    return isinstance(part, ast.List) or (isinstance(part, ast.Set | ast.Dict) and _size(part) > 1)


def _size(part: ast.Set | ast.Dict) -> int:
    return len(part.elts if isinstance(part, ast.Set) else part.keys)


def _change(part: ast.AST, draw: random.Random) -> None:
    """Change a literal in place."""
    if isinstance(part, ast.Constant):
        part.value = _other_constant(part.value, draw)
    elif isinstance(part, ast.List):
        part.elts = _other_items(part.elts, draw)
    elif isinstance(part, ast.Tuple):  # its size often means something
        part.elts = (
            part.elts[::-1] if draw.random() < 0.5 else draw.sample(part.elts, len(part.elts))
        )
    elif isinstance(part, ast.Set):
        del part.elts[draw.randrange(len(part.elts))]
    elif isinstance(part, ast.Dict):
        place = draw.randrange(len(part.keys))
        del part.keys[place], part.values[place]


def _other_constant(value: object, draw: random.Random) -> bool | int | float | str | bytes:
    match value:
        case bool():
            return not value
        case int():
            near = (value + 1, value - 1, value * 2, -value, value // 2)
            return draw.choice((*near, draw.choice(_FAR_INTS)))
        case float():
            return draw.choice(
                (value + 1, value - 0.5, -value, value / 2, float(round(value)), 0.0)
            )
        case str():
            return _other_text(value, draw)
        case bytes():
            return draw.choice((b"", value[::-1], value * 2, value[1:]))
    raise AssertionError(value)


def _other_text(text: str, draw: random.Random) -> str:
    if re.search(r"\d", text) and draw.random() < 0.4:
        return re.sub(r"\d+", lambda digits: _other_digits(digits[0], draw), text, count=2)
    if " " in text and draw.random() < 0.6:
        return _other_words(text.split(" "), draw)
    place = draw.randrange(len(text) + 1)
    letter = draw.choice(text) if text else draw.choice(_FAR_TEXTS)
    return draw.choice(
        (
            text[:place] + letter + text[place:],
            text[:place] + text[place + 1 :],
            text[:place] + draw.choice(text or "a") + text[place + 1 :],
            text[::-1],
            text[:place],
            text.swapcase(),
            text * 2 if len(text) < _LONG_TEXT else text,
            draw.choice(_FAR_TEXTS),
        )
    )


def _other_digits(digits: str, draw: random.Random) -> str:
    number = draw.choice((draw.randint(0, 9), draw.randint(0, 99), int(digits[-9:]) + 1))
    return draw.choice((digits, str(number), digits[::-1]))


def _other_words(words: list[str], draw: random.Random) -> str:
    place = draw.randrange(len(words))
    return " ".join(
        draw.choice(
            (
                draw.sample(words, len(words)),
                words[: len(words) // 2],
                words[:place] + words[place + 1 :],
                [*words[:place], draw.choice(words), *words[place:]],
                [*words[:place], draw.choice(words), *words[place + 1 :]],
                [*words[:place], "", *words[place:]],  # two spaces where there was one
            )
        )
    )


def _other_items(items: list[ast.expr], draw: random.Random) -> list[ast.expr]:
    if not items:
        return items
    place = draw.randrange(len(items))
    again = copy.deepcopy(items[draw.randrange(len(items))])
    return draw.choice(
        (
            items[:place] + items[place + 1 :],
            [*items[:place], again, *items[place:]],
            [*items[:place], again, *items[place + 1 :]],
            items[::-1],
            sorted(items, key=ast.dump),
            draw.sample(items, len(items)),
            items[:place],
            [*items, *copy.deepcopy(items[:4])],
            items[:1],
            [],
        )
    )
