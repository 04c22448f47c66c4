"""S-agents: a leader, agents below it, and nobody who is idle while a part is ready."""

import json
from typing import Any

import pytest
from agentflow_planners.s_agents import s_agents

from agentflow import Runner, Task, tool
from agentflow.errors import ExpansionError, ModelRequestError
from tests.planners.delegates import REFUSES, overlap
from tests.planners.scripts import Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Make dinner.", inputs={"guests": 4})


def part(name: str, *needs: str) -> dict[str, Any]:
    return {"id": name, "goal": f"Do {name}.", "needs": needs}


def plan(*parts: dict[str, Any]) -> str:
    return json.dumps({"subtasks": parts})


def group(*first: str, meet: tuple[str, ...] = (), **parts: str) -> Meeting:
    """Return a model for the leader, whose replies come in order, and for parts by their names."""
    left = list(first)

    def answer(prompt: str) -> str:
        if not prompt.startswith("Do "):
            reply = left.pop(0)
        else:
            reply = parts.get(prompt.split()[1].rstrip("."), "done")
        if reply == REFUSES:
            raise ModelRequestError(model="scripted:model", problem="no")
        return reply

    return Meeting(answer, meet)


def names(result: Any) -> list[str]:
    """Return who was given what, in the order in which parts were begun."""
    found = [step.name for step in result.record.steps.values() if step.name.startswith("agent_")]
    return list(dict.fromkeys(found))  # a resumed run has begun some of them twice


async def test_an_idle_agent_begins_its_next_part_while_another_is_still_at_work(
    journal: str,
) -> None:
    # The long part is answered once the third is asked for: with a barrier between, nothing would end.
    model = group(
        plan(part("long"), part("short"), part("third")), "eaten", meet=("Do long", "Do third")
    )
    result = await solved(s_agents, model, TASK, journal=journal, agents=2, reviews=0)
    assert result.output.output == "eaten"
    assert names(result) == ["agent_1: long", "agent_2: short", "agent_2: third"]
    assert overlap(journal, result.id, "agent_1: long", "agent_2: third")
    assert not overlap(journal, result.id, "agent_2: short", "agent_2: third")


async def test_there_are_no_more_at_work_than_agents(journal: str) -> None:
    model = group(plan(part("one"), part("two")), "eaten")
    result = await solved(s_agents, model, TASK, journal=journal, agents=1, reviews=0)
    assert names(result) == ["agent_1: one", "agent_1: two"]
    assert not overlap(journal, result.id, "agent_1: one", "agent_1: two")


async def test_a_part_waits_for_what_it_needs_and_sees_it_and_the_inputs(journal: str) -> None:
    model = group(plan(part("lay", "cook"), part("cook")), "eaten", cook="soup")
    await solved(s_agents, model, TASK, journal=journal, reviews=0)
    lay = next(prompt for prompt in model.asked if prompt.startswith("Do lay"))
    assert "This is a part of: Make dinner." in lay
    assert "guests:\n4\n\ncook:\nsoup" in lay
    assert model.asked.index(lay) == 2


async def test_an_agent_remembers_its_own_parts_and_no_others(journal: str) -> None:
    parts = plan(part("one"), part("two"), part("end", "one", "two"))
    model = group(parts, "eaten", one="roast", two="salad")
    result = await solved(s_agents, model, TASK, journal=journal, agents=2, reviews=0)
    assert names(result)[-1] == "agent_1: end"
    end = next(prompt for prompt in model.asked if prompt.startswith("Do end"))
    assert "You have done before:\n- Do one.\n  roast" in end
    assert "- Do two." not in end


async def test_the_leader_thinks_beside_the_agents_and_what_it_adds_is_done(journal: str) -> None:
    # The second part is answered once the leader thinks about the first: it waits for nobody.
    model = group(
        plan(part("one"), part("two")),
        plan(part("three", "one")),
        "eaten",
        meet=("Do two", "Here is news"),
        one="soup",
    )
    result = await solved(s_agents, model, TASK, journal=journal, agents=2, reviews=1)
    assert overlap(journal, result.id, "review 1", "agent_2: two")
    assert names(result)[-1].endswith(": three")
    assert "Found:\none: soup\n\nAt work:\ntwo: Do two." in next(
        prompt for prompt in model.asked if "Here is news" in prompt
    )
    assert "three: done" in model.asked[-1]


async def test_what_the_leader_adds_is_bounded_and_a_name_is_taken_once(journal: str) -> None:
    for added, why in ((plan(part("one")), "'one' is the name"), (plan(part("a"), part("b")), "1")):
        model = group(plan(part("one")), added, "eaten")
        result = await solved(s_agents, model, TASK, journal=journal, total=2)
        assert names(result) == ["agent_1: one"]
        assert f"not added: {'give between 1 and 1' if why == '1' else why}" in notes_of(result)


async def test_what_was_added_before_counts(journal: str) -> None:
    more = plan(part("three"), part("four"))
    model = group(plan(part("one")), plan(part("two")), more, "eaten")
    result = await solved(s_agents, model, TASK, journal=journal, total=3, agents=1)
    assert names(result) == ["agent_1: one", "agent_1: two"]
    assert "not added: give between 1 and 1 sub-tasks, not 2" in notes_of(result)


async def test_the_leader_thinks_no_more_often_than_it_may(journal: str) -> None:
    model = group(plan(part("one")), plan(part("two")), plan(part("three")), "eaten")
    await solved(s_agents, model, TASK, journal=journal, reviews=2, agents=1)
    assert sum("Here is news" in prompt for prompt in model.asked) == 2
    assert len(model.asked) == 7


async def test_a_part_that_fails_is_told_to_the_leader_who_plans_around_it(journal: str) -> None:
    model = group(
        plan(part("cook"), part("lay", "cook")),
        plan(part("order")),
        "eaten",
        cook="FAILED: no stove",
        order="pizza",
    )
    result = await solved(s_agents, model, TASK, journal=journal, reviews=1)
    assert result.output.output == "eaten"
    assert "Failed:\ncook: no stove" in model.asked[2]
    assert "Not begun:\nlay" in model.asked[-1]
    assert "order: pizza" in model.asked[-1]


async def test_that_no_part_was_done_is_an_error(journal: str) -> None:
    model = group(plan(part("cook")), cook="FAILED: no stove")
    with pytest.raises(ExpansionError, match="no part was done; 'cook': no stove"):
        await solved(s_agents, model, TASK, journal=journal, reviews=0)


async def test_a_plan_that_is_none_is_asked_for_again_and_then_an_error(journal: str) -> None:
    circle = plan(part("a", "b"), part("b", "a"))
    model = group(circle, plan(part("a")), "eaten")
    await solved(s_agents, model, TASK, journal=journal, reviews=0)
    assert "in a circle" in model.asked[1]
    with pytest.raises(ExpansionError, match="no sound plan"):
        await solved(s_agents, group(*[circle] * 3), TASK, journal=journal)


async def test_a_thought_of_the_leader_without_its_form_is_noted_and_the_rest_counts(
    journal: str,
) -> None:
    model = group(plan(part("one")), "hm", "hm", "hm", "eaten")
    result = await solved(s_agents, model, TASK, journal=journal, reviews=1)
    assert result.output.output == "eaten"
    assert "the leader adds nothing" in notes_of(result)


async def test_the_answer_has_the_shape_of_the_task(journal: str) -> None:
    task = TASK.model_copy(update={"output_schema": {"type": "integer"}})
    model = group(plan(part("one")), "4")
    result = await solved(s_agents, model, task, journal=journal, reviews=0)
    assert result.output.output == 4


async def test_with_effects_in_reach_parts_are_done_one_after_another(journal: str) -> None:
    @tool(effect=True)
    def paint(thing: str) -> str:
        """Paint."""
        return f"{thing} is wet"

    task = Task(goal="Paint.", tools=("paint",))
    paints = 'CALL paint {"thing": "it"}'
    model = group(plan(part("one"), part("two")), "painted", "dry", one=paints)
    options: dict[str, Any] = {"tools": [paint], "reviews": 0}
    result = await solved(s_agents, model, task, journal=journal, **options)
    assert not overlap(journal, result.id, "agent_1: one", "agent_1: two")
    assert "paint(thing)" in model.asked[0]


async def test_a_resumed_run_hears_its_agents_in_the_order_of_the_run(journal: str) -> None:
    parts = plan(part("long"), part("short"), part("third"))
    meet = ("Do long", "Do third")
    cut = group(parts, REFUSES, meet=meet)
    options: dict[str, Any] = {"agents": 2, "reviews": 0}
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=cut).run_as("cut", s_agents, TASK, **options)
    again = group("eaten")
    resumed = await Runner(journal=journal, model=again).resume(s_agents, "cut")
    assert resumed.output.output == "eaten"
    assert len(again.asked) == 1, "nothing that was done is asked again"
    assert names(resumed) == ["agent_1: long", "agent_2: short", "agent_2: third"]
    replayed = await Runner(journal=journal).replay(s_agents, "cut")
    assert replayed.output == resumed.output


async def test_a_run_cut_off_while_agents_are_at_work_gives_them_the_same_parts_again(
    journal: str,
) -> None:
    parts = plan(part("long"), part("short"), part("third"))
    cut = group(parts, meet=("Do long", "Do third"), third=REFUSES)
    options: dict[str, Any] = {"agents": 2, "reviews": 0}
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=cut).run_as("cut", s_agents, TASK, **options)
    again = group("eaten")
    resumed = await Runner(journal=journal, model=again).resume(s_agents, "cut")
    assert resumed.output.output == "eaten"
    assert names(resumed) == ["agent_1: long", "agent_2: short", "agent_2: third"]
    assert not any(prompt.startswith("Do short") for prompt in again.asked)
