"""Plan and execute: a typed plan, side by side where it can be, and planned again where it failed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.plan_and_execute import plan_and_execute

from agentflow import Task, tool
from agentflow.errors import ExpansionError
from tests.planners.scripts import Acting, Meeting, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Compare two towns.", inputs={"year": 1900})


@tool
def people(town: str) -> int:
    """Return how many people live in a town."""
    return {"Ulm": 120, "Bonn": 330}[town]


def plan(*subtasks: tuple[str, str, tuple[str, ...]]) -> str:
    return json.dumps({"subtasks": [{"id": i, "goal": g, "needs": n} for i, g, n in subtasks]})


TOWNS = plan(
    ("ulm", "Count Ulm.", ()),
    ("bonn", "Count Bonn.", ()),
    ("larger", "Say which is larger.", ("ulm", "bonn")),
)


def script(plans: list[str], **parts: Any) -> Callable[[str], str]:
    """Answer sub-tasks by the beginning of their goals, and everything else with the next plan."""

    def answer(prompt: str) -> str:
        for word, reply in parts.items():
            if prompt.startswith(word):
                return str(reply.pop(0) if isinstance(reply, list) else reply)
        return plans.pop(0)

    return answer


async def test_sub_tasks_that_do_not_need_each_other_are_done_side_by_side(journal: str) -> None:
    answers = script([TOWNS], Count="about 100", Say="Bonn")
    model = Meeting(answers, ["Count Ulm.", "Count Bonn."])
    result = await solved(plan_and_execute, model, TASK, journal=journal)
    assert result.output.output == "Bonn"
    last = model.asked[-1]
    assert "ulm:\nabout 100" in last
    assert "This is a part of: Compare two towns." in last
    steps = {step.name: step for step in result.record.steps.values()}
    assert set(steps["larger"].links) == {steps["ulm"].number, steps["bonn"].number}


async def test_the_executors_have_the_tools_and_the_answer_its_shape(journal: str) -> None:
    def answer(prompt: str) -> str:
        if prompt.startswith("Count"):
            town = "Ulm" if "Ulm" in prompt else "Bonn"
            return f"CALL people {json.dumps({'town': town})}"
        return {"120": "120 people", "330": "330 people"}.get(prompt) or inner(prompt)

    inner = script([TOWNS], Say='{"town": "Bonn"}')
    schema = {"type": "object", "properties": {"town": {"type": "string"}}}
    task = TASK.model_copy(update={"tools": ("people",), "output_schema": schema})
    model = Acting(answer)
    result = await solved(plan_and_execute, model, task, journal=journal, tools=[people])
    assert result.output.output == {"town": "Bonn"}
    assert "people(town)  # Return how many people live in a town." in model.asked[0]


async def test_a_failed_sub_task_takes_only_those_with_it_that_need_it(journal: str) -> None:
    again = plan(("guess", "Guess Bonn.", ()), ("end", "Say it.", ("ulm", "guess")))
    plans = [TOWNS, again]
    inner = script(plans, Count="120", Guess="330", Say="Bonn")
    model = Acting(lambda prompt: "FAILED: no list" if "Count Bonn" in prompt else inner(prompt))
    result = await solved(plan_and_execute, model, TASK, journal=journal)
    assert result.output.output == "Bonn"
    request = next(prompt for prompt in model.asked if "These sub-tasks failed" in prompt)
    assert "These results are there:\nulm: 120" in request
    assert "bonn: no list\nlarger: not begun, since 'bonn' failed" in request
    assert "ulm:\n120" in model.asked[-1], "a new sub-task may need an earlier result"
    assert sum("Count Ulm." in prompt for prompt in model.asked) == 1, "it is not done again"


async def test_a_plan_that_fails_to_the_end_is_a_typed_error(journal: str) -> None:
    one = plan(("only", "Count all.", ()))
    model = Acting(script([one, one], Count="FAILED: too many"))
    with pytest.raises(ExpansionError, match="sub-task 'only' failed: too many"):
        await solved(plan_and_execute, model, TASK, journal=journal)


async def test_more_plans_can_be_asked_for_and_none(journal: str) -> None:
    one = plan(("only", "Count all.", ()))
    patient = Acting(script([one, one, one], Count=["FAILED: 1", "FAILED: 2", "450"]))
    result = await solved(plan_and_execute, patient, TASK, journal=journal, replans=2)
    assert result.output.output == "450"
    hasty = Acting(script([one], Count="FAILED: 1"))
    with pytest.raises(ExpansionError):
        await solved(plan_and_execute, hasty, TASK, journal=journal, replans=0)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (plan(("a", "A.", ("b",)), ("b", "B.", ("a",))), "sub-tasks need each other in a circle"),
        (plan(("a", "A.", ("z",))), "there is no sub-task 'z'"),
        (plan(("year", "A.", ())), "'year' is the name of what is there already"),
        (plan(("a", "A.", ()), ("a", "B.", ())), "sub-task 'a' is there twice"),
        (plan(), "give between 1 and 8 sub-tasks, not 0"),
        (plan(*((f"s{n}", "A.", ()) for n in range(9))), "give between 1 and 8 sub-tasks, not 9"),
    ],
)
async def test_a_plan_that_is_not_sound_is_asked_again_with_the_reason(
    bad: str, said: str, journal: str
) -> None:
    model = Acting(script([bad, plan(("a", "Count.", ("year",)))], Count="1"))
    result = await solved(plan_and_execute, model, TASK, journal=journal)
    assert result.output.output == "1"
    assert f"That does not work: {said}" in model.asked[1]


async def test_a_model_that_plans_no_sound_plan_is_a_typed_error(journal: str) -> None:
    bad = plan(("a", "A.", ("z",)))
    with pytest.raises(ExpansionError, match="no sound plan in 3 attempts; the last: there is no"):
        await solved(plan_and_execute, Acting(script([bad] * 3)), TASK, journal=journal)


async def test_with_effects_in_reach_sub_tasks_go_one_after_another(journal: str) -> None:
    order: list[str] = []

    @tool(effect=True)
    def paint(thing: str) -> str:
        """Paint."""
        order.append(thing)
        return "wet"

    def answer(prompt: str) -> str:
        if prompt == "wet":
            return "done"
        if prompt.startswith("Paint"):
            return f"CALL paint {json.dumps({'thing': prompt.split()[1]})}"
        return plans.pop(0)

    plans = [plan(("c", "Paint c", ("a",)), ("a", "Paint a", ()), ("b", "Paint b", ()))]
    task = Task(goal="Paint all.", tools=("paint",))
    result = await solved(plan_and_execute, Acting(answer), task, journal=journal, tools=[paint])
    assert order == ["a", "c", "b"]
    steps = {step.name: step for step in result.record.steps.values()}
    assert steps["b"].links == (steps["c"].number,)
