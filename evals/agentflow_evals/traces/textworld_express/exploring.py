"""How a teacher searches rooms: take what is seen and wanted, open what is closed, visit what is new, come back.

Owns the function `explore(seen, left, been)`. `left` are the things still wanted, `been` the names of rooms visited. The
rooms are a graph with circles; the walk is depth first and ends where it began. Only what was seen is used.
"""

import re

# Where the games keep food and knives; nothing else that can be opened holds anything wanted.
CONTAINERS = ("fridge", "kitchen cupboard", "cutlery drawer")
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}
GRILL = "grill "  # a thing to be grilled where that can be done, not to be taken
GRILLS = ("barbeque", "toaster")  # a house has one of them
_ROOM = re.compile(r"You are in the ([a-z ]+)\.")
_EXIT = re.compile(r"[Tt]o the (North|South|East|West) you see the ([a-z ]+)\.")
_DOOR = re.compile(r"[Tt]o the (North|South|East|West) you see a closed ")


def explore(seen: str, left: list[str], been: list[str]) -> str:
    """Return the program for one room."""
    found = _ROOM.search(seen)
    assert found is not None, f"no room in {seen!r}"
    room, seen = found[1], seen[found.start() :].partition("Commands possible")[0]
    lines, wanted = [], list(left)
    for thing in left:
        if is_seen(thing, seen):
            lines.append(f'world_act("{_command(thing, seen)}")')
            wanted.remove(thing)
    if wanted != left:
        lines.append(f"left = {listed(wanted)}")
    if room not in been:
        lines.append(f'been = been + ["{room}"]')
    closed = _closed(seen, wanted) if wanted else []
    if closed:
        lines += [f'world_act("open {what}")' for what in closed]
        lines += ['seen = world_act("look around")', "return explore(seen, left, been)"]
        return "\n".join(lines)
    for way, name in _EXIT.findall(seen) if wanted else []:
        if name == room:
            continue
        lines += [
            f'if left and "{name}" not in been:',
            f'    seen = world_act("move {way.lower()}")',
            "    left, been = explore(seen, left, been)",
            f'    world_act("move {BACK[way.lower()]}")',
        ]
    return "\n".join([*lines, "return left, been"])


def is_seen(thing: str, seen: str) -> bool:
    """Return whether a thing stands in what is seen, or where it can be grilled."""
    if thing.startswith(GRILL):
        return any(_is_in(place, seen) for place in GRILLS)
    return _is_in(thing, seen)


def listed(things: list[str]) -> str:
    """Return a list of words as Python."""
    return "[" + ", ".join(f'"{thing}"' for thing in things) + "]"


def _command(thing: str, seen: str) -> str:
    if not thing.startswith(GRILL):
        return f"take {thing}"
    place = next(place for place in GRILLS if _is_in(place, seen))
    return f"cook {thing.removeprefix(GRILL)} in {place}"


def _is_in(phrase: str, seen: str) -> bool:
    """Return whether a phrase stands there whole."""
    return re.search(rf"\b{re.escape(phrase)}\b", seen) is not None


def _closed(seen: str, wanted: list[str]) -> list[str]:
    """Return what to open: containers that may hold what is wanted, then doors."""
    is_food = not any(thing == "coin" or thing.startswith(GRILL) for thing in wanted)
    boxes = [box for box in CONTAINERS if re.search(rf"\b{box} that is closed", seen)]
    if "knife" not in wanted and "cutlery drawer" in boxes:
        boxes.remove("cutlery drawer")
    doors = [f"door to {way.lower()}" for way in _DOOR.findall(seen)]
    return (boxes if is_food else []) + doors
