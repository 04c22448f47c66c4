"""HTDAG: nodes that become DAGs when their inputs are known, and levels drawn up anew."""

import json
from typing import Any

import pytest
from agentflow_planners.htdag import CHECK, JUDGE, SPLIT, htdag

from agentflow import Runner, Task, tool
from agentflow.errors import ExpansionError, ModelRequestError
from tests.planners.delegates import REFUSES, goal_of, overlap
from tests.planners.scripts import Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

GOAL = "Plan the summer fair."
TASK = Task(goal=GOAL, inputs={"year": 1900})
FIND, COOK, WRITE = "Find a place.", "Choose the food.", "Write it all down."


def plan(*subtasks: tuple[str, str, tuple[str, ...]]) -> str:
    return json.dumps({"subtasks": [{"id": i, "goal": g, "needs": n} for i, g, n in subtasks]})


def verdict(yes: bool) -> str:
    return json.dumps({"reason": "so", "yes": yes})


FAIR = plan(
    ("place", FIND, ()), ("food", COOK, ("year",)), ("text", WRITE, ("place", "food")),
)  # fmt: skip


class Fair(Meeting):
    """A model that plays planner, judge, watcher and executors, each from its own script."""

    def __init__(
        self,
        plans: dict[str, list[str]],
        does: dict[str, list[str]],
        *,
        checks: tuple[bool, ...] = (),
        meet: tuple[str, ...] = (),
    ) -> None:
        self.plans = {goal: list(drafts) for goal, drafts in plans.items()}
        self.does = {goal: list(replies) for goal, replies in does.items()}
        self.checks = list(checks)
        super().__init__(lambda _prompt: self._reply(), meet)

    def _reply(self) -> str:
        request = self.requests[-1]
        role, known = request.messages[0].text, [*self.plans, *self.does]
        goal = goal_of(request, known)
        if role == JUDGE:
            return verdict(goal not in self.plans)
        if role == CHECK:
            return verdict(self.checks.pop(0) if self.checks else True)
        reply = (self.plans if role == SPLIT else self.does)[goal].pop(0)
        if reply == REFUSES:
            raise ModelRequestError(model="scripted:model", problem="no")
        return reply

    def prompts(self, role: str, goal: str = "") -> list[str]:
        """Return what was asked in a role, of one task or of all."""
        asked = [item.messages for item in self.requests if item.messages[0].text == role]
        return [turns[1].text for turns in asked if turns[1].text.startswith(goal)]


DONE = {FIND: ["the meadow"], COOK: ["soup"], WRITE: ["Soup on the meadow."]}


async def test_an_atomic_task_is_carried_out_and_never_planned(journal: str) -> None:
    model = Fair({}, {GOAL: ["Done."]})
    assert (await solved(htdag, model, TASK, journal=journal)).output.output == "Done."
    assert len(model.asked) == 2


async def test_sub_tasks_that_do_not_need_each_other_overlap_in_the_journal(journal: str) -> None:
    model = Fair({GOAL: [FAIR]}, DONE, meet=(FIND, COOK))
    result = await solved(htdag, model, TASK, journal=journal)
    assert result.output.output == "Soup on the meadow."
    assert overlap(journal, result.id, "place", "food")
    assert not overlap(journal, result.id, "place", "text")


async def test_a_node_is_judged_and_divided_with_its_inputs_in_sight(journal: str) -> None:
    pages = plan(("one", "Write page one.", ()), ("two", "Write page two.", ("one",)))
    does = {FIND: ["the meadow"], COOK: ["soup"]}
    does |= {"Write page one.": ["p1"], "Write page two.": ["p2"]}
    model = Fair({GOAL: [FAIR], WRITE: [pages]}, does)
    result = await solved(htdag, model, TASK, journal=journal)
    assert result.output.output == "p2"
    for role in (JUDGE, SPLIT):
        (prompt,) = model.prompts(role, WRITE)
        assert "place:\nthe meadow" in prompt
        assert "food:\nsoup" in prompt
    before = [item.messages[1].text for item in model.requests]
    assert before.index(model.prompts(SPLIT, WRITE)[0]) > max(
        index for index, text in enumerate(before) if text.startswith((FIND, COOK))
    ), "it is planned when it begins, not with its level"


async def test_the_rest_of_a_level_is_checked_after_each_sub_task_and_drawn_up_anew(
    journal: str,
) -> None:
    rest = plan(("tent", "Rent a tent.", ("place",)), ("end", "Say it.", ("tent", "food")))
    does = {
        FIND: ["the meadow"],
        COOK: ["soup"],
        "Rent a tent.": ["white"],
        "Say it.": ["All set."],
    }
    model = Fair({GOAL: [FAIR, rest]}, does, checks=(False,))
    result = await solved(htdag, model, TASK, journal=journal)
    assert result.output.output == "All set."
    assert "text (needs ['place', 'food']): Write it all down." in model.prompts(CHECK)[0]
    assert "the rest is drawn up anew: tent, end" in notes_of(result)
    assert "text" not in {step.name for step in result.record.steps.values()}


async def test_the_rest_is_drawn_up_anew_no_more_often_than_allowed(journal: str) -> None:
    def step(number: int) -> tuple[str, str, tuple[str, ...]]:
        return (f"s{number}", f"Do {number}.", ())

    def chain(first: int) -> str:
        return plan(step(first), (f"s{first + 1}", f"Do {first + 1}.", (f"s{first}",)))

    does = {f"Do {number}.": [str(number)] for number in range(5)}
    model = Fair({GOAL: [chain(0), chain(1), chain(2)]}, does, checks=(False,) * 5)
    result = await solved(htdag, model, TASK, journal=journal, revisions=2)
    assert result.output.output == "3"
    assert len(model.prompts(CHECK)) == 2


async def test_a_failure_is_got_over_on_its_own_level(journal: str) -> None:
    rest = plan(("place", "Take the barn.", ()), ("text", WRITE, ("place", "food")))
    does = {**DONE, FIND: ["FAILED: all taken"], "Take the barn.": ["the barn"]}
    model = Fair({GOAL: [FAIR, rest]}, does, meet=())
    result = await solved(htdag, model, TASK, journal=journal)
    assert result.output.output == "Soup on the meadow."
    assert "place failed: all taken" in model.prompts(SPLIT)[1]
    assert sum(step.name == "food" for step in result.record.steps.values()) == 1


async def test_a_level_that_cannot_get_over_it_hands_it_to_the_one_above(journal: str) -> None:
    hunt = plan(("ask", "Ask around.", ()), ("pick", "Pick one.", ("ask",)))
    barn = plan(("barn", "Take the barn.", ()), ("text", WRITE, ("barn", "food")))
    more = plan(("call", "Call the town.", ()))
    does = {**DONE, "Ask around.": ["FAILED: shut"], "Call the town.": ["FAILED: no answer"]}
    does["Take the barn."] = ["the barn"]
    model = Fair({GOAL: [FAIR, barn], FIND: [hunt, more]}, does)
    result = await solved(htdag, model, TASK, journal=journal, revisions=1, depth=2, width=4)
    assert result.output.output == "Soup on the meadow."
    assert len(model.prompts(SPLIT, FIND)) == 2, "its own level first"
    assert "place failed: sub-task 'call' failed: no answer" in model.prompts(SPLIT, GOAL)[1]


async def test_a_failure_nobody_gets_over_is_a_typed_error(journal: str) -> None:
    model = Fair({GOAL: [FAIR]}, {**DONE, FIND: ["FAILED: all taken"]})
    with pytest.raises(ExpansionError, match=r"sub-task 'place' failed: .*all taken"):
        await solved(htdag, model, TASK, journal=journal, revisions=0)


async def test_a_sub_task_that_restates_its_node_is_not_divided_again(journal: str) -> None:
    same = plan(("place", FIND, ()), ("fair", "Plan the Summer Fair", ("place",)))
    does = {**DONE, "Plan the Summer Fair": ["planned"]}
    model = Fair({GOAL: [same]}, does)
    result = await solved(htdag, model, TASK, journal=journal)
    assert result.output.output == "planned"
    assert "fair is not divided: that is nearly the whole task" in notes_of(result)
    assert model.prompts(JUDGE, "Plan the Summer Fair") == []


async def test_depth_width_and_total_hold(journal: str) -> None:
    model = Fair({GOAL: [FAIR]}, DONE)
    result = await solved(htdag, model, TASK, journal=journal, depth=1)
    assert result.output.output == "Soup on the meadow."
    assert len(model.prompts(JUDGE)) == 1, "the last level is carried out unasked"
    narrow = plan(("all", "Do all.", ()), ("end", "End.", ("all",)))
    small = Fair({GOAL: [FAIR, narrow]}, {"Do all.": ["a"], "End.": ["e"]})
    result = await solved(htdag, small, TASK, journal=journal, total=2)
    assert result.output.output == "e"
    assert any("between 1 and 2 sub-tasks, not 3" in prompt for prompt in small.asked)
    alone = Fair({}, {GOAL: ["Done."]})
    await solved(htdag, alone, TASK, journal=journal, width=1)
    assert len(alone.asked) == 1


async def test_a_model_that_plans_no_sound_rest_is_a_typed_error(journal: str) -> None:
    taken = plan(("food", "Again.", ()))
    model = Fair({GOAL: [FAIR, taken, taken, taken]}, DONE, checks=(True, False))
    with pytest.raises(ExpansionError, match="no sound plan"):
        await solved(htdag, model, TASK, journal=journal)


async def test_with_effects_in_reach_sub_tasks_go_one_after_another(journal: str) -> None:
    order: list[str] = []

    @tool(effect=True)
    def paint(thing: str) -> str:
        """Paint."""
        order.append(thing)
        return "wet"

    def painted(thing: str) -> list[str]:
        return [f"CALL paint {json.dumps({'thing': thing})}", "done"]

    plans = plan(("c", "Paint c.", ("a",)), ("a", "Paint a.", ()), ("b", "Paint b.", ()))
    does: dict[str, Any] = {f"Paint {thing}.": painted(thing) for thing in "abc"}
    model = Fair({GOAL: [plans]}, does)
    task = Task(goal=GOAL, tools=("paint",))
    result = await solved(htdag, model, task, journal=journal, tools=[paint])
    assert sorted(order) == ["a", "b", "c"]
    assert order.index("a") < order.index("c")
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        assert not overlap(journal, result.id, one, other)


async def test_a_resumed_run_goes_on_with_the_level_as_it_was(journal: str) -> None:
    rest = plan(("tent", "Rent a tent.", ("place",)), ("end", "Say it.", ("tent", "food")))
    does = {FIND: ["the meadow"], COOK: ["soup"], "Rent a tent.": [REFUSES]}
    model = Fair({GOAL: [FAIR, rest]}, does, checks=(False,))
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=model).run_as("cut", htdag, TASK)
    again = Fair({}, {"Rent a tent.": ["white"], "Say it.": ["All set."]})
    again.plans[GOAL] = []
    resumed = await Runner(journal=journal, model=again).resume(htdag, "cut")
    assert resumed.output.output == "All set."
    assert not again.prompts(SPLIT)
    assert not again.prompts("", FIND)
    replayed = await Runner(journal=journal).replay(htdag, "cut")
    assert replayed.output == resumed.output
