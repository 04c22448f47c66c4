"""MAP: a planner of small modules, each of which does what a part of the prefrontal cortex is said to do.

Source: Webb et al., A Prefrontal Cortex-inspired Architecture for Planning in Large Language Models,
arXiv:2310.00194. Published figures (GPT-4, the authors' repository): Tower of Hanoi with 3 disks 74.2 %
of problems solved (five runs from 66.7 to 83.3); in graph traversal, Valuepath 100 against 54.9 for Tree
of Thoughts, Detour 85.4 against 33.2, RewardReval 47.7 against 36.4.

The task decomposer writes subgoals. For the one in turn, a tree is searched before every move: the actor
proposes moves, the monitor refuses those that break a rule and says why, the predictor gives the states
they lead to, and the evaluator estimates how many moves are left from the leaves. The orchestrator makes
the first move of the best branch, and notices when a subgoal or the goal is reached.

What differs, and why:
- rules are data or functions, not prompts: monitor and predictor are the same code, so a move that
  breaks a rule never becomes a state, and the orchestrator compares states instead of asking;
- branches of the tree are searched side by side, the authors' one after another;
- a move to a state that was there before counts only if there is no other, against running in circles.
"""

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from agentflow import Message, Result, Task, flow, generate, note, parallel
from agentflow.errors import ExpansionError, InputError, MalformedReplyError
from agentflow_planners.shared.wording import cut

Count = Annotated[int, Field(ge=1)]

PEGS = TypeAdapter(list[list[int]])
MAX_SHOWN_CHARS = 200
MAX_TOLD_STATES = 20
HANOI = """\
Disks lie on pegs A, B, C and so on; a larger number is a larger disk. A state is a list of pegs, each a \
list of its disks from the bottom to the top, such as [[3, 2], [], [1]]. One disk is moved at a time, \
the top one of its peg, and never onto a smaller one. A move is written: Move 1 from C to B"""
GRAPH = """\
A state is the name of a place. From each place one can only go to the places listed for it: {graph}
A move is written: Go to NAME"""
DECOMPOSE = """\
Give up to {most} states, in order, through which to go from the start to the goal, so that each is \
easier to reach than the whole. Give none if the goal is near."""
ACT = (
    "Propose {width} different moves that each are allowed in this state and lead towards the goal."
)
EVALUATE = "Estimate the smallest number of moves from this state to the goal."


class Frozen(BaseModel):
    """A value that a model writes, or that a step takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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

    def after(self, state: str, move: str) -> str:
        """Return the state after a move; see `Hanoi.after`."""
        place = re.sub(r"^go to ", "", move.strip(), flags=re.I)
        if place not in self.ways[state]:
            raise ValueError(
                f"from {state} one can go to: {', '.join(self.ways[state]) or 'nowhere'}"
            )
        return self.state(place)


Domain = Hanoi | Graph


class Search(Frozen):
    """What stays the same during the search for one move."""

    domain: Domain
    target: str
    width: int
    revisions: int
    visited: tuple[str, ...]


class Subgoals(Frozen):
    """States on the way, as a model writes them."""

    states: list[str]


class Moves(Frozen):
    """Moves, as a model writes them."""

    moves: list[str]


class Estimate(Frozen):
    """How far it is, as a model says."""

    moves_left: int = Field(ge=0, le=1_000_000)


class Option(Frozen):
    """A valid move, the state it leads to, and how many moves are left by the search."""

    move: str
    state: str
    left: int = 0


@flow
async def map_planner(
    task: Task,
    *,
    moves: Count = 20,
    depth: Count = 2,
    width: Count = 2,
    revisions: Annotated[int, Field(ge=0)] = 10,
    subgoals: Annotated[int, Field(ge=0)] = 3,
) -> Result:
    """Find moves from the input `start` to the input `goal`; the answer is the list of moves.

    Args:
        task: For the Tower of Hanoi both are lists of pegs, such as [[3, 2, 1], [], []]. With an input
            `graph`, a mapping from each place to those one can go to, they are places.
        moves: How many moves may be made.
        depth: How many moves the tree looks ahead.
        width: How many moves are looked at in each state.
        revisions: How often the actor may propose again when the monitor refused its moves.
        subgoals: How many subgoals there may be; 0 goes straight for the goal.

    Raises:
        InputError: `start`, `goal` or `graph` cannot be read.
        ExpansionError: The goal is not reached, or the actor proposes no valid move.
        ModelError: A call failed for good.
    """
    domain, start, goal = _problem(task)
    wanted = await decompose(domain, start, goal, subgoals) if subgoals else []
    targets = [*dict.fromkeys(wanted), goal]
    made: list[str] = []
    visited = [start]
    while (state := visited[-1]) != goal:
        targets = targets[1:] if state == targets[0] else targets
        if len(made) == moves:
            raise ExpansionError(
                step="map_planner",
                problem=f"{moves} moves led to {state}, not to {goal}; raise `moves`",
            )
        search = Search(
            domain=domain,
            target=targets[0],
            width=width,
            revisions=revisions,
            visited=tuple(visited),
        )
        best = await look_ahead.named(f"move {len(made) + 1}")(search, state, depth)
        if best is None:
            problem = f"the actor proposed no valid move from {state} in {revisions + 1} attempts"
            raise ExpansionError(step="map_planner", problem=problem)
        note(f"{best.move}: {best.state}, about {best.left} moves from {targets[0]}")
        made.append(best.move)
        visited.append(best.state)
    return Result(output=made)


@flow
async def decompose(domain: Domain, start: str, goal: str, most: int) -> list[str]:
    """Return subgoals that are states of the domain, in order: the task decomposer."""
    ask = f"Start: {start}\nGoal: {goal}\n{DECOMPOSE.format(most=most)}"
    try:
        said = (await generate(ask, output=Subgoals, system=domain.rules)).states[:most]
    except MalformedReplyError as error:
        note(f"no subgoals: {error}")
        return []
    found: list[str] = []
    for text in said:
        try:
            found.append(domain.state(text))
        except ValueError as error:
            note(f"a subgoal is left out: {error}")
    return [state for state in found if state not in (start, goal)]


@flow
async def look_ahead(search: Search, state: str, depth: int) -> Option | None:
    """Return the move from which the fewest are left, the first of equals; None without a valid one."""
    options = await propose(search, state)
    fresh = [option for option in options if option.state not in search.visited] or options
    further = search.model_copy(update={"visited": (*search.visited, state)})

    async def left(option: Option) -> int:
        if option.state == search.target:
            return 0
        if depth > 1 and (best := await look_ahead(further, option.state, depth - 1)) is not None:
            return best.left + 1
        return await evaluate(search.domain, option.state, search.target)

    costs = await parallel(left(option) for option in fresh)
    valued = [
        option.model_copy(update={"left": cost}) for option, cost in zip(fresh, costs, strict=True)
    ]
    return min(valued, key=lambda option: option.left, default=None)


@flow
async def propose(search: Search, state: str) -> list[Option]:
    """Return up to `width` valid moves: the actor proposes, the monitor refuses with the reason."""
    before = "; ".join(search.visited[-MAX_TOLD_STATES:])
    ask = f"State: {state}\nGoal: {search.target}\nStates so far: {before}\n{ACT.format(width=search.width)}"
    said = [Message(role="system", text=search.domain.rules), Message(role="user", text=ask)]
    valid: dict[str, Option] = {}
    for _attempt in range(search.revisions + 1):
        try:
            moves = (await generate(said, output=Moves)).moves[: search.width]
        except MalformedReplyError as error:
            note(f"the actor said no moves: {error}")
            break
        refused = _monitored(search.domain, state, moves, valid)
        if valid and not refused:
            break
        told = "\n".join(refused) or "There is no move."
        said += [
            Message(role="assistant", text=Moves(moves=moves).model_dump_json()),
            Message(role="user", text=f"{told}\nPropose other moves."),
        ]
    return list(valid.values())[: search.width]


@flow
async def evaluate(domain: Domain, state: str, target: str) -> int:
    """Estimate how many moves are left: the evaluator."""
    ask = f"State: {state}\nGoal: {target}\n{EVALUATE}"
    return (await generate(ask, output=Estimate, system=domain.rules)).moves_left


def _monitored(domain: Domain, state: str, moves: list[str], valid: dict[str, Option]) -> list[str]:
    """Add the valid moves, by the state each leads to; return why the others are refused."""
    refused = []
    for move in moves:
        try:
            reached = domain.after(state, move)
        except ValueError as error:
            refused.append(f"{cut(move, MAX_SHOWN_CHARS)!r} is not allowed: {error}.")
        else:
            valid.setdefault(reached, Option(move=move.strip(), state=reached))
    return refused


def _problem(task: Task) -> tuple[Domain, str, str]:
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
        raise InputError(step="map_planner", problem=problem) from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
