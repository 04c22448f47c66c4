"""Minstrel: an analysis decides on the modules, designers write them side by side, a test changes them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.minstrel import ABOUT, minstrel

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, MalformedReplyError, ModelRequestError
from tests.planners.delegates import overlap
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Help people to prune roses.", inputs={"climate": "mild"})


def analysis(*needed: str, role: str = "Gardener") -> str:
    return json.dumps({"role": role} | {name: name in needed for name in ABOUT})


def reflection(**advice: str) -> str:
    return json.dumps({"changes": [{"module": m, "advice": said} for m, said in advice.items()]})


def script(**parts: Any) -> Callable[[str], str]:
    """Answer prompts by who asks; a list is taken one by one."""
    marks = {
        "fix": "That reply does not fit",
        "analyse": "Name the role",
        "change": "Change it by this advice",
        "design": "Write the part `",
        "ask": "Above is a prompt for a language model",
        "comment": "Say in a few sentences what is good and bad",
        "reflect": "commenters say of answers",
        "answer": "",
    }
    usual = {
        "change": "changed",
        "design": "designed",
        "ask": "When?",
        "answer": "In March.",
        "comment": "fine",
    }

    def answer(prompt: str) -> str:
        part = next(name for name, mark in marks.items() if mark in prompt)
        reply = (usual | parts)[part]
        reply = reply.pop(0) if isinstance(reply, list) else reply
        return str(reply(prompt) if callable(reply) else reply)

    return answer


def module_of(prompt: str) -> str:
    return prompt.rsplit("Write the part `")[-1].split("`")[0]


async def test_only_the_modules_that_are_needed_are_written_and_put_in_their_order(
    journal: str,
) -> None:
    model = Acting(script(analyse=analysis("workflow", "goal"), design=module_of))
    result = await solved(minstrel, model, TASK, journal=journal, rounds=0)
    assert result.output.output == "# Role: Gardener\n\n## Goal\ngoal\n\n## Workflow\nworkflow"
    assert len(model.asked) == 3


async def test_a_malformed_analysis_is_asked_for_again_with_what_is_wrong(journal: str) -> None:
    bad = json.dumps({"role": "Gardener", "goal": "yes please"})
    model = Acting(script(analyse=bad, fix=analysis("goal")))
    result = await solved(minstrel, model, TASK, journal=journal, rounds=0)
    assert result.output.output.endswith("## Goal\ndesigned")
    assert "background" in model.asked[1], "it is told which module is missing"


async def test_an_analysis_that_never_parses_is_an_error(journal: str) -> None:
    model = Acting(script(analyse="goal", fix="still the goal"))
    with pytest.raises(MalformedReplyError):
        await solved(minstrel, model, TASK, journal=journal)
    assert len(model.asked) == 3


async def test_designers_write_side_by_side(journal: str) -> None:
    model = Meeting(script(analyse=analysis("goal", "skills")), ["part `goal`", "part `skills`"])
    result = await solved(minstrel, model, TASK, journal=journal, rounds=0)
    assert overlap(journal, result.id, "goal", "skills")


async def test_examples_and_style_are_a_persons_and_never_a_models(journal: str) -> None:
    task = TASK.model_copy(update={"inputs": {"style": "Warm."}})
    model = Acting(script(analyse=analysis("goal", "style", "examples")))
    result = await solved(minstrel, model, task, journal=journal, rounds=0)
    assert result.output.output == "# Role: Gardener\n\n## Goal\ndesigned\n\n## Style\nWarm."
    assert len(model.asked) == 2
    assert "goes without examples: only a person can give that" in notes_of(result)


async def test_a_test_asks_the_prompt_debates_the_answer_and_changes_what_is_to_blame(
    journal: str,
) -> None:
    model = Acting(
        script(
            analyse=analysis("goal", "skills"),
            design=module_of,
            comment=["too short", "I agree"],
            reflect=reflection(goal="Say more."),
        )
    )
    result = await solved(minstrel, model, TASK, journal=journal, questions=1)
    assert result.output.output == "# Role: Gardener\n\n## Goal\nchanged\n\n## Skills\nskills"
    simulated = next(one for one in model.requests if one.messages[-1].text == "When?")
    assert simulated.messages[0].role == "system"
    assert simulated.messages[0].text.startswith("# Role: Gardener\n\n## Goal\ngoal")
    second = [prompt for prompt in model.asked if "Say in a few sentences" in prompt][1]
    assert "The model answers:\nIn March.\n\nCommenter 1 says:\ntoo short" in second
    assert "Commenter 2 says:\nI agree" in model.asked[-2]
    assert model.asked[-1].endswith(
        "So far the part reads:\ngoal\n\nChange it by this advice: Say more."
    )


async def test_what_a_model_may_write_is_bounded_for_everybody_who_writes(journal: str) -> None:
    model = Acting(script(analyse=analysis("goal"), reflect=reflection(goal="More.")))
    await solved(minstrel, model, TASK, journal=journal, questions=1, max_tokens=50)
    limits = [request.max_tokens for request in model.requests if request.output_schema is None]
    assert limits == [50] * 6


async def test_a_prompt_that_nobody_wants_changed_is_tested_no_further(journal: str) -> None:
    model = Acting(script(analyse=analysis("goal"), reflect=reflection()))
    await solved(minstrel, model, TASK, journal=journal, rounds=5, questions=1, commenters=1)
    assert len(model.asked) == 6


async def test_every_round_tests_the_prompt_as_it_is_by_then(journal: str) -> None:
    model = Acting(
        script(
            analyse=analysis("goal"),
            change=["second", "third"],
            reflect=reflection(goal="More."),
        )
    )
    options: dict[str, Any] = {"rounds": 2, "questions": 1, "commenters": 1}
    result = await solved(minstrel, model, TASK, journal=journal, **options)
    assert result.output.output.endswith("## Goal\nthird")
    asked = [prompt for prompt in model.asked if "Write message 1 of 1" in prompt]
    assert ["second" in prompt for prompt in asked] == [False, True]


async def test_a_module_that_is_not_there_or_a_persons_is_not_changed(journal: str) -> None:
    task = TASK.model_copy(update={"inputs": {"style": "Warm."}})
    wants = reflection(style="Cold.", skills="More.")
    model = Acting(script(analyse=analysis("goal"), reflect=wants))
    result = await solved(minstrel, model, task, journal=journal)
    assert result.output.output.endswith("## Goal\ndesigned\n\n## Style\nWarm.")
    assert "not changed" in notes_of(result)


async def test_a_module_nobody_can_write_is_left_out_and_without_any_there_is_no_prompt(
    journal: str,
) -> None:
    def partly(prompt: str) -> str:
        return "" if module_of(prompt) == "goal" else "skilled"

    model = Acting(script(analyse=analysis("goal", "skills"), design=partly))
    result = await solved(minstrel, model, TASK, journal=journal, rounds=0)
    assert result.output.output == "# Role: Gardener\n\n## Skills\nskilled"
    assert "1 of 2 gave no answer" in notes_of(result)
    silent = Acting(script(analyse=analysis("goal"), design=""))
    with pytest.raises(ExpansionError, match="reply is empty"):
        await solved(minstrel, silent, TASK, journal=journal)


async def test_a_reflection_without_its_form_leaves_the_prompt_as_it_is(journal: str) -> None:
    model = Acting(script(analyse=analysis("goal"), reflect="all good", fix="all good"))
    result = await solved(minstrel, model, TASK, journal=journal, rounds=3)
    assert result.output.output.endswith("## Goal\ndesigned")
    assert "gave no answer" in notes_of(result)


async def test_a_resumed_run_writes_no_module_again(journal: str) -> None:
    def refuses(_prompt: str) -> str:
        raise ModelRequestError(model="scripted:model", problem="no")

    cut = Acting(script(analyse=analysis("goal", "skills"), design=module_of, reflect=refuses))
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=cut).run_as("cut", minstrel, TASK)
    model = Acting(script(reflect=reflection(skills="Fewer.")))
    resumed = await Runner(journal=journal, model=model).resume(minstrel, "cut")
    assert resumed.output.output == "# Role: Gardener\n\n## Goal\ngoal\n\n## Skills\nchanged"
    assert len(model.asked) == 2
    replayed = await Runner(journal=journal).replay(minstrel, "cut")
    assert replayed.output == resumed.output
