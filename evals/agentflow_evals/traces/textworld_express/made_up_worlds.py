"""What comes before the games: made-up commands to repeat, and made-up houses to search, smallest first.

Owns both. A small recurrent model learns to copy names only when little else is asked of it; once it can, the games come
easily (docs/pocket.md has the figures). All names are made up, and teachers play here as they do in the games.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from agentflow_evals.traces.textworld_express.exploring import BACK, CONTAINERS, explore, listed
from agentflow_evals.traces.textworld_express.new_names import KEPT, new_names
from agentflow_evals.traces.textworld_express.playing import Episode, play
from agentflow_evals.traces.textworld_express.teachers import TEACHERS, Teacher

COMMANDS = 5  # that are said in one episode
QUANTITIES, GAME_WORDS = 0.2, 0.3  # of the words said
BOXES = 0.3  # of the boxes that there may be in a room
UNITS = ("", "", "g", "kg", "ml", "l", "mm", "cm", "m")
_TOLD = (
    "you are in the. in one part of the room you see a. there is also a. you also see a. take. and. to the north south "
    "east west you see a closed wood door. through an open wood door, to the fridge kitchen cupboard cutlery drawer that "
    "is empty contains"
)
WAYS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}


def sayings(draw: random.Random, count: int) -> Iterator[Episode]:
    """Yield episodes in which Simon says something new each time."""
    for _ in range(count):
        words = _names_and_quantities(draw)
        said = [_phrase(draw, words, (1, 2, 2, 3, 4)) for _ in range(COMMANDS)]
        left = iter([f"Simon says, '{phrase}'." for phrase in said[1:]] + ["Simon says, you win!"])

        def act(_command: str, left: Iterator[str] = left) -> str:
            return next(left)

        opening = {"seen": f"Simon says, '{said[0]}'."}
        yield play(TEACHERS["simonsays"], "obey", opening, opening["seen"], act)


def houses(draw: random.Random, count: int) -> Iterator[Episode]:
    """Yield episodes in which a house of one to five rooms is searched for up to three things."""
    for number in range(count):
        house = House.drawn(draw, rooms=1 + min(4, 5 * number // count))
        task = f"Take {' and '.join(house.wanted)}."
        seen = f"{task}\n\n{house.look()}"
        yield play(_SEARCHING, "search", {"seen": seen}, seen, house.act)


def search(seen: str) -> str:
    """Return the program for a whole house."""
    wanted = seen.partition("Take ")[2].partition(".")[0].split(" and ")
    return (
        f'seen = world_act("look around")\nleft = {listed(wanted)}\nbeen = []\n'
        'left, been = explore(seen, left, been)\nreturn "done"'
    )


_SEARCHING: Teacher = {"search": search, "explore": explore}


@dataclass
class Box:
    """A fridge, a cupboard or a drawer, and what is in it."""

    name: str
    things: list[str]
    is_open: bool = False

    def look(self) -> str:
        """Return what is seen of it."""
        if not self.is_open:
            return f"a {self.name} that is closed"
        inside = f"contains a {', and a '.join(self.things)}" if self.things else "is empty"
        return f"an open {self.name}, that {inside}"


@dataclass
class House:
    """Rooms on a grid, with things and boxes in them and doors between some; told and acted on as in the games."""

    rooms: dict[tuple[int, int], str]
    things: dict[tuple[int, int], list[str]]
    boxes: dict[tuple[int, int], list[Box]]
    closed: set[frozenset[tuple[int, int]]]
    wanted: list[str]
    place: tuple[int, int] = (0, 0)
    opened: set[frozenset[tuple[int, int]]] = field(default_factory=set)

    @classmethod
    def drawn(cls, draw: random.Random, rooms: int) -> "House":
        """Return a house of so many rooms."""
        names = _names(draw)
        places = [(0, 0)]
        while len(places) < rooms:
            x, y = draw.choice(places)
            dx, dy = draw.choice(list(WAYS.values()))
            if (x + dx, y + dy) not in places:
                places.append((x + dx, y + dy))

        def some(most: int) -> list[str]:
            return [next(names) for _ in range(draw.randint(0, most))]

        boxes = {
            place: [Box(name, some(2)) for name in CONTAINERS if draw.random() < BOXES]
            for place in places
        }
        things = {place: some(2) for place in places}
        things[places[-1]].append(next(names))
        kept = [*things.values(), *(box.things for found in boxes.values() for box in found)]
        all_things = [thing for found in kept for thing in found]
        doors = {frozenset((a, b)) for a in places for b in places if _is_beside(a, b)}
        return cls(
            rooms={place: next(names) for place in places},
            things=things,
            boxes=boxes,
            closed={door for door in sorted(doors, key=sorted) if draw.random() < 0.3},
            wanted=draw.sample(all_things, min(len(all_things), draw.randint(1, 3))),
        )

    def look(self) -> str:
        """Return what is seen from where one is."""
        told = [f"You are in the {self.rooms[self.place]}. "]
        starts = ("In one part of the room you see", "There is also", "You also see")
        seen = [f"a {thing}" for thing in self.things[self.place]]
        seen += [box.look() for box in self.boxes[self.place]]
        told += [f"{starts[i % 3]} {what}. " for i, what in enumerate(seen)]
        return "".join(told) + "\n" + " ".join(map(self._exit, self._ways()))

    def act(self, command: str) -> str:
        """Do what a command says; a teacher's commands are always possible."""
        verb, _, rest = command.partition(" ")
        boxes = self.boxes[self.place]
        if verb == "take":
            kept = [self.things[self.place], *(box.things for box in boxes if box.is_open)]
            next(things for things in kept if rest in things).remove(rest)
            return f"You take the {rest}."
        if verb == "open" and rest in CONTAINERS:
            next(box for box in boxes if box.name == rest).is_open = True
            return f"You open the {rest}."
        if verb == "open":
            way = rest.removeprefix("door to ")
            self.opened.add(frozenset((self.place, self._beyond(way))))
            return f"You open the wood door, revealing the {self.rooms[self._beyond(way)]}."
        if verb == "move":
            self.place = self._beyond(rest)
        return self.look()

    def _ways(self) -> list[str]:
        return [way for way in BACK if self._beyond(way) in self.rooms]

    def _exit(self, way: str) -> str:
        door = frozenset((self.place, self._beyond(way)))
        name = self.rooms[self._beyond(way)]
        if door not in self.closed:
            return f"To the {way.title()} you see the {name}."
        if door not in self.opened:
            return f"To the {way.title()} you see a closed wood door."
        return f"Through an open wood door, to the {way.title()} you see the {name}."

    def _beyond(self, way: str) -> tuple[int, int]:
        dx, dy = WAYS[way]
        return self.place[0] + dx, self.place[1] + dy


def _is_beside(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1


def _phrase(draw: random.Random, words: Iterator[str], lengths: tuple[int, ...]) -> str:
    return " ".join(next(words) for _ in range(draw.choice(lengths)))


def _names_and_quantities(draw: random.Random) -> Iterator[str]:
    names = new_names(draw)
    while True:
        number = f"{draw.randint(1, 99)}{draw.choice(UNITS)}"
        chance = draw.random()
        if chance < QUANTITIES:
            yield number
        elif chance < QUANTITIES + GAME_WORDS:
            yield draw.choice(sorted(KEPT))
        else:
            yield next(names)


def _names(draw: random.Random) -> Iterator[str]:
    """Yield names of one word or two, none of which has a word of another, or is part of another or of what is told."""
    words, names = new_names(draw), list[str]()
    while True:
        name = _phrase(draw, words, (1, 1, 2))
        if name not in _TOLD and not any(name in one or one in name for one in names):
            names.append(name)
            yield name
