"""AdaPlanner: code with assertions, asking within a plan, refining after what has happened."""

import pytest
from agentflow_planners.adaplanner import adaplanner

from agentflow import Task, tool
from agentflow.errors import ExpansionError
from tests.planners.scripts import Acting, in_turn, notes_of, solved

pytestmark = pytest.mark.anyio

PLACES = {"drawer": "a spoon", "shelf": "a red key"}


@tool
def look(place: str) -> str:
    """Return what is in a place."""
    return PLACES[place]


def plans(*codes: str) -> Acting:
    return Acting(in_turn(*(f"Plan:\n```python\n{code}\n```" for code in codes)))


TASK = Task(goal="Where is the key?", tools=("look",))


async def test_a_plan_whose_checks_hold_is_run_once(journal: str) -> None:
    model = plans('seen = look("shelf")\nassert "key" in seen, f"saw {seen}"\nreturn "shelf"')
    result = await solved(adaplanner, model, TASK, journal=journal, tools=[look])
    assert result.output.output == "shelf"
    assert "look(place)  # Return what is in a place." in model.requests[0].messages[0].text


async def test_a_failed_check_refines_the_plan_with_what_was_seen(journal: str) -> None:
    model = plans(
        'seen = look("drawer")\nassert "key" in seen, f"saw {seen}"\nreturn "drawer"',
        'def solution():\n    assert "key" in look("shelf")\n    return "shelf"',
    )
    result = await solved(adaplanner, model, TASK, journal=journal, tools=[look])
    assert result.output.output == "shelf"
    assert "AssertionError: saw a spoon" in model.asked[1]
    assert "Something is not as the plan expects." in model.asked[1]
    assert "plan 1 stopped: AssertionError" in notes_of(result)


async def test_what_has_happened_is_told_and_only_the_rest_is_asked_for(journal: str) -> None:
    opened: list[str] = []

    @tool(effect=True)
    def unlock(door: str) -> str:
        """Open a door."""
        opened.append(door)
        return f"the {door} door is open"

    model = plans(
        'seen = unlock("front")\nassert "gold" in seen, seen\nreturn seen',
        'return unlock("back")',
    )
    task = Task(goal="Go in.", tools=("unlock",))
    result = await solved(adaplanner, model, task, journal=journal, tools=[unlock])
    assert result.output.output == "the back door is open"
    assert opened == ["front", "back"]
    assert 'have happened and must not be repeated: seen = unlock("front") gave' in model.asked[1]
    assert "Write solution() again, with only what is left to do." in model.asked[1]


async def test_a_plan_may_ask_about_what_it_sees(journal: str) -> None:
    def answer(prompt: str) -> str:
        if prompt.startswith("Which colour?"):
            return " red \n"
        return '```python\nreturn ask("Which colour?", look("shelf"))\n```'

    model = Acting(answer)
    result = await solved(adaplanner, model, TASK, journal=journal, tools=[look])
    assert result.output.output == "red"
    assert model.asked[1] == "Which colour? Give the answer alone, nothing else.\n\na red key"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("return fly()", "there is no function fly; there are: look, ask"),
        ("look = str\nreturn look(1)", "look is there: call it, and do not write your own"),
        ("return (", "SyntaxError"),
        ("return 1 / 0", "ZeroDivisionError"),
        ("look('shelf')\nx = 1", "it returns nothing"),
        ("return look('moon')", "in line 1: `return look('moon')`"),
        ("return ask()", "call ask(question, text), not return ask()"),
    ],
)
async def test_any_other_failure_is_corrected_the_same_way(
    code: str, said: str, journal: str
) -> None:
    model = plans(code, "return 1")
    result = await solved(adaplanner, model, TASK, journal=journal, tools=[look])
    assert result.output.output == 1
    assert said in model.asked[1]


async def test_a_value_of_the_wrong_shape_is_no_answer(journal: str) -> None:
    task = TASK.model_copy(update={"output_schema": {"type": "integer"}})
    model = plans("return 'three'", "return 3")
    assert (await solved(adaplanner, model, task, journal=journal, tools=[look])).output.output == 3


async def test_inputs_are_the_parameters_of_the_plan(journal: str) -> None:
    model = plans("def solution(names):\n    return len(names)")
    task = Task(goal="How many?", inputs={"names": ["a", "b"]})
    assert (await solved(adaplanner, model, task, journal=journal)).output.output == 2
    assert "Write the function solution(names)." in model.asked[0]


async def test_plans_that_all_fail_are_a_typed_error(journal: str) -> None:
    failing = plans(*['assert look("drawer") == "key", "no key"'] * 2)
    end = "none of 2 plans came to its end; the last: AssertionError: no key"
    with pytest.raises(ExpansionError, match=end):
        await solved(adaplanner, failing, TASK, journal=journal, tools=[look], refinements=1)
