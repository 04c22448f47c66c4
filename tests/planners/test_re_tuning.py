"""Re-Tuning: smaller instances in contexts of their own, put back into the text."""

from collections.abc import Callable

import pytest
from agentflow_planners.re_tuning import SMALLEST, re_tuning

from agentflow import Budget, Runner, Task
from agentflow.errors import ExpansionError, ModelRequestError
from tests.planners.delegates import REFUSES, troupe
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

GOAL = "Is the number of ones in 1 0 1 1 odd?"
TASK = Task(goal=GOAL, context="Only the root knows of the zebra.")
REST, LAST = "Is the number of ones in 0 1 1 odd?", "Is the number of ones in 1 1 odd?"


def call(instance: str) -> str:
    return f"<call>{instance}</call>"


def counting() -> Callable[[str], str]:
    """Answer as a model would that takes the first digit off and calls itself on the rest."""

    def answer(_prompt: str) -> str:
        request = model.requests[-1]
        digits = request.messages[1].text.split("odd?")[0].split("in ")[1].split()
        if len(digits) == 1:
            return f"Answer: {digits[0]}"
        if len(request.messages) == 2:
            rest = call(f"Is the number of ones in {' '.join(digits[1:])} odd?")
            return f"The rest: {rest}\nBlindly: 7.\nAnswer: 7"
        below = request.messages[2].text.split()[-1]
        return f"Answer: {int(below) ^ int(digits[0])}" if below in "01" else "Answer: lost"

    model = Acting(answer)
    models.append(model)
    return answer


models: list[Acting] = []


def counter() -> Acting:
    models.clear()
    counting()
    return models[0]


async def test_it_recurses_down_to_the_smallest_instance_and_back(journal: str) -> None:
    result = await solved(re_tuning, counter(), TASK, journal=journal)
    assert result.output.output == "1"
    instances = [step for step in result.record.steps.values() if step.name == "instance"]
    assert len(instances) == 3


async def test_a_fresh_context_contains_no_ancestor_text(journal: str) -> None:
    model = counter()
    await solved(re_tuning, model, TASK, journal=journal)
    below = [item for item in model.requests if GOAL not in item.messages[1].text]
    assert len(below) == 5
    for request in below:
        text = "\n".join(turn.text for turn in request.messages)
        assert "zebra" not in text
        assert "1 0 1 1" not in text
    first = next(item for item in below if item.messages[1].text.startswith(REST))
    assert first.messages[1].text.startswith(f"{REST}\n\nEnd with")


async def test_a_call_is_replaced_by_its_solution_and_what_was_written_blindly_is_dropped(
    journal: str,
) -> None:
    model = counter()
    await solved(re_tuning, model, TASK, journal=journal)
    assert model.requests[-1].messages[2].text == "The rest: 0\n"


async def test_calls_on_one_line_are_solved_side_by_side(journal: str) -> None:
    line = f"{call('Parity of 1 0?')} and {call('Parity of 1 1?')}"
    replies = {
        GOAL: [line, "Answer: 1"],
        "Parity of 1 0?": ["Answer: one"],
        "Parity of 1 1?": ["Answer: zero"],
    }
    model = troupe(replies, meet=["Parity of 1 0?", "Parity of 1 1?"])
    await solved(re_tuning, model, TASK, journal=journal)
    assert model.requests[-1].messages[2].text == "one and zero\n"


async def test_a_call_that_is_no_smaller_is_refused_in_the_text(journal: str) -> None:
    longer = f"{GOAL} Only the root knows of the zebra. And then some."
    model = troupe({GOAL: [call(longer), "Answer: 1"]})
    result = await solved(re_tuning, model, TASK, journal=journal)
    assert result.output.output == "1"
    text = model.requests[-1].messages[2].text
    assert text == "(not called: that is no smaller than the task itself)\n"
    assert "not called: that is no smaller" in notes_of(result)


async def test_the_last_level_is_told_to_solve_at_once_and_cannot_call(journal: str) -> None:
    script = {GOAL: [call(REST), "Answer: 1"], REST: [call(LAST), "Answer: 0"]}
    model = troupe(script)
    await solved(re_tuning, model, TASK, journal=journal, depth=1, rules="One digit is its parity.")
    assert model.requests[1].messages[0].text == f"{SMALLEST}\n\nOne digit is its parity."
    assert "(not called: 1 levels are all there may be" in model.requests[2].messages[2].text


async def test_a_long_chain_fits_into_its_total_and_not_into_less(journal: str) -> None:
    goal = f"Is the number of ones in {' '.join('1' * 9)} odd?"
    result = await solved(re_tuning, counter(), Task(goal=goal), journal=journal, width=1, total=8)
    assert result.output.output == "1"
    model = counter()
    result = await solved(re_tuning, model, Task(goal=goal), journal=journal, width=1, total=7)
    assert result.output.output == "lost"
    assert "all of the 7 of the tree are given out" in notes_of(result)


async def test_what_one_call_has_not_used_the_next_may_use(journal: str) -> None:
    small = "Parity of 0?"
    replies = {GOAL: [call(small), call(REST), "Answer: 1"], small: ["Answer: 0"]}
    replies |= {REST: [call(LAST), "Answer: 0"], LAST: ["Answer: 0"]}
    model = troupe(replies)
    result = await solved(re_tuning, model, TASK, journal=journal, width=2, total=3)
    assert result.output.output == "1"
    assert model.requests[-1].messages[2].text == "0\n0\n"
    assert sum(step.name == "instance" for step in result.record.steps.values()) == 3


async def test_an_instance_that_fails_is_told_in_the_text(journal: str) -> None:
    script = {GOAL: [call(REST), "Answer: 1"], REST: ["", ""], "Now give": []}
    model = troupe(script)
    result = await solved(re_tuning, model, TASK, journal=journal)
    assert result.output.output == "1"
    text = model.requests[-1].messages[2].text
    assert text == "(not solved: the model gave no answer, even asked for it)\n"


async def test_the_depth_of_the_budget_is_told_in_the_text(journal: str) -> None:
    script = {GOAL: [call(REST), "Answer: 1"], REST: [call(LAST), "Answer: 0"]}
    model = troupe(script)
    runner = Runner(journal=journal, model=model, budget=Budget(depth=1))
    assert (await runner.run_async(re_tuning, TASK)).output.output == "1"
    assert "(not solved: " in model.requests[2].messages[2].text


async def test_a_model_that_only_calls_is_a_typed_error(journal: str) -> None:
    model = troupe({GOAL: [call(REST)] * 3, REST: ["Answer: 0"] * 3})
    with pytest.raises(ExpansionError, match="no answer, but calls, in 3 replies"):
        await solved(re_tuning, model, TASK, journal=journal, width=2)


async def test_the_answer_has_the_wanted_shape(journal: str) -> None:
    task = TASK.model_copy(update={"output_schema": {"type": "integer"}})
    model = troupe({GOAL: [call(REST), "Answer: 1"], REST: ["Answer: 0"]})
    result = await solved(re_tuning, model, task, journal=journal)
    assert result.output.output == 1


async def test_a_resumed_run_solves_no_finished_instance_again(journal: str) -> None:
    script = {GOAL: [call(REST), REFUSES], REST: ["Answer: 0"]}
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=troupe(script)).run_as("cut", re_tuning, TASK)
    again = troupe({GOAL: ["Answer: 1"]})
    resumed = await Runner(journal=journal, model=again).resume(re_tuning, "cut")
    assert resumed.output.output == "1"
    assert len(again.asked) == 1
