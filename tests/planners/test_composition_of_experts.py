"""Composition of experts: a category, its expert, and the fallback of an unsure router."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.composition_of_experts import composition_of_experts

from agentflow import Runner, Task
from agentflow.errors import InputError, ModelRequestError, PluginError
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="How many eggs are three and four?")
EXPERTS: dict[str, Any] = {
    "sums": {"about": "arithmetic", "planner": "self_consistency", "options": {"samples": 2}},
    "poems": {"about": "verse", "max_tokens": 50},
}


def router(*categories: str, answer: str = "Answer: 7") -> Callable[[str], str]:
    left = list(categories)

    def reply(prompt: str) -> str:
        return json.dumps({"category": left.pop(0)}) if "these categories" in prompt else answer

    return reply


def steps_of(result: Any) -> list[str]:
    return [step.name for step in result.record.steps.values() if step.kind == "flow"]


async def run(journal: str, model: Acting, **options: Any) -> Any:
    options = {"experts": EXPERTS, **options}
    return await solved(composition_of_experts, model, TASK, journal=journal, **options)


async def test_the_planner_of_the_category_answers_and_the_choice_is_a_step(journal: str) -> None:
    model = Acting(router("sums", "sums", "poems"))
    result = await run(journal, model)
    assert result.output.output == "7"
    flows = steps_of(result)
    assert flows.index("route") < flows.index("expert sums") < flows.index("self_consistency")
    assert flows.count("chain") == 2
    routed = next(step for step in result.record.steps.values() if step.name == "route")
    expert = next(step for step in result.record.steps.values() if step.name == "expert sums")
    assert json.loads(routed.output or b"") == {"category": "sums", "share": 2 / 3}
    assert routed.parent == expert.parent
    assert "sums: 67% of 3 replies" in notes_of(result)
    assert "- sums: arithmetic\n- poems: verse" in model.asked[0]


async def test_a_model_answers_with_its_own_settings(journal: str) -> None:
    model = Acting(router("poems", "poems", "poems", answer="Seven."))
    result = await run(journal, model)
    assert result.output.output == "Seven."
    assert "expert poems" in steps_of(result)
    assert model.requests[-1].max_tokens == 50


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        (("sums", "poems", "other"), "sums: 33% of 3 replies, unsure"),
        (("other", "other", "other"), "other: 100% of 3 replies, unsure"),
        (("sums", "verse", "verse", "verse", "verse", "verse", "verse"), "2 of 3 gave no answer"),
        (("verse",) * 9, "no reply names a category"),
    ],
)
async def test_an_unsure_router_leaves_the_task_to_the_fallback(
    journal: str, replies: tuple[str, ...], why: str
) -> None:
    result = await run(journal, Acting(router(*replies, answer="Perhaps 7.")))
    assert result.output.output == "Perhaps 7."
    assert "expert other" in steps_of(result)
    assert why in notes_of(result)


async def test_level_categories_are_no_choice_however_low_the_bar(journal: str) -> None:
    model = Acting(router("sums", "poems"))
    result = await run(journal, model, votes=2, sure=0.0)
    assert "expert other" in steps_of(result)


async def test_the_fallback_may_be_a_planner(journal: str) -> None:
    model = Acting(router("other"))
    result = await run(journal, model, votes=1, fallback={"planner": "cot"})
    assert result.output.output == "7"
    assert "cot" in steps_of(result)


@pytest.mark.parametrize(
    ("expert", "problem"),
    [
        ({"planner": "cot", "model": "openai:x"}, "expert 'odd': a planner works with the run's"),
        ({"options": {"samples": 2}}, "expert 'odd': options are a planner's"),
        ({"planner": "cot", "options": {"depth": 2}}, "expert 'odd': .*depth"),
        ({"planner": "self_consistency", "options": {"samples": 0}}, "expert 'odd': .*samples"),
    ],
)
async def test_an_expert_that_cannot_answer_is_refused_before_any_call(
    journal: str, expert: dict[str, Any], problem: str
) -> None:
    model = Acting(router("odd"))
    with pytest.raises(InputError, match=problem):
        await run(journal, model, experts={"odd": expert})
    assert model.asked == []


async def test_a_planner_that_is_not_installed_is_refused_before_any_call(journal: str) -> None:
    model = Acting(router("odd"))
    with pytest.raises(PluginError, match="did you mean 'react'"):
        await run(journal, model, experts={"odd": {"planner": "reactt"}})
    assert model.asked == []


async def test_no_category_may_take_the_name_of_the_fallback(journal: str) -> None:
    with pytest.raises(InputError, match="cannot be called 'other'"):
        await run(journal, Acting(router()), experts={"other": {}})


async def test_a_resumed_run_keeps_its_choice(journal: str) -> None:
    def cut(prompt: str) -> str:
        if "these categories" not in prompt:
            raise ModelRequestError(model="scripted:model", problem="no")
        return json.dumps({"category": "poems"})

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(cut)).run_as(
            "cut", composition_of_experts, TASK, experts=EXPERTS
        )
    model = Acting(router(answer="Seven."))
    resumed = await Runner(journal=journal, model=model).resume(composition_of_experts, "cut")
    assert resumed.output.output == "Seven."
    assert len(model.asked) == 1
    replayed = await Runner(journal=journal).replay(composition_of_experts, resumed.id)
    assert replayed.output == resumed.output
