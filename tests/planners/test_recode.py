"""ReCode: the eleven cases in which the authors' code breaks, repairs, levels and parallel branches."""

import re
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from agentflow_planners.recode import recode
from agentflow_planners.recode_prompts import _HOUSE_ANSWER
from agentflow_planners.recode_replies import body_of

from agentflow import Budget, Runner, RunResult, Task, tool
from agentflow.errors import BudgetExceededError, ExpansionError
from agentflow.models.protocol import Request
from tests.parts import Scripted, shape

pytestmark = pytest.mark.anyio

WANTED = re.compile(r"^Write (\w+)\(", re.MULTILINE)


def writer(bodies: dict[str, Any], asked: list[str] | None = None) -> Scripted:
    """Return a model that writes these bodies: a string, or one after another from a list."""
    left = {
        name: list(body) if isinstance(body, list) else [body] * 99 for name, body in bodies.items()
    }

    def answer(prompt: str) -> str:
        found = WANTED.findall(prompt)
        name = found[-1] if found else last[0]
        last[0] = name
        if asked is not None:
            asked.append(name)
        body = left[name].pop(0)
        return f"Sure.\n```python\n{body}\n```" if body is not None else ""

    last = ["solve"]
    return Scripted(answer)


async def solve(
    bodies: dict[str, Any],
    *,
    inputs: dict[str, Any] | None = None,
    asked: list[str] | None = None,
    journal: str = ":memory:",
    budget: Budget | None = None,
    tools: tuple[Any, ...] = (),
    schema: dict[str, Any] | None = None,
    **options: int,
) -> RunResult[Any]:
    runner = Runner(
        journal=journal, model=writer(bodies, asked), budget=budget or Budget(), tools=tools
    )
    names = tuple(item.name for item in tools)
    task = Task(goal="test", inputs=inputs or {}, tools=names, output_schema=schema)
    return await runner.run_async(recode, task, **options)


async def test_cases_1_and_2_it_runs_with_no_option_at_all() -> None:
    result = await Runner(journal=":memory:", model=writer({"solve": "return 41 + 1"})).run_async(
        recode, Task(goal="answer")
    )
    assert result.output.output == 42


async def test_case_3_a_runtime_error_goes_back_to_the_model_and_is_repaired() -> None:
    model = writer({"solve": ["return numbers[9]", "return numbers[0]"]})
    runner = Runner(journal=":memory:", model=model)
    result = await runner.run_async(recode, Task(goal="first", inputs={"numbers": [7]}))
    assert result.output.output == 7
    assert "IndexError: list index out of range in line 1: `return numbers[9]`" in model.asked[1]


@pytest.mark.parametrize("reply", ["", "I cannot do that", "def solve(:"])
async def test_case_4_a_reply_without_code_is_asked_again(reply: str) -> None:
    result = await solve({"solve": [reply, "return 1"]})
    assert result.output.output == 1


async def test_case_5_imports_lambdas_and_functions_live_as_long_as_the_program() -> None:
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


def test_case_6_the_example_in_the_prompt_does_what_it_says() -> None:
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


async def test_case_7_two_statements_on_one_line_run_once_each() -> None:
    seen: list[str] = []

    @tool(effect=True)
    def act(what: str) -> str:
        """Act."""
        seen.append(what)
        return what

    await solve({"solve": 'act("a"); act("b")\nreturn 0'}, tools=(act,))
    assert seen == ["a", "b"]


async def test_case_8_a_keyword_only_call_passes_its_values() -> None:
    asked: list[str] = []
    result = await solve(
        {"solve": "return clean(room=name, times=2)", "clean": "return room * times"},
        inputs={"name": "ab"},
        asked=asked,
    )
    assert result.output.output == "abab"
    assert asked == ["solve", "clean"]


async def test_case_9_an_undefined_argument_is_an_error_and_no_placeholder() -> None:
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
async def test_case_10_a_placeholder_in_a_loop_runs_for_every_item_and_is_written_once(
    code: str,
) -> None:
    asked: list[str] = []
    result = await solve(
        {"solve": code, "half": "return x / 2"}, inputs={"xs": [2, 4, 6]}, asked=asked
    )
    assert result.output.output == [1, 2, 3]
    assert asked == ["solve", "half"]
    assert sum(step.name == "half" for step in result.record.steps.values()) == 3


async def test_case_10_a_branch_that_is_not_taken_is_never_written() -> None:
    asked: list[str] = []
    code = "if flag:\n    return never()\nreturn once()"
    result = await solve({"solve": code, "once": "return 1"}, inputs={"flag": False}, asked=asked)
    assert result.output.output == 1
    assert asked == ["solve", "once"]


async def test_case_11_a_function_cannot_touch_its_callers_variables() -> None:
    bodies = {
        "solve": "total = 10\npart = add(5)\nreturn [total, part]",
        "add": "total = 99\nreturn argument_1 + 1",
    }
    assert (await solve(bodies)).output.output == [10, 6]


FIELDS = {
    "type": "object",
    "properties": {
        "low": {"type": "integer", "description": "the smallest of xs"},
        "high": {"type": "integer", "description": "the largest of xs"},
    },
}


async def test_a_schema_with_fields_makes_the_first_program_split_on_them() -> None:
    asked: list[str] = []
    bodies = {
        "solve": [
            'return {"low": min(xs), "high": max(xs)}',
            '# low (int): smallest\nlow = find_low(xs)\n# high (int): largest\nhigh = find_high(xs)\nreturn {"low": low, "high": high}',
        ],
        "find_low": ["return 'three'", "return min(xs)"],
        "find_high": "return max(xs)",
    }
    result = await solve(bodies, inputs={"xs": [3, 1, 2]}, schema=FIELDS, asked=asked)
    assert result.output.output == {"low": 1, "high": 3}
    assert asked.count("solve") == 2, "doing the work at once breaks the rule of a split"
    assert asked.count("find_low") == 2, "a wrong type goes back to the model"


async def test_independent_functions_are_written_side_by_side() -> None:
    started: set[str] = set()
    both = anyio.Event()

    class Meeting(Scripted):
        async def complete(self, request: Request, on_text: Callable[[str], None]) -> Any:
            name = WANTED.findall(request.messages[-1].text)[-1]
            started.add(name)
            if {"left", "right"} <= started:
                both.set()
            if name in ("left", "right"):
                await both.wait()  # one after the other would wait here for ever
            return await super().complete(request, on_text)

    bodies = {
        "solve": "a = left(1)\nb = right(2)\nreturn a + b",
        "left": "return 1",
        "right": "return 2",
    }
    model = Meeting(lambda prompt: f"```python\n{bodies[WANTED.findall(prompt)[-1]]}\n```")
    result = await Runner(journal=":memory:", model=model).run_async(recode, Task(goal="sum"))
    assert result.output.output == 3


async def test_data_dependencies_between_calls_are_recorded() -> None:
    bodies = {
        "solve": "a = first(1)\nb = second(a)\nreturn b",
        "first": "return 1",
        "second": "return a + 1",
    }
    record = (await solve(bodies)).record
    steps = {step.name: step for step in record.steps.values()}
    assert steps["second"].links == (steps["first"].number,)


async def test_at_the_last_level_a_function_must_be_whole() -> None:
    asked: list[str] = []
    bodies = {
        "solve": "return one(1)",
        "one": ["return two(2)", "return argument_1 + 1"],
    }
    result = await solve(bodies, asked=asked, levels=1)
    assert result.output.output == 2
    assert asked == ["solve", "one", "one"]


async def test_the_depth_of_the_budget_is_a_last_level_too() -> None:
    bodies = {"solve": "return one(1)", "one": ["return two(2)", "return 5"]}
    assert (await solve(bodies, budget=Budget(depth=1))).output.output == 5


async def test_a_function_may_call_itself() -> None:
    bodies = {
        "solve": "return fact(5)",
        "fact": "return 1 if argument_1 < 2 else argument_1 * fact(argument_1 - 1)",
    }
    asked: list[str] = []
    assert (await solve(bodies, asked=asked)).output.output == 120
    assert asked == ["solve", "fact"]


async def test_a_body_that_only_calls_itself_is_refused() -> None:
    with pytest.raises(ExpansionError, match="calls itself without end"):
        await solve({"solve": "return solve()"}, repairs=1)


async def test_a_flood_of_calls_is_stopped_by_the_budget() -> None:
    code = "return [part(n) for n in range(200)]"
    with pytest.raises(BudgetExceededError, match="steps"):
        await solve({"solve": code, "part": "return n"}, budget=Budget(steps=50))


async def test_what_never_works_is_a_typed_error_that_says_why() -> None:
    with pytest.raises(
        ExpansionError, match=r"none of 3 versions worked; the last: ZeroDivisionError"
    ):
        await solve({"solve": "return 1 / 0"}, repairs=2)


async def test_a_caller_hears_of_a_function_that_never_works_and_may_go_another_way() -> None:
    bodies = {"solve": ["return broken(1)", "return 7"], "broken": "return 1 / 0"}
    assert (await solve(bodies, repairs=1)).output.output == 7


async def test_effects_that_happened_are_told_and_not_hidden() -> None:
    seen: list[int] = []

    @tool(effect=True)
    def pay(amount: int) -> str:
        """Pay."""
        seen.append(amount)
        return f"paid {amount}"

    model = writer({"solve": ["pay(5)\nreturn 1 / 0", "return 'done'"]})
    runner = Runner(journal=":memory:", model=model, tools=[pay])
    result = await runner.run_async(recode, Task(goal="pay", tools=("pay",)))
    assert (result.output.output, seen) == ("done", [5])
    assert "must not be repeated: pay(5) gave 'paid 5'" in model.asked[1]


async def test_a_whole_tree_replays_without_the_model(journal: str) -> None:
    bodies = {
        "solve": "return [score(x) for x in xs] + [other(2)]",
        "score": ["return x / 0", "return x * 10"],
        "other": "return helper(3)",
        "helper": "return 4",
    }
    result = await solve(bodies, inputs={"xs": [1, 2]}, journal=journal)
    assert result.output.output == [10, 20, 4]
    replayed = await Runner(journal=journal).replay(recode, result.id)
    assert replayed.output == result.output
    assert shape(replayed.record) == shape(result.record)


async def test_generated_code_cannot_reach_the_machine() -> None:
    code = "import os\nreturn os.environ['HOME']"
    with pytest.raises(ExpansionError):
        await solve({"solve": code}, repairs=0)
    with pytest.raises(ExpansionError, match="Permission"):
        await solve({"solve": "return open('/etc/passwd').read()"}, repairs=0)
