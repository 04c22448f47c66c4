"""The defects 12 to 22 of ReCode's published code: bounds, isolation, overlap, reuse and replay.

Numbers as in test_recode_defects.py. Defect 21, a list of requirements, has no counterpart here.
"""

import sys
from typing import Any

import anyio
import pytest
from agentflow_planners.recode import recode

from agentflow import Budget, Runner, Task, tool
from agentflow.errors import ExpansionError, ModelRequestError
from tests.parts import Scripted
from tests.planners.recode_parts import WANTED, solve, writer

pytestmark = pytest.mark.anyio


async def test_defect_12_a_prompt_shows_the_beginning_of_a_value_and_never_all_of_it() -> None:
    inputs = {
        "text": "a" * 50_000 + "END",
        "rows": [{"name": "n" * 9_000 + "END", "n": n} for n in range(500)],
        "table": {f"{'k' * 5_000}{n}END": n for n in range(50)},
        "deep": [[["x" * 3_000 + "END"] * 9] * 9] * 9,
    }
    model = writer({"solve": ["return look(text, rows, table, deep)"], "look": "return len(rows)"})
    result = await Runner(journal=":memory:", model=model).run_async(
        recode, Task(goal="count", inputs=inputs)
    )
    assert result.output.output == 500
    for prompt in model.asked:
        assert "END" not in prompt
        assert len(prompt) < 10_000


async def test_defect_12_an_error_that_quotes_a_value_is_cut_short() -> None:
    @tool
    def fetch(page: str) -> str:
        """Fetch."""
        raise ValueError(page + "END")

    @tool(effect=True)
    def store(page: str) -> str:
        """Store."""
        return page + "END"

    model = writer({"solve": ["store(page)\nreturn fetch(page)", "return 1"]})
    task = Task(goal="fetch", inputs={"page": "p" * 90_000}, tools=("fetch", "store"))
    await Runner(journal=":memory:", model=model, tools=[fetch, store]).run_async(recode, task)
    assert "must not be repeated: store(page) gave 'ppp" in model.asked[1]
    assert "END" not in model.asked[1]
    assert len(model.asked[1]) < 10_000


@pytest.mark.parametrize(
    "code",
    [
        "import os\nreturn os.getuid()",
        "import os\nreturn os.environ['HOME']",
        "return open('/etc/passwd').read()",
        "import subprocess\nreturn subprocess.run(['id'])",
        "import socket\nreturn socket.gethostname()",
        "return __import__('os').getuid()",
        "return ().__class__.__base__.__subclasses__()",
        "from pathlib import Path\nreturn Path('/etc/passwd').read_text()",
    ],
)
async def test_defect_13_generated_code_reaches_neither_user_nor_files(code: str) -> None:
    with pytest.raises(ExpansionError, match="none of 1 versions worked"):
        await solve({"solve": code}, repairs=0)


async def test_defect_14_runs_in_one_process_wait_for_their_tools_side_by_side() -> None:
    arrived: dict[int, int] = {1: 0, 2: 0}
    all_there = {1: anyio.Event(), 2: anyio.Event()}

    @tool
    async def act(turn: int) -> int:
        """Come back when four runs have come to this turn: one after the other, that is never."""
        arrived[turn] += 1
        if arrived[turn] == 4:
            all_there[turn].set()
        await all_there[turn].wait()
        return turn

    outputs: list[Any] = []

    async def episode() -> None:
        bodies = {"solve": "a = act(1)\nb = act(a + 1)\nreturn b"}
        outputs.append((await solve(bodies, tools=(act,))).output.output)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(episode)
    assert outputs == [2, 2, 2, 2]


@pytest.mark.slow
async def test_defect_14_an_endless_loop_is_ended_and_told_and_nobody_else_waits_for_it() -> None:
    finished: list[str] = []

    async def run(name: str, bodies: dict[str, Any]) -> None:
        await solve(bodies)
        finished.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(run, "endless", {"solve": ["while True:\n    pass", "return 1"]})
        group.start_soon(run, "quick", {"solve": "return 2"})
    assert finished == ["quick", "endless"]


async def test_defect_15_what_a_program_prints_is_kept_with_it_and_nobody_elses_output_is_touched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stdout = sys.stdout

    @tool
    def say(word: str) -> str:
        """Print on the host while the program is running."""
        assert sys.stdout is stdout
        print(word)
        return word

    result = await solve({"solve": "print('inside')\nreturn say('outside')"}, tools=(say,))
    assert capsys.readouterr().out == "outside\n"
    program = next(s for s in result.record.steps.values() if s.name == "solve program")
    assert program.details["stdout"] == "inside\n"


MANY = "return [" + ", ".join(f"part_{n}()" for n in range(200)) + "]"


async def test_defect_16_two_hundred_new_functions_in_one_program_are_refused_in_words() -> None:
    model = writer({"solve": [MANY, "return [part(n) for n in range(200)]"], "part": "return n"})
    result = await Runner(journal=":memory:", model=model).run_async(recode, Task(goal="many"))
    assert result.output.output == list(range(200))
    assert "it calls 200 new functions, at most 20 are allowed" in model.asked[1]
    assert len(model.asked) == 3


async def test_defect_16_who_does_not_learn_gets_a_typed_error_after_few_calls() -> None:
    asked: list[str] = []
    with pytest.raises(ExpansionError, match="at most 7 are allowed"):
        await solve({"solve": MANY}, asked=asked, width=7)
    assert len(asked) == 5


async def test_defect_16_the_width_of_the_budget_is_told_to_the_model() -> None:
    model = writer(
        {"solve": ["return [part(n) for n in range(9)]", "return 4"], "part": "return n"}
    )
    runner = Runner(journal=":memory:", model=model, budget=Budget(width=6))
    result = await runner.run_async(recode, Task(goal="many"))
    assert result.output.output == 4
    assert "refused, the budget of 6 width does not cover it" in model.asked[-1]


async def test_defect_17_at_the_depth_limit_a_function_is_made_of_primitive_actions_and_the_run_goes_on() -> (
    None
):
    seen: list[str] = []

    @tool(effect=True)
    def go(place: str) -> str:
        """Go to a place."""
        seen.append(place)
        return place

    bodies = {
        "solve": "return one('desk')",
        "one": ["return two(argument_1)", "go(argument_1)\nreturn 'there'"],
    }
    model = writer(bodies)
    runner = Runner(journal=":memory:", model=model, tools=[go])
    result = await runner.run_async(recode, Task(goal="go", tools=("go",)), levels=1)
    assert (result.output.output, seen) == ("there", ["desk"])
    assert "with the functions above; there are no others" in model.asked[1]
    assert (
        "`two` does not exist; do the work in plain Python and the functions go" in model.asked[2]
    )


async def test_defect_17_recursion_past_the_depth_of_the_budget_is_told_and_not_the_end() -> None:
    down = "return 0 if argument_1 == 0 else 1 + depth(argument_1 - 1)"
    model = writer({"solve": "return depth(9)", "depth": [down, "return argument_1"]})
    runner = Runner(journal=":memory:", model=model, budget=Budget(depth=4))
    result = await runner.run_async(recode, Task(goal="depth"))
    assert result.output.output == 9
    assert any("budget of 4 depth" in prompt for prompt in model.asked)


async def test_defect_18_a_run_replays_and_goes_on_where_it_was_cut_off(journal: str) -> None:
    bodies = {"solve": "return [half(xs[0]), other(xs[1])]", "half": "return argument_1 / 2"}
    inputs = {"xs": [2, 4]}

    def refuses(prompt: str) -> str:
        name = WANTED.findall(prompt)[-1]
        if name == "other":
            raise ModelRequestError(model="scripted:model", problem="no")
        return f"```python\n{bodies[name]}\n```"

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Scripted(refuses)).run_as(
            "cut", recode, Task(goal="test", inputs=inputs)
        )
    asked: list[str] = []
    runner = Runner(journal=journal, model=writer({"other": "return 4"}, asked))
    resumed = await runner.resume(recode, "cut")
    assert resumed.output.output == [1, 4]
    assert asked == ["other"], "what was written before is not written again"
    replayed = await Runner(journal=journal).replay(recode, resumed.id)
    assert replayed.output == resumed.output


async def test_defect_19_a_function_is_written_once_for_all_its_calls_in_a_program() -> None:
    asked: list[str] = []
    bodies = {"solve": "return [half(1), half(2.0), half(n)]", "half": "return argument_1 / 2"}
    result = await solve(bodies, inputs={"n": 3}, asked=asked)
    assert result.output.output == [0.5, 1.0, 1.5]
    assert asked == ["solve", "half"], "whatever the arguments are called, and of whatever type"


async def test_defect_20_a_new_environment_needs_no_change_of_the_planner() -> None:
    @tool
    def look() -> dict[str, list[str]]:
        """Return what is where."""
        return {"drawer": ["key"], "shelf": ["book"]}

    code = "found = pick(look())\nreturn found"
    bodies = {"solve": code, "pick": "return [k for k, v in look_result.items() if 'key' in v]"}
    assert (await solve(bodies, tools=(look,))).output.output == ["drawer"]


@pytest.mark.parametrize(
    "reply",
    [
        "```python\nreturn 41 + 1\n```",
        "```python\ndef solve():\n    return 41 + 1\n```\nIt adds.",
        "Well.\n```\ndef solve():\n    return 41 + 1",
        "def solve():\n    return 41 + 1",
        "```python\ndef solve(): return 41 + 1\n```",
        "First:\n```python\nx = 41\n```\nthen\n```python\ndef solve():\n    return x + 1\n```",
    ],
)
async def test_defect_22_the_form_of_a_reply_does_not_matter(reply: str) -> None:
    model = Scripted(lambda _prompt: reply)
    result = await Runner(journal=":memory:", model=model).run_async(recode, Task(goal="answer"))
    assert (result.output.output, len(model.asked)) == (42, 1)
