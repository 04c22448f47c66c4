"""ReCode beyond its known defects: splits, levels, effects, consensus, parallel branches and replay."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from agentflow_planners.recode import recode

from agentflow import Budget, Runner, Task, tool
from agentflow.errors import BudgetExceededError, ExpansionError
from agentflow.models.protocol import Request
from agentflow.solving import Named, solve_task
from tests.parts import Scripted, shape
from tests.planners.recode_parts import WANTED, solve, writer

pytestmark = pytest.mark.anyio

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


async def test_a_prompt_holds_the_goal_the_arguments_and_the_tools_and_nothing_of_the_check() -> (
    None
):
    said: list[str] = []

    class Listening(Scripted):
        async def complete(self, request: Request, on_text: Callable[[str], None]) -> Any:
            said.append("\n".join(message.text for message in request.messages))
            return await super().complete(request, on_text)

    @tool
    def look(place: str) -> str:
        """Look at a place."""
        return f"a {place}"

    bodies = {
        "solve": "# what is there\nseen = tell(word)\nreturn seen",
        "tell": "return look(word)",
    }
    model = Listening(lambda prompt: f"```python\n{bodies[WANTED.findall(prompt)[-1]]}\n```")
    task = Task(goal="Say what you see.", inputs={"word": "lamp", "other": 1}, tools=("look",))
    gold = Named(name="contains", options={"all": ["GOLD-7"]})
    runner = Runner(journal=":memory:", model=model, tools=[look])
    result = await runner.run_async(solve_task, task, Named(name="recode"), (gold,))
    assert result.output.output == "a lamp"
    assert len(said) == 2
    assert (
        said[1]
        == """You write short, correct Python functions.
Goal: Say what you see.

You may call:
look(place)  # Look at a place.

word = 'lamp'  # str of 4 characters

Write tell(word). It returns what is there. Where a part is work of its own, call a helper function \
that does not exist yet, with a comment above the call saying what it returns; others will write it. \
Do the rest yourself."""
    )
    assert not any("GOLD-7" in text or "contains" in text for text in said)
