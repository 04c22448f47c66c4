"""The planners that only sample and choose: direct, best_of_n and codet on functions."""

import pytest
from agentflow_planners.best_of_n import best_of_n
from agentflow_planners.codet import codet
from agentflow_planners.direct import direct

from agentflow import Task
from agentflow.errors import ExpansionError
from tests.planners.coders import called, carried_out, code_task
from tests.planners.scripts import Acting, solved
from tests.planners.test_funcoder import DOUBLE, PLAIN, RIGHT, WRONG

pytestmark = pytest.mark.anyio

LOOSE = DOUBLE.replace("double(2)\n    4", "double(3)\n    6")
TESTS = "assert double(3) == 6\nassert double(0) == 0\nassert double(5) == 10\n"


async def test_direct_writes_the_function_in_one_call() -> None:
    result, model = await carried_out(direct, {"write double": RIGHT}, code_task(PLAIN))
    assert called(result.output.output, "double(5)") == 10
    assert model.asked == ["write double"]


@pytest.mark.parametrize(
    "reply", ["", "def other():\n    return 1", "def double(x, y):\n    return 1"]
)
async def test_a_reply_that_does_not_write_the_function_is_an_error(reply: str) -> None:
    with pytest.raises(ExpansionError, match="double"):
        await carried_out(direct, {"write double": reply}, code_task(PLAIN))


async def test_best_of_n_keeps_what_passes_most_examples() -> None:
    script = {"write double": [WRONG, WRONG, RIGHT, WRONG]}
    result, _ = await carried_out(best_of_n, script, code_task(LOOSE), samples=4)
    assert called(result.output.output, "double(5)") == 10


async def test_best_of_n_without_examples_keeps_the_first_choice() -> None:
    script = {"write double": [WRONG, RIGHT]}
    result, _ = await carried_out(best_of_n, script, code_task(PLAIN), samples=3)
    assert called(result.output.output, "double(5)") == 7


async def test_best_of_n_lets_the_model_grade_other_answers(journal: str) -> None:
    def answer(prompt: str) -> str:
        if "An answer to grade" in prompt:
            grade = 9 if "\nfour\n" in prompt else 2
            return f'{{"reason": "counted", "grade": {grade}}}'
        return next(answers)

    answers = iter(["three", "four", "three"])
    result = await solved(
        best_of_n, Acting(answer), Task(goal="How many?"), journal=journal, samples=3
    )
    assert result.output.output == "four"


async def test_codet_keeps_the_versions_that_agree_on_the_most_tests() -> None:
    script = {"write double": [WRONG, RIGHT, RIGHT, WRONG, RIGHT], "tests double": TESTS}
    result, _ = await carried_out(codet, script, code_task(PLAIN), samples=5)
    assert called(result.output.output, "double(5)") == 10


async def test_codet_weighs_tests_with_versions() -> None:
    # Three versions pass one test, two pass all three: 3 x 1 < 2 x 3.
    script = {
        "write double": [WRONG, WRONG, WRONG, RIGHT, RIGHT],
        "tests double": TESTS + "assert double(2) == 4\n",
    }
    result, _ = await carried_out(codet, script, code_task(PLAIN), samples=5)
    assert called(result.output.output, "double(5)") == 10


async def test_codet_without_a_usable_test_still_answers() -> None:
    script = {"write double": RIGHT, "tests double": "I would test it well."}
    result, _ = await carried_out(codet, script, code_task(PLAIN), samples=2)
    assert called(result.output.output, "double(5)") == 10
