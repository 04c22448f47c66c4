"""Chain of thought: reasoning in words, then an answer that is read, or asked for once more."""

import pytest
from agentflow_planners.cot import cot
from agentflow_planners.shared.thinking import Worked

from agentflow import Runner, Task
from agentflow.errors import ExpansionError
from agentflow.models import catalogue, weights
from agentflow.models.protocol import ModelSpec
from tests.planners.scripts import Acting, in_turn, solved

pytestmark = pytest.mark.anyio

NUMBER = {"type": "integer"}


async def test_the_answer_behind_the_mark_is_the_result(journal: str) -> None:
    model = Acting(in_turn("Six sevens are 42.\nAnswer: 42"))
    result = await solved(cot, model, Task(goal="6 * 7?"), journal=journal)
    assert result.output.output == "42"
    assert "Think step by step" in model.asked[0]


async def test_an_answer_of_the_wanted_shape_needs_no_second_call(journal: str) -> None:
    model = Acting(in_turn("Six sevens are 42.\nAnswer: 42"))
    task = Task(goal="6 * 7?", output_schema=NUMBER)
    assert (await solved(cot, model, task, journal=journal)).output.output == 42
    assert len(model.asked) == 1
    assert model.requests[0].output_schema is None, "a schema would leave no room to reason"


async def test_a_reply_without_an_answer_is_asked_for_it_with_its_reasoning(journal: str) -> None:
    model = Acting(in_turn("Six sevens make forty-two", "42"))
    assert (await solved(cot, model, Task(goal="6 * 7?"), journal=journal)).output.output == "42"
    assert model.requests[1].messages[-2].text == "Six sevens make forty-two"


async def test_a_misfit_is_asked_for_in_the_wanted_shape(journal: str) -> None:
    model = Acting(in_turn("Answer: forty-two", "42"))
    task = Task(goal="6 * 7?", output_schema=NUMBER)
    assert (await solved(cot, model, task, journal=journal)).output.output == 42
    assert model.requests[1].output_schema == NUMBER


async def test_worked_examples_come_before_the_task(journal: str) -> None:
    model = Acting(in_turn("Answer: 42"))
    worked = Worked(question="2 * 3?", reasoning="Two threes are 6.", answer="6")
    await solved(cot, model, Task(goal="6 * 7?"), journal=journal, examples=(worked,))
    turns = [(turn.role, turn.text) for turn in model.requests[0].messages]
    assert turns[1:3] == [("user", "2 * 3?"), ("assistant", "Two threes are 6.\nAnswer: 6")]


async def test_a_model_that_says_nothing_is_a_typed_error(journal: str) -> None:
    with pytest.raises(ExpansionError, match="gave no answer, even asked for it"):
        await solved(cot, Acting(lambda _prompt: ""), Task(goal="6 * 7?"), journal=journal)


@pytest.mark.model
async def test_a_real_small_model_reasons_and_answers_in_shape(journal: str) -> None:
    weights.pull(catalogue.find("smollm2-135m"))
    spec = ModelSpec(provider="gguf", name="smollm2-135m", max_tokens=60)
    runner = Runner(journal=journal, model=spec)
    task = Task(goal="How many legs do three dogs have?", output_schema=NUMBER)
    result = await runner.run_async(cot, task)
    assert type(result.output.output) is int
    assert (await Runner(journal=journal).replay(cot, result.id)).output == result.output
