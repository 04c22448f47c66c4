"""RecurrentGPT: what goes from step to step, who chooses, and memories that are given and edited."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.recurrent_gpt import recurrent_gpt

from agentflow import Runner, Task
from agentflow.errors import (
    ExpansionError,
    InputError,
    MalformedReplyError,
    ModelRequestError,
    RunPausedError,
)
from tests.parts import Scripted, shape
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

CHOICE = "\nPlans:\n"
TASK = Task(goal="Write about an island.")


def written(number: int, *, text: str = "", memory: str = "", plans: int = 3) -> str:
    return json.dumps(
        {
            "paragraph": text or f"Paragraph {number} tells something.",
            "memory": memory or f"Summary {number}.",
            "plans": [f"plan {number}.{at}" for at in range(1, plans + 1)],
        }
    )


def author(*paragraphs: str, choice: int = 2) -> Callable[[str], str]:
    """Write these paragraphs in turn, and choose always the same plan."""
    left = list(paragraphs)

    def answer(prompt: str) -> str:
        if CHOICE in prompt:
            plans = prompt.split(CHOICE)[1].splitlines()
            plan = plans[choice - 1].partition(". ")[2] if choice <= len(plans) else "none"
            return json.dumps({"number": choice, "plan": f"better {plan}"})
        if "there is no plan" in prompt:
            return json.dumps({"number": choice, "plan": ""})
        return left.pop(0)

    return answer


async def test_a_step_gets_the_memory_rewritten_the_paragraph_before_and_the_chosen_plan(
    journal: str,
) -> None:
    model = Acting(author(written(1), written(2), written(3)))
    result = await solved(recurrent_gpt, model, TASK, journal=journal, paragraphs=3)
    output = result.output.output
    assert output["text"] == [f"Paragraph {at} tells something." for at in (1, 2, 3)]
    last = model.asked[-1]
    assert "short-term memory: Summary 2." in last
    assert "previous paragraph: Paragraph 2 tells" in last
    assert "Plan for this paragraph:\nbetter plan 2.2" in last
    assert "Summary 1" not in last, "the short-term memory is rewritten, not extended"
    assert "plan 2 of 3" in notes_of(result)
    names = [step.name for step in result.record.steps.values()]
    assert {"paragraph 3", "memory 3", "choose"} <= set(names), "edits are steps"


async def test_the_paragraph_nearest_to_the_plan_comes_back_from_the_archive(journal: str) -> None:
    texts = ["The lighthouse keeper counts gulls.", "Rain falls.", "The ferry is late.", "Bread."]
    model = Acting(author(*(written(at, text=text) for at, text in enumerate(texts, 1))))
    first = await solved(recurrent_gpt, model, TASK, journal=journal, paragraphs=4)
    state = {name: value for name, value in first.output.output.items() if name != "text"}
    state["plan"] = "Back to the lighthouse."
    again = Acting(author(written(5)))
    task = TASK.model_copy(update={"inputs": state})
    await solved(recurrent_gpt, again, task, journal=journal, paragraphs=1, recalled=1)
    assert "Earlier, paragraph 1:\nThe lighthouse keeper" in again.asked[0]
    assert "Rain falls" not in again.asked[0]


async def test_a_run_in_two_halves_asks_the_same_as_one_run(journal: str) -> None:
    replies = [written(at) for at in range(1, 5)]
    whole, halves = Acting(author(*replies)), Acting(author(*replies))
    one = await solved(recurrent_gpt, whole, TASK, journal=journal, paragraphs=4)
    half = await solved(recurrent_gpt, halves, TASK, journal=journal, paragraphs=2)
    state = {name: value for name, value in half.output.output.items() if name != "text"}
    task = TASK.model_copy(update={"inputs": state})
    other = await solved(recurrent_gpt, halves, task, journal=journal, paragraphs=2)
    assert halves.asked == whole.asked
    assert half.output.output["text"] + other.output.output["text"] == one.output.output["text"]
    assert other.output.output["memory"] == one.output.output["memory"]


async def test_an_edit_is_seen_by_the_next_step(journal: str) -> None:
    first = await solved(
        recurrent_gpt, Acting(author(written(1, text="The cat sleeps."))), TASK, journal=journal,
        paragraphs=1,
    )  # fmt: skip
    state = {name: value for name, value in first.output.output.items() if name != "text"}
    edits = [
        {"name": "short-term memory", "text": "It is winter now."},
        {"part": "archive", "name": "paragraph 0", "text": "The cat is a fox on an island."},
    ]
    model = Acting(author(written(2)))
    task = TASK.model_copy(update={"inputs": {**state, "edits": edits, "plan": "The fox wakes."}})
    await solved(recurrent_gpt, model, task, journal=journal, paragraphs=1)
    asked = model.asked[-1]
    assert "It is winter now." in asked
    assert "Summary 1" not in asked
    assert "The cat is a fox" in asked
    assert len(model.asked) == 1, "a plan that is given is not chosen again"


async def test_memory_stays_within_its_bound_whatever_the_model_writes(journal: str) -> None:
    huge = [written(at, text="p" * 9_000, memory="m" * 50_000) for at in range(1, 7)]
    model = Acting(author(*huge))
    result = await solved(recurrent_gpt, model, TASK, journal=journal, paragraphs=6, room=1_000)
    memory = result.output.output["memory"]
    assert sum(len(note["text"]) for note in memory["working"]) <= 1_000
    assert {note["name"] for note in memory["working"]} == {
        "short-term memory",
        "previous paragraph",
    }
    assert all(len(prompt) < 8_000 for prompt in model.asked)


async def test_a_person_chooses_by_number_or_writes_a_plan(journal: str) -> None:
    answers = ["3", "Let it rain."]
    model = Scripted(author(written(1), written(2), written(3)))
    runner = Runner(journal=journal, model=model, ask=lambda _question: answers.pop(0))
    result = await runner.run_async(recurrent_gpt, TASK, paragraphs=3, chooser="person")
    assert "Plan for this paragraph:\nplan 1.3" in model.asked[1]
    assert "Plan for this paragraph:\nLet it rain." in model.asked[2]
    replayed = await Runner(journal=journal).replay(recurrent_gpt, result.id)
    assert shape(replayed.record) == shape(result.record)


async def test_without_a_person_the_run_pauses_at_the_choice(journal: str) -> None:
    model = Acting(author(written(1), written(2)))
    with pytest.raises(RunPausedError, match="What comes next"):
        await Runner(journal=journal, model=model).run_async(
            recurrent_gpt, TASK, paragraphs=2, chooser="person"
        )


async def test_the_first_plan_is_taken_without_asking(journal: str) -> None:
    model = Acting(author(written(1), written(2)))
    await solved(recurrent_gpt, model, TASK, journal=journal, paragraphs=2, chooser="first")
    assert len(model.asked) == 2
    assert "plan 1.1" in model.asked[1]


async def test_too_few_plans_are_asked_for_again_and_then_a_typed_error(journal: str) -> None:
    model = Acting(author(written(1, plans=1), written(1)))
    await solved(recurrent_gpt, model, TASK, journal=journal, paragraphs=1)
    assert "give 3 plans, not 1" in model.asked[1]
    stubborn = Acting(author(*[written(1, plans=9)] * 3))
    with pytest.raises(
        ExpansionError, match="nothing sound in 3 attempts; the last: give 3 plans, not 9"
    ):
        await solved(recurrent_gpt, stubborn, TASK, journal=journal, paragraphs=1)


async def test_a_choice_of_no_plan_is_a_typed_error(journal: str) -> None:
    model = Acting(author(written(1), written(2), choice=9))
    with pytest.raises(ExpansionError, match="there is no plan 9"):
        await solved(recurrent_gpt, model, TASK, journal=journal, paragraphs=2)


async def test_a_reply_of_another_form_is_a_typed_error_and_not_repeated_for_ever(
    journal: str,
) -> None:
    model = Acting(lambda _prompt: "Output Paragraph: once")
    with pytest.raises(MalformedReplyError):
        await solved(recurrent_gpt, model, TASK, journal=journal)
    assert len(model.asked) == 3


async def test_a_story_that_was_cut_off_goes_on_where_it_stood(journal: str) -> None:
    replies = [written(at) for at in range(1, 5)]
    inner = author(*replies)

    def refuses(prompt: str) -> str:
        if "Summary 2" in prompt and CHOICE not in prompt:
            raise ModelRequestError(model="scripted:model", problem="no")
        return inner(prompt)

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(refuses)).run_as(
            "cut", recurrent_gpt, TASK, paragraphs=4
        )
    rest = Acting(inner)
    resumed = await Runner(journal=journal, model=rest).resume(recurrent_gpt, "cut")
    whole = Acting(author(*replies))
    assert (
        resumed.output
        == (await solved(recurrent_gpt, whole, TASK, journal=journal, paragraphs=4)).output
    )
    assert rest.asked == whole.asked[4:], "what is there is not written again"


@pytest.mark.parametrize(
    "inputs", [{"memory": "m"}, {"count": -1}, {"plans": "abc"}, {"plan": 3}], ids=str
)
async def test_a_state_that_is_none_is_refused(inputs: dict[str, Any], journal: str) -> None:
    task = TASK.model_copy(update={"inputs": inputs})
    with pytest.raises(InputError):
        await solved(recurrent_gpt, Acting(author()), task, journal=journal)
