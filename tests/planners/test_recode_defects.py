"""The defects 1 to 11 of ReCode's published code: a test each that fails where ours has the same one.

Numbers are those of our reading of that code, a snapshot of November 2025; 12 to 22 are in
test_recode_defects_at_scale.py.
"""

from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.recode import recode
from agentflow_planners.recoding.prompts import _HOUSE_ANSWER
from agentflow_planners.recoding.replies import body_of

from agentflow import Runner, Task, tool
from tests.planners.recode_parts import solve, writer

pytestmark = pytest.mark.anyio


async def test_defects_1_and_2_it_runs_with_no_option_at_all() -> None:
    result = await Runner(journal=":memory:", model=writer({"solve": "return 41 + 1"})).run_async(
        recode, Task(goal="answer")
    )
    assert result.output.output == 42


async def test_defect_3_a_runtime_error_goes_back_to_the_model_and_is_repaired() -> None:
    model = writer({"solve": ["return numbers[9]", "return numbers[0]"]})
    runner = Runner(journal=":memory:", model=model)
    result = await runner.run_async(recode, Task(goal="first", inputs={"numbers": [7]}))
    assert result.output.output == 7
    assert "IndexError: list index out of range in line 1: `return numbers[9]`" in model.asked[1]


@pytest.mark.parametrize("reply", ["", "I cannot do that", "def solve(:"])
async def test_defect_4_a_reply_without_code_is_asked_again(reply: str) -> None:
    result = await solve({"solve": [reply, "return 1"]})
    assert result.output.output == 1


async def test_defect_5_imports_lambdas_and_functions_live_as_long_as_the_program() -> None:
    code = """
import math
from collections import Counter
double = lambda x: 2 * x
def triple(x):
    return 3 * x
value = part(5)
return [math.floor(2.5), Counter("aab")["a"], double(value), triple(value)]
"""
    assert (await solve({"solve": code, "part": "return argument_1"})).output.output == [
        2,
        2,
        10,
        15,
    ]


def test_defect_6_the_example_in_the_prompt_does_what_it_says() -> None:
    calls: list[str] = []

    def helper(name: str, value: Any) -> Callable[..., Any]:
        def stand_in(*_arguments: Any) -> Any:
            calls.append(name)
            return value

        return stand_in

    names = {
        "rooms": [{"name": "hall", "floor": 0}],
        "list_floors": helper("list_floors", [0, 2]),
        "find_doors": helper("find_doors", {"front": "red", "back": "blue"}),
        "find_top": helper("find_top", 2),
    }
    body = body_of(_HOUSE_ANSWER, "describe", ("rooms",)).replace("return ", "result = ")
    exec(body, names)
    assert names["result"] == {
        "floors": [0, 2],
        "doors": {"front": "red", "back": "blue"},
        "top": 2,
    }
    assert calls == ["list_floors", "find_doors", "find_top"]


async def test_defect_7_two_statements_on_one_line_run_once_each() -> None:
    seen: list[str] = []

    @tool(effect=True)
    def act(what: str) -> str:
        """Act."""
        seen.append(what)
        return what

    await solve({"solve": 'act("a"); act("b")\nreturn 0'}, tools=(act,))
    assert seen == ["a", "b"]


async def test_defect_8_a_keyword_only_call_passes_its_values() -> None:
    asked: list[str] = []
    result = await solve(
        {"solve": "return clean(room=name, times=2)", "clean": "return room * times"},
        inputs={"name": "ab"},
        asked=asked,
    )
    assert result.output.output == "abab"
    assert asked == ["solve", "clean"]


async def test_defect_9_an_undefined_argument_is_an_error_and_no_placeholder() -> None:
    asked: list[str] = []
    result = await solve(
        {"solve": ["return go(n)", "return go(3)"], "go": "return argument_1"}, asked=asked
    )
    assert result.output.output == 3
    assert asked == ["solve", "solve", "go"]


@pytest.mark.parametrize(
    "code",
    [
        "done = []\nfor x in xs:\n    done.append(half(x))\nreturn done",
        "return [half(x) for x in xs]",
        "done, i = [], 0\nwhile i < len(xs):\n    if xs[i] > 0:\n        done.append(half(x=xs[i]))\n    i += 1\nreturn done",
    ],
)
async def test_defect_10_a_placeholder_in_a_loop_runs_for_every_item_and_is_written_once(
    code: str,
) -> None:
    asked: list[str] = []
    result = await solve(
        {"solve": code, "half": "return x / 2"}, inputs={"xs": [2, 4, 6]}, asked=asked
    )
    assert result.output.output == [1, 2, 3]
    assert asked == ["solve", "half"]
    assert sum(step.name == "half" for step in result.record.steps.values()) == 3


async def test_defect_10_a_branch_that_is_not_taken_is_never_written() -> None:
    asked: list[str] = []
    code = "if flag:\n    return never()\nreturn once()"
    result = await solve({"solve": code, "once": "return 1"}, inputs={"flag": False}, asked=asked)
    assert result.output.output == 1
    assert asked == ["solve", "once"]


async def test_defect_10_effects_in_a_loop_with_a_placeholder_happen_once_an_item_and_in_order() -> (
    None
):
    seen: list[str] = []

    @tool(effect=True)
    def act(what: str) -> str:
        """Act."""
        seen.append(what)
        return what

    code = "for n in xs:\n    act(f'step {n}')\n    act(handle(n))\nreturn len(xs)"
    bodies = {"solve": code, "handle": "return f'handled {n}'"}
    result = await solve(bodies, inputs={"xs": [0, 1, 2]}, tools=(act,))
    assert result.output.output == 3
    assert seen == [f"{word} {n}" for n in range(3) for word in ("step", "handled")]


async def test_defect_11_a_function_cannot_touch_its_callers_variables() -> None:
    bodies = {
        "solve": "total = 10\npart = add(5)\nreturn [total, part]",
        "add": "total = 99\nreturn argument_1 + 1",
    }
    assert (await solve(bodies)).output.output == [10, 6]


async def test_defect_11_a_helper_without_a_return_is_told_so_and_written_again() -> None:
    model = writer(
        {"solve": "n = count(xs)\nreturn n + 1", "count": ["n = len(xs)", "return len(xs)"]}
    )
    result = await Runner(journal=":memory:", model=model).run_async(
        recode, Task(goal="count", inputs={"xs": [1, 2]})
    )
    assert result.output.output == 3
    assert "count returns nothing; end with a return" in model.asked[2]


async def test_defect_11_a_helper_whose_value_nobody_uses_needs_no_return() -> None:
    asked: list[str] = []
    bodies = {"solve": "prepare(xs)\nreturn 1", "prepare": "for x in xs:\n    pass"}
    assert (await solve(bodies, inputs={"xs": [1]}, asked=asked)).output.output == 1
    assert asked == ["solve", "prepare"]
