"""MAP: modules for planning; rules are code, so what breaks one never becomes a state."""

import json
import re
from collections import deque
from typing import Any

import pytest
from agentflow_planners.map_planner import map_planner
from agentflow_planners.shared.domains import Graph, Hanoi
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, InputError, ModelRequestError
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

RULES = Hanoi(disks=3, pegs=3)
TASK = Task(
    goal="Move the tower.", inputs={"start": [[3, 2, 1], [], []], "goal": [[], [], [3, 2, 1]]}
)
ROOMS = {"hall": ["kitchen", "den"], "den": ["hall"], "kitchen": ["yard"], "yard": []}
ALL_MOVES = [f"Move {d} from {a} to {b}" for d in (1, 2, 3) for a in "ABC" for b in "ABC"]


def allowed(state: str) -> dict[str, str]:
    """Return the allowed moves by trying all, each with the state it leads to."""
    found = {}
    for move in ALL_MOVES:
        try:
            found[move] = RULES.after(state, move)
        except ValueError:
            continue
    return found


def distance(state: str, goal: str) -> int:
    """Return the fewest moves between two states, by breadth-first search."""
    seen, queue = {state: 0}, deque([state])
    while goal not in seen:
        at = queue.popleft()
        for reached in allowed(at).values():
            if reached not in seen:
                seen[reached] = seen[at] + 1
                queue.append(reached)
    return seen[goal]


class Player(Acting):
    """An actor that proposes moves of its choice, and an evaluator that knows the distances."""

    def __init__(self, moves: Any = None, subgoals: Any = ()) -> None:
        super().__init__(self.reply)
        self.moves = moves or perfect
        self.subgoals = subgoals
        self.at = ("", "")

    def reply(self, prompt: str) -> str:
        if prompt.startswith("Start"):
            return json.dumps({"states": list(self.subgoals)})
        if found := re.search(r"^State: (.*)\nGoal: (.*)$", prompt, re.MULTILINE):
            self.at = found[1], found[2]
        if "Estimate" in prompt:
            return json.dumps({"moves_left": distance(*self.at)})
        return json.dumps({"moves": self.moves(*self.at)})


def perfect(state: str, goal: str) -> list[str]:
    """Return the best move and one other."""
    return sorted(allowed(state), key=lambda move: distance(allowed(state)[move], goal))[:2]


def played(moves: list[str]) -> list[str]:
    """Return the states of a game; raises where a move breaks a rule."""
    states = ["[[3, 2, 1], [], []]"]
    for move in moves:
        states.append(RULES.after(states[-1], move))
    return states


async def test_a_scripted_actor_solves_three_disks_in_the_fewest_moves(journal: str) -> None:
    result = await solved(map_planner, Player(perfect), TASK, journal=journal)
    moves = result.output.output
    assert played(moves)[-1] == "[[], [], [3, 2, 1]]"
    assert len(moves) == 7


async def test_the_search_finds_its_way_when_the_actor_does_not_look_at_the_goal(
    journal: str,
) -> None:
    player = Player(lambda state, _goal: list(allowed(state)))
    result = await solved(map_planner, player, TASK, journal=journal, width=3)
    assert len(result.output.output) == 7


async def test_an_invalid_proposal_never_becomes_a_state(journal: str) -> None:
    invalid = [move for move in ALL_MOVES if move not in allowed("[[3, 2, 1], [], []]")]
    assert len(invalid) == 25
    rejected = iter([*invalid, "Move 1 to C", "Jump", "Move 1 from A to Z", "Move 1 from D to A"])

    def moves(state: str, goal: str) -> list[str]:
        bad = [move for move in (next(rejected, None), next(rejected, None)) if move]
        return (
            [*bad, perfect(state, goal)[0]]
            if bad and not allowed_in(bad, state)
            else perfect(state, goal)
        )

    def allowed_in(bad: list[str], state: str) -> bool:
        return any(move in allowed(state) for move in bad)

    player = Player(moves)
    result = await solved(map_planner, player, TASK, journal=journal, depth=1, width=3, moves=40)
    states = played(result.output.output)
    shown = {
        json.dumps(json.loads(state))
        for state in re.findall(r"State: (.*)", "\n".join(player.asked))
    }
    assert all(RULES.state(state) == state for state in shown)
    reachable = set(states) | {reached for state in states for reached in allowed(state).values()}
    assert shown <= reachable
    assert any("is not allowed" in prompt for prompt in player.asked)


async def test_the_monitor_says_which_rule_a_move_breaks(journal: str) -> None:
    replies = [["Move 3 from A to C", "Move 1 from A to A"], ["Move 1 from A to C"] * 2]

    def moves(state: str, goal: str) -> list[str]:
        return replies.pop(0) if replies else perfect(state, goal)

    player = Player(moves)
    await solved(map_planner, player, TASK, journal=journal, depth=1)
    refusal = next(prompt for prompt in player.asked if "is not allowed" in prompt)
    assert "'Move 3 from A to C' is not allowed: disk 3 is not the top one of peg A." in refusal
    assert "'Move 1 from A to A' is not allowed: it takes two different pegs of 3." in refusal


async def test_an_actor_without_a_valid_move_ends_the_run_after_its_revisions(journal: str) -> None:
    player = Player(lambda *_at: ["Move 3 from A to C"])
    told = "no valid move from .* in 3 attempts"
    with pytest.raises(ExpansionError, match=told):
        await solved(map_planner, player, TASK, journal=journal, revisions=2, subgoals=0)
    assert len(player.asked) == 3


async def test_a_mute_actor_is_a_typed_error_too(journal: str) -> None:
    with pytest.raises(ExpansionError, match="no valid move"):
        await solved(map_planner, Acting(lambda _prompt: "hm"), TASK, journal=journal)


async def test_the_goal_has_to_be_reached_within_the_moves(journal: str) -> None:
    with pytest.raises(ExpansionError, match=r"6 moves led to .*; raise `moves`"):
        await solved(map_planner, Player(perfect), TASK, journal=journal, moves=6)


async def test_subgoals_are_gone_for_in_turn_and_false_ones_left_out(journal: str) -> None:
    halfway = "[[3], [2, 1], []]"
    subgoals = ["[[1, 2], [], [3]]", "[[3, 2, 1], [], []]", halfway, "[[], [2, 1], [3]]"]
    player = Player(perfect, subgoals)
    result = await solved(map_planner, player, TASK, journal=journal, subgoals=9)
    assert len(result.output.output) == 7
    goals = re.findall(r"Goal: (.*)\nOn peg .*\nStates so far", "\n".join(player.asked))
    assert list(dict.fromkeys(goals)) == [halfway, subgoals[3], "[[], [], [3, 2, 1]]"]
    assert "a subgoal is left out: a larger disk lies on a smaller one" in notes_of(result)


async def test_branches_of_the_tree_are_searched_side_by_side(journal: str) -> None:
    class Together(Player, Meeting):
        def __init__(self) -> None:
            leaves = [f"State: {state}\nGoal" for state in allowed("[[3, 2, 1], [], []]").values()]
            Meeting.__init__(self, self.reply, leaves)
            self.moves, self.subgoals, self.at = perfect, (), ("", "")

    result = await solved(map_planner, Together(), TASK, journal=journal, depth=1)
    assert len(result.output.output) == 7


async def test_depth_and_width_bound_the_calls_for_a_move(journal: str) -> None:
    player = Player(lambda state, _goal: list(allowed(state)) * 50)
    with pytest.raises(ExpansionError, match="1 moves led to"):
        await solved(map_planner, player, TASK, journal=journal, moves=1, subgoals=0)
    acting = [prompt for prompt in player.asked if "Propose" in prompt]
    estimates = [prompt for prompt in player.asked if "Estimate" in prompt]
    assert (len(acting), len(estimates)) == (1 + 2, 2 * 1), "back at the start does not count"


async def test_a_graph_is_rules_as_data_and_its_dead_ends_are_left_again(journal: str) -> None:
    ways = ROOMS | {"den": ["hall", "attic"], "attic": ["den"]}
    task = Task(goal="Go.", inputs={"graph": ways, "start": "hall", "goal": "yard"})
    wrong = [["Go to yard"], ["Go to den"]]
    rooms = {"hall": "kitchen", "den": "attic", "attic": "den", "kitchen": "yard"}

    def answer(prompt: str) -> str:
        if prompt.startswith("Start"):
            return '{"states": ["cellar"]}'
        if "Estimate" in prompt:
            return '{"moves_left": 1}'
        if wrong:
            return json.dumps({"moves": wrong.pop(0)})
        state = re.search(r"State: (.*)", prompt)[1]  # type: ignore[index]
        back = "attic" in prompt.split("States so far: ")[1]
        place = "hall" if back and state == "den" else rooms[state]
        return json.dumps({"moves": [f"go to {place}"]})

    model = Acting(answer)
    result = await solved(map_planner, model, task, journal=journal, depth=1)
    moves = result.output.output
    assert moves[0] == "Go to den"
    assert [move.lower() for move in moves][-2:] == ["go to kitchen", "go to yard"]
    assert any("From hall one can go to: kitchen, den" in prompt for prompt in model.asked)


async def test_a_resumed_run_repeats_no_finished_call(journal: str) -> None:
    class Failing(Player):
        def reply(self, prompt: str) -> str:
            if len(self.asked) == 9:
                raise ModelRequestError(model="scripted:model", problem="down")
            return super().reply(prompt)

    failing, player = Failing(perfect), Player(perfect)
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=failing).run_as("r1", map_planner, TASK, depth=1)
    result = await Runner(journal=journal, model=player).resume(map_planner, "r1")
    assert len(result.output.output) == 7
    whole = Player(perfect)
    await Runner(journal=journal, model=whole).run_async(map_planner, TASK, depth=1)
    assert len(player.asked) <= len(whole.asked) - 7


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"start": "A", "goal": "B"},
        {"start": [[1, 2]], "goal": [[2, 1]]},
        {"start": [[1], []], "goal": [[2], []]},
        {"start": [[True], []], "goal": [[], [1]]},
        {"start": [[1], []], "goal": [[], [1], []]},
        {"start": "hall", "goal": "moon", "graph": ROOMS},
        {"start": "hall", "goal": "yard", "graph": ["hall"]},
        {"start": {1, 2}, "goal": [[1]]},
    ],
)
async def test_a_problem_that_breaks_the_rules_is_a_typed_error(
    inputs: dict[str, Any], journal: str
) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        await solved(map_planner, Acting(str), Task(goal="Go.", inputs=inputs), journal=journal)


async def test_at_the_goal_nothing_is_to_be_done(journal: str) -> None:
    task = Task(goal="Go.", inputs={"start": [[1], []], "goal": [[1], []]})
    result = await solved(map_planner, Player(), task, journal=journal, subgoals=0)
    assert result.output.output == []


@given(st.lists(st.sampled_from(ALL_MOVES), max_size=60))
def test_whatever_is_proposed_every_state_keeps_the_rules(moves: list[str]) -> None:
    state = "[[3, 2, 1], [], []]"
    for move in moves:
        try:
            state = RULES.after(state, move)
        except ValueError:
            continue
        pegs = json.loads(state)
        assert sorted(disk for peg in pegs for disk in peg) == [1, 2, 3]
        assert all(peg == sorted(peg, reverse=True) for peg in pegs)


def test_all_states_of_three_disks_can_be_reached_and_no_others() -> None:
    seen, queue = set[str](), ["[[3, 2, 1], [], []]"]
    while queue:
        state = queue.pop()
        if state not in seen:
            seen.add(state)
            queue += allowed(state).values()
    assert len(seen) == 27


def test_a_way_to_a_place_that_is_not_there_is_no_way() -> None:
    graph = Graph(ways={"a": ("b",)}, rules="")
    with pytest.raises(ValueError, match="there is no place 'b'"):
        graph.after("a", "Go to b")
