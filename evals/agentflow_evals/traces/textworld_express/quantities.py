"""Rooms of the game of sorting with other quantities in them.

Owns the change of the text. The fold `train` has a thousand rooms with three to five things each, and a student knows them
by heart before it can read a quantity.
"""

import random
import re
from collections.abc import Iterator

LARGEST = 50  # as in the games
DIMENSIONS = (("mm", "cm", "m"), ("mg", "g", "kg"), ("ml", "l"), ("",))
_COMMANDS = "Commands possible"
_TAKE = re.compile(r"`take (\d[^`]*)`")
_THING = re.compile(r"(\d+)([a-z]*)( .+)")


def with_other_quantities(seen: str, draw: random.Random) -> str:
    """Return the text with other numbers and units of the same dimension; commands are in their order again."""
    told, mark, commands = seen.partition(_COMMANDS)
    things = _TAKE.findall(commands)
    drawn = _drawn(things, draw)
    new = {thing: next(drawn) for thing in things}
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, new))})\b")
    in_order = iter(sorted(new.values()))
    return (
        pattern.sub(lambda found: new[found[1]], told)
        + mark
        + _TAKE.sub(lambda _found: f"`take {next(in_order)}`", commands)
    )


def _drawn(things: list[str], draw: random.Random) -> Iterator[str]:
    """Yield a thing like each of these, no two alike."""
    taken = set[str]()
    for thing in things:
        found = _THING.fullmatch(thing)
        assert found is not None, thing
        (units,) = (one for one in DIMENSIONS if found[2] in one)
        new = ""
        while not new or new in taken:
            new = f"{draw.randint(1, LARGEST)}{draw.choice(units)}{found[3]}"
        taken.add(new)
        yield new
