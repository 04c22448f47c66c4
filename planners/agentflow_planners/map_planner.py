"""MAP: a planner of small modules, each of which does what a part of the prefrontal cortex is said to do.

Source: Webb et al., A Prefrontal Cortex-inspired Architecture for Planning in Large Language Models,
  arXiv:2310.00194.
Cost: hundreds of calls: 1 + moves x up to (width + width² + ...) proposals and estimates.
Needs: nothing.
Published: Tower of Hanoi with 3 disks 74.2 % (GPT-4, five runs from 66.7 to 83.3); Valuepath 100, Tree of
  Thoughts 54.9 (GPT-4); Detour 85.4, Tree of Thoughts 33.2 (GPT-4); RewardReval 47.7, Tree of Thoughts
  36.4 (GPT-4).

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

from pydantic import Field

from agentflow import Result, Task, flow, generate, note, parallel
from agentflow.errors import ExpansionError, MalformedReplyError
from agentflow_planners.shared.domains import Domain, given_problem
from agentflow_planners.shared.replies import exchange, opening, sized
from agentflow_planners.shared.sampling import attempt_options
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import Brief, cut

MAX_SHOWN_CHARS = 200
MAX_TOLD_STATES = 20
DECOMPOSE = """\
Give up to {most} states, in order, through which to go from the start to the goal, so that each is \
easier to reach than the whole. Give none if the goal is near."""
ACT = (
    "Propose {width} different moves that each are allowed in this state and lead towards the goal."
)
EVALUATE = "Estimate the smallest number of moves from this state to the goal."


class Search(Frozen):
    """What stays the same during the search for one move."""

    domain: Domain
    target: str
    width: int
    revisions: int
    visited: tuple[str, ...]


class Subgoals(Frozen):
    """States on the way, as a model writes them."""

    states: list[Brief]


class Moves(Frozen):
    """Moves, as a model writes them."""

    moves: list[Brief]


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
    revisions: Number = 10,
    subgoals: Number = 3,
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
    domain, start, goal = given_problem(task, step="map_planner")
    wanted = await decompose(domain, start, goal, subgoals) if subgoals else []
    targets = [*dict.fromkeys(wanted), goal]
    made: list[str] = []
    visited = [start]
    while (state := visited[-1]) != goal:
        targets = targets[1:] if state == targets[0] else targets
        if len(made) == moves:
            problem = f"{moves} moves led to {state}, not to {goal}; raise `moves`"
            raise ExpansionError(step="map_planner", problem=problem)
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
    form = sized(Subgoals, states=(0, most))
    ask = f"Start: {start}\nGoal: {goal}\n{DECOMPOSE.format(most=most)}"
    try:
        said = (await generate(ask, output=form, system=domain.rules)).states[:most]
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
    ask = f"State: {state}\nGoal: {search.target}\n{search.domain.told(state)}\nStates so far: {before}\n{ACT.format(width=search.width)}"
    said = opening(search.domain.rules, ask)
    valid: dict[str, Option] = {}
    form = sized(Moves, moves=(1, search.width))
    for attempt in range(search.revisions + 1):
        options = await attempt_options(attempt)
        try:
            moves = (await generate(said, output=form, **options)).moves[: search.width]
        except MalformedReplyError as error:
            note(f"the actor said no moves: {error}")
            break
        refused = _monitored(search.domain, state, moves, valid)
        if valid and not refused:
            break
        told = "\n".join(refused) or "There is no move."
        said += exchange(Moves(moves=moves), f"{told}\nPropose other moves.")
    return list(valid.values())[: search.width]


@flow
async def evaluate(domain: Domain, state: str, target: str) -> int:
    """Estimate how many moves are left: the evaluator."""
    ask = f"State: {state}\nGoal: {target}\n{domain.told(state)}\n{EVALUATE}"
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
