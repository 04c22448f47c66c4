"""How a teacher searches rooms: take what is wanted and seen, open what is closed, visit what is new, come back.

Owns the functions `explore(seen, left, been)` and `grill(seen, left, been)`. `left` are the things still wanted, or still
to be grilled, `been` the names of rooms visited. The rooms are a graph with circles; the walk is depth first and ends where it
began. What a program does depends on the room that is seen; it keeps the accounts of `left` and `been` itself.
"""

import re

# Where the games keep food and knives; nothing else that can be opened holds anything wanted.
CONTAINERS = ("fridge", "kitchen cupboard", "cutlery drawer")
GRILLS = ("barbeque", "toaster")  # a house has one of them
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}
TAKE = """\
here = [thing for thing in left if thing in seen]
left = [thing for thing in left if thing not in seen]
for thing in here:
    world_act("take " + thing)"""
_ROOM = re.compile(r"You are in the ([a-z ]+)\.")
_EXIT = re.compile(r"[Tt]o the (North|South|East|West) you see the ([a-z ]+)\.")
_DOOR = re.compile(r"[Tt]o the (North|South|East|West) you see a closed ")


def explore(seen: str, left: list[str], been: list[str]) -> str:  # noqa: ARG001 - what the call shows
    """Return the program for one room that is searched."""
    boxes = [box for box in CONTAINERS if f"{box} that is closed" in seen]
    return "\n".join([TAKE, *_beyond("explore", seen, boxes)])


def grill(seen: str, left: list[str], been: list[str]) -> str:  # noqa: ARG001
    """Return the program for one room: cook what is to be grilled, or go on."""
    for place in GRILLS:
        if re.search(rf"\b{place}\b", seen):
            cook = f'world_act("cook " + thing + " in {place}")'
            return f"for thing in left:\n    {cook}\nreturn [], been"
    return "\n".join(_beyond("grill", seen, []))


def listed(things: list[str]) -> str:
    """Return a list of words as Python."""
    return "[" + ", ".join(f'"{thing}"' for thing in things) + "]"


def _beyond(function: str, seen: str, boxes: list[str]) -> list[str]:
    """Return what is done when the room itself is done with: open what is closed and look again, or go on."""
    found = _ROOM.search(seen)
    assert found is not None, f"no room in {seen!r}"
    again = f"left, been = {function}(seen, left, been)"
    lines = [f'been = been + ["{found[1]}"]']
    closed = [*boxes, *(f"door to {way.lower()}" for way in _DOOR.findall(seen))]
    if closed:
        lines += ["if left:", *(f'    world_act("open {what}")' for what in closed)]
        lines += ['    seen = world_act("look around")', f"    {again}"]
    else:
        for way, name in _EXIT.findall(seen):
            lines += [
                f'if left and "{name}" not in been:',
                f'    seen = world_act("move {way.lower()}")',
                f"    {again}",
                f'    world_act("move {BACK[way.lower()]}")',
            ]
    return [*lines, "return left, been"]
