"""ReDel: a root that delegates, helpers side by side, two schemes, and no delegation without end."""

import json
from typing import Any

import pytest
from agentflow_planners.redel import redel

from agentflow import Budget, Runner, Task, tool
from agentflow.errors import ExpansionError, ModelRequestError
from tests.planners.delegates import REFUSES, overlap, troupe
from tests.planners.scripts import solved

pytestmark = pytest.mark.anyio

GOAL = "Which town is larger, Ulm or Bonn?"
TASK = Task(goal=GOAL, inputs={"list": "Ulm 120, Bonn 330"}, context="As of 1900.")
ULM, BONN = "Count the people of Ulm.", "How many live in Bonn?"


def delegate(instructions: str, **more: Any) -> str:
    return f"CALL delegate {json.dumps({'instructions': instructions, **more})}"


def wait(until: str) -> str:
    return f"CALL wait {json.dumps({'until': until})}"


BOTH = f"{delegate(ULM)}\n{delegate(BONN)}"


async def test_helpers_called_side_by_side_overlap_in_the_journal(journal: str) -> None:
    model = troupe({GOAL: [BOTH, "Bonn"], ULM: ["120"], BONN: ["330"]}, meet=[ULM, BONN])
    result = await solved(redel, model, TASK, journal=journal)
    assert result.output.output == "Bonn"
    assert overlap(journal, result.id, "helper_1", "helper_2")
    told = [turn.text for turn in model.requests[-1].messages if turn.role == "tool"]
    assert told == ["120", "330"]


async def test_a_helper_sees_its_instructions_and_the_inputs_named_and_nothing_else(
    journal: str,
) -> None:
    named = f"{delegate(ULM, inputs=['list'])}\n{delegate(BONN)}"
    model = troupe({GOAL: [named, "Bonn"], ULM: ["120"], BONN: ["330"]})
    await solved(redel, model, TASK, journal=journal)
    seen = {turns[-1].text for turns in (item.messages for item in model.requests[1:3])}
    assert seen == {f"{ULM}\n\nlist:\nUlm 120, Bonn 330", BONN}
    assert all(len(item.messages) == 2 for item in model.requests[1:3])


async def test_delegating_nearly_the_own_task_is_refused_and_told(journal: str) -> None:
    whole = delegate("Please: which town is larger, Ulm or Bonn?")
    model = troupe({GOAL: [whole, "Bonn"]})
    result = await solved(redel, model, TASK, journal=journal)
    assert result.output.output == "Bonn"
    assert "nearly the whole task" in model.asked[-1]
    assert not any(step.name.startswith("helper") for step in result.record.steps.values())


async def test_a_helper_that_hands_its_own_task_on_is_refused_too(journal: str) -> None:
    model = troupe({GOAL: [delegate(ULM), "Bonn"], ULM: [delegate(ULM.lower()), "120"]})
    result = await solved(redel, model, TASK, journal=journal)
    assert "nearly the whole task" in model.asked[2]
    assert sum(step.name == "helper_1" for step in result.record.steps.values()) == 1


async def test_the_last_level_has_no_tool_to_delegate_with(journal: str) -> None:
    model = troupe({GOAL: [delegate(ULM), "Bonn"], ULM: [delegate("Look it up."), "120"]})
    await solved(redel, model, TASK, journal=journal, depth=1)
    assert [len(request.tools) for request in model.requests] == [1, 0, 0, 1]
    assert "there is no tool 'delegate'" in model.asked[2]


async def test_more_than_its_width_is_refused(journal: str) -> None:
    model = troupe({GOAL: [BOTH, "120"], ULM: ["120"]})
    await solved(redel, model, TASK, journal=journal, width=1)
    assert "1 are all that one may hand on" in model.asked[-1]


async def test_the_depth_of_the_budget_is_told_and_not_the_end(journal: str) -> None:
    model = troupe({GOAL: [delegate(ULM), "?"], ULM: [delegate("Look it up."), "120"]})
    runner = Runner(journal=journal, model=model, budget=Budget(depth=1))
    assert (await runner.run_async(redel, TASK)).output.output == "?"
    assert "budget of 1 depth" in model.asked[2]


@pytest.mark.parametrize("scheme", ["one", "wait"])
async def test_a_helper_that_fails_is_told_to_who_delegated_and_to_nobody_else(
    scheme: str, journal: str
) -> None:
    waits = [wait("all")] if scheme == "wait" else []
    script = {GOAL: [BOTH, *waits, "Bonn"], ULM: ["FAILED: no list"], BONN: ["330"]}
    model = troupe(script)
    result = await solved(redel, model, TASK, journal=journal, scheme=scheme)
    assert result.output.output == "Bonn"
    told = [turn.text for turn in model.requests[-1].messages if turn.role == "tool"]
    assert any("no list" in text for text in told)
    assert any("330" in text for text in told)


async def test_a_root_that_gives_up_or_never_ends_is_a_typed_error(journal: str) -> None:
    with pytest.raises(ExpansionError, match="redel: cannot know"):
        await solved(redel, troupe({GOAL: ["FAILED: cannot know"]}), TASK, journal=journal)
    endless = troupe({GOAL: [delegate(ULM)] * 3, ULM: ["120"] * 3})
    with pytest.raises(ExpansionError, match="no answer after 2 turns"):
        await solved(redel, endless, TASK, journal=journal, turns=2)


async def test_helpers_have_the_tools_and_the_root_only_if_it_may(journal: str) -> None:
    @tool
    def people(town: str) -> int:
        """Return how many people live in a town."""
        return {"Ulm": 120}[town]

    task = TASK.model_copy(update={"tools": ("people",)})
    script = {GOAL: [delegate(ULM), "Ulm"], ULM: ['CALL people {"town": "Ulm"}', "120"]}
    for has_tools, names in ((False, ["delegate"]), (True, ["people", "delegate"])):
        model, tools = troupe(script), [people]
        options = {"root_has_tools": has_tools}
        await solved(redel, model, task, journal=journal, tools=tools, **options)
        assert [spec.name for spec in model.requests[0].tools] == names
        assert [spec.name for spec in model.requests[1].tools] == ["people", "delegate"]


async def test_the_next_is_whoever_is_done_first_and_the_rest_is_waited_for(journal: str) -> None:
    script = {
        GOAL: [BOTH, wait("next"), wait("helper_1"), "Bonn"],
        ULM: ["120"],
        BONN: ["330"],
    }
    model = troupe(script, meet=[ULM, "helper_2: 330"])  # Ulm is done once Bonn has been heard of
    result = await solved(redel, model, TASK, journal=journal, scheme="wait")
    told = [turn.text for turn in model.requests[-1].messages if turn.role == "tool"]
    assert told == ["helper_1 is at work", "helper_2 is at work", "helper_2: 330", "helper_1: 120"]
    assert overlap(journal, result.id, "helper_1", "helper_2")


async def test_a_resumed_run_hears_its_helpers_in_the_order_of_the_run(journal: str) -> None:
    script = {GOAL: [BOTH, wait("next"), wait("next"), REFUSES], ULM: ["120"], BONN: ["330"]}
    model = troupe(script, meet=[ULM, "helper_2: 330"])
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=model).run_as("cut", redel, TASK, scheme="wait")
    again = troupe({GOAL: ["Bonn"]})
    resumed = await Runner(journal=journal, model=again).resume(redel, "cut")
    assert resumed.output.output == "Bonn"
    assert again.asked == ["helper_1: 120"], "nothing that was finished is asked again"
    replayed = await Runner(journal=journal).replay(redel, "cut")
    assert replayed.output == resumed.output


async def test_helpers_nobody_has_waited_for_are_heard_before_the_answer_counts(
    journal: str,
) -> None:
    model = troupe({GOAL: [BOTH, "Ulm", "Bonn"], ULM: ["120"], BONN: ["330"]})
    result = await solved(redel, model, TASK, journal=journal, scheme="wait")
    assert result.output.output == "Bonn"
    assert "Your helpers are done. helper_1: 120\nhelper_2: 330" in model.asked[-1]


async def test_a_helper_goes_on_from_what_it_did_and_knows_it(journal: str) -> None:
    more = "And in 1800?"
    script = {
        GOAL: [delegate(ULM), wait("all"), delegate(more, who="helper_1"), wait("all"), "Ulm"],
        ULM: ["120"],
        more: ["80"],
    }
    model = troupe(script)
    await solved(redel, model, TASK, journal=journal, scheme="wait")
    request = next(item for item in model.requests if item.messages[-1].text == more)
    assert [turn.text for turn in request.messages[1:]] == [ULM, "120", more]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (wait("all"), "no helper is at work"),
        (f"{delegate(ULM)}\n{wait('helper_7')}", "'helper_7' is not at work; these are: helper_1"),
        (delegate(ULM, who="Zoe"), "'Zoe' is no helper you have heard of; these are: none"),
        (delegate(ULM, inputs=["map"]), "there is no input 'map'; there are: list"),
        (delegate(""), "there is nothing to do in it"),
        ("CALL delegate {}", "instructions"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_in_words(
    bad: str, said: str, journal: str
) -> None:
    model = troupe({GOAL: [bad, "Ulm", "Ulm"], ULM: ["120"]})
    result = await solved(redel, model, TASK, journal=journal, scheme="wait")
    assert result.output.output == "Ulm"
    turns = [turn.text for request in model.requests for turn in request.messages]
    assert any(said in text for text in turns if text.startswith("error:"))


@pytest.mark.parametrize("scheme", ["one", "wait"])
async def test_with_effects_in_reach_helpers_work_one_after_another(
    scheme: str, journal: str
) -> None:
    @tool(effect=True)
    def paint(thing: str) -> str:
        """Paint."""
        return f"{thing} is wet"

    task = Task(goal=GOAL, tools=("paint",))
    helpers = {goal: ['CALL paint {"thing": "it"}', "done"] for goal in (ULM, BONN)}
    waits = [wait("all")] if scheme == "wait" else []
    model = troupe({GOAL: [BOTH, *waits, "Bonn"], **helpers})
    result = await solved(redel, model, task, journal=journal, tools=[paint], scheme=scheme)
    assert not overlap(journal, result.id, "helper_1", "helper_2")
