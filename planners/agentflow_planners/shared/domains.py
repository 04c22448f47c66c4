"""Little worlds whose rules are code: the Tower of Hanoi, and places with ways between them.

Owns what a state and a move are, and which moves are allowed, for planners that search among states and
for those who measure them. Knows no planner. What breaks a rule never becomes a state: it is a ValueError
whose message says which rule, in words for whoever made the move.
"""

import json
import re
from typing import Any

from pydantic import TypeAdapter

from agentflow import Task
from agentflow.errors import InputError
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.wording import cut

PEGS = TypeAdapter(list[list[int]])
MAX_SHOWN_CHARS = 200
HANOI = """\
Disks lie on pegs A, B, C and so on; a larger number is a larger disk. A state is a list of pegs, each a \
list of its disks from the bottom to the top, such as [[3, 2], [], [1]]. One disk is moved at a time, \
the top one of its peg, and never onto a smaller one. A move is written: Move 1 from C to B"""
GRAPH = """\
A state is the name of a place. From each place one can only go to the places listed for it: {graph}
A move is written: Go to NAME"""


class Hanoi(Frozen):
    """The rules of the Tower of Hanoi; a state is JSON: pegs of disks, bottom first."""

    disks: int
    pegs: int
    rules: str = HANOI

    def state(self, text: str) -> str:
        """Return a state in its one form.

        Raises:
            ValueError: It is none; the message says why.
        """
        pegs = PEGS.validate_json(text, strict=True)
        disks = sorted(disk for peg in pegs for disk in peg)
        if len(pegs) != self.pegs or disks != list(range(1, self.disks + 1)):
            raise ValueError(f"there are {self.pegs} pegs, and disks 1 to {self.disks}, each once")
        if any(peg != sorted(peg, reverse=True) for peg in pegs):
            raise ValueError("a larger disk lies on a smaller one")
        return json.dumps(pegs)

    def told(self, state: str) -> str:
        """Return a state in a sentence."""
        pegs = enumerate(PEGS.validate_json(state))
        lie = (f"{chr(ord('A') + at)}: {', '.join(map(str, peg)) or 'empty'}" for at, peg in pegs)
        return f"On peg {'; on peg '.join(lie)}."

    def after(self, state: str, move: str) -> str:
        """Return the state after a move.

        Raises:
            ValueError: It breaks a rule; the message says which.
        """
        said = re.fullmatch(
            r"move (?:disk )?(\d{1,9}) from ([a-z]) to ([a-z])\.?", move.strip(), re.I
        )
        if said is None:
            raise ValueError("a move is written: Move 1 from C to B")
        disk, source, target = (
            int(said[1]),
            *(ord(peg.upper()) - ord("A") for peg in said.group(2, 3)),
        )
        pegs = PEGS.validate_json(state)
        if max(source, target) >= len(pegs) or source == target:
            raise ValueError(f"it takes two different pegs of {len(pegs)}")
        if pegs[source][-1:] != [disk]:
            raise ValueError(f"disk {disk} is not the top one of peg {said[2].upper()}")
        if pegs[target] and pegs[target][-1] < disk:
            raise ValueError(f"disk {pegs[target][-1]} on peg {said[3].upper()} is smaller")
        pegs[target].append(pegs[source].pop())
        return json.dumps(pegs)


class Graph(Frozen):
    """Places and the ways between them; a state is a place."""

    ways: dict[str, tuple[str, ...]]
    rules: str

    def state(self, text: str) -> str:
        """Return a state in its one form; see `Hanoi.state`."""
        if text not in self.ways:
            raise ValueError(f"there is no place {cut(text, MAX_SHOWN_CHARS)!r}")
        return text

    def told(self, state: str) -> str:
        """Return a state in a sentence."""
        return f"From {state} one can go to: {', '.join(self.ways[state]) or 'nowhere'}."

    def after(self, state: str, move: str) -> str:
        """Return the state after a move; see `Hanoi.after`."""
        place = re.sub(r"^go to ", "", move.strip(), flags=re.I)
        if place not in self.ways[state]:
            raise ValueError(self.told(state))
        return self.state(place)


Domain = Hanoi | Graph


def given_problem(task: Task, *, step: str) -> tuple[Domain, str, str]:
    """Return the world that a task's inputs describe, its start and its goal.

    With an input `graph`, a mapping from each place to those one can go to, states are places; else
    they are lists of pegs.

    Raises:
        InputError: `start`, `goal` or `graph` cannot be read.
    """
    start, goal = (_text(task.inputs.get(name)) for name in ("start", "goal"))
    ways: Any = task.inputs.get("graph")
    try:
        if ways is None:
            pegs = PEGS.validate_json(start, strict=True)
            domain: Domain = Hanoi(disks=sum(map(len, pegs)), pegs=len(pegs))
        else:
            domain = Graph(ways=ways, rules=GRAPH.format(graph=_text(ways)))
        return domain, domain.state(start), domain.state(goal)
    except ValueError as error:
        problem = f"`start`, `goal` or `graph` cannot be read: {' '.join(str(error).split())}"
        raise InputError(step=step, problem=problem) from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
