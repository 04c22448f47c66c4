"""FunCoder's steps: divide, write the helpers, choose by what versions do, repair, abstain."""

from pathlib import Path

import pytest
from agentflow_planners.funcoder import funcoder

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, InputError
from tests.parts import shape
from tests.planners.coders import Coder, called, carried_out, code_task

pytestmark = pytest.mark.anyio

DOUBLE = 'def double(x: int) -> int:\n    """Return twice x.\n\n    >>> double(2)\n    4\n    """\n'
PLAIN = 'def double(x: int) -> int:\n    """Return twice x."""\n'
RIGHT = "def double(x: int) -> int:\n    return 2 * x"
WRONG = "def double(x: int) -> int:\n    return x + 2"

DIVIDED = '''def total(text: str) -> int:
    return add(numbers(text))

def numbers(text: str) -> list:
    """Return the numbers in text."""
    ...

def add(items: list) -> int:
    """Return the sum."""
    ...
'''
TOTAL = 'def total(text: str) -> int:\n    """Return the sum of the numbers in text."""\n'
HELPERS = {
    "write numbers": "def numbers(text: str) -> list:\n    return [int(w) for w in text.split()]",
    "write add": "def add(items: list) -> int:\n    return sum(items)",
}


async def test_the_answer_is_what_most_versions_do() -> None:
    script = {"write double": [RIGHT, WRONG, RIGHT, RIGHT, WRONG]}
    result, _ = await carried_out(funcoder, script, code_task(PLAIN), samples=5)
    assert called(result.output.output, "double(5)") == 10


async def test_a_doc_example_outvotes_the_majority() -> None:
    doc = DOUBLE.replace("double(2)\n    4", "double(3)\n    6")
    script = {"write double": [WRONG, WRONG, RIGHT, WRONG, WRONG]}
    result, _ = await carried_out(funcoder, script, code_task(doc), samples=5)
    assert called(result.output.output, "double(5)") == 10


async def test_helpers_are_written_and_the_program_holds_them() -> None:
    whole = "def total(text: str) -> int:\n    return add(numbers(text))"
    script = {"divide total": DIVIDED, "write total": whole, **HELPERS}
    result, _ = await carried_out(funcoder, script, code_task(TOTAL), samples=3)
    assert called(result.output.output, "total('1 2 3')") == 6
    names = {step.name for step in result.record.steps.values()}
    assert {"numbers", "add"} <= names


async def test_a_helper_that_cannot_be_written_is_not_called() -> None:
    whole = "def total(text: str) -> int:\n    return sum(map(int, text.split()))"
    script = {"divide total": DIVIDED, "write total": whole, "write add": HELPERS["write add"]}
    result, model = await carried_out(funcoder, script, code_task(TOTAL), samples=3)
    assert "..." not in result.output.output
    assert called(result.output.output, "total('1 2')") == 3
    assert "write numbers" in model.asked


async def test_what_fails_an_example_goes_back_with_the_reason() -> None:
    script = {"write double": WRONG, "repair double": RIGHT}
    doc = DOUBLE.replace("double(2)\n    4", "double(3)\n    6")
    result, model = await carried_out(funcoder, script, code_task(doc), samples=3)
    assert called(result.output.output, "double(5)") == 10
    complaint = model.requests[model.asked.index("repair double")].messages[-2].text
    assert "double(3) must give 6, but it gives 5" in complaint


async def test_a_crash_goes_back_with_its_traceback() -> None:
    script = {
        "write double": "def double(x: int) -> int:\n    return x * two",
        "repair double": RIGHT,
    }
    result, model = await carried_out(funcoder, script, code_task(DOUBLE), samples=3)
    assert called(result.output.output, "double(5)") == 10
    complaint = model.requests[model.asked.index("repair double")].messages[-2].text
    assert "NameError: name 'two' is not defined" in complaint
    assert "return x * two" in complaint


async def test_too_little_agreement_is_an_abstention() -> None:
    script = {"write double": lambda n: f"def double(x: int) -> int:\n    return x * {n + 5}"}
    with pytest.raises(ExpansionError, match="do not agree enough"):
        await carried_out(funcoder, script, code_task(PLAIN), samples=5, abstain_below=0.5)


async def test_a_tie_is_broken_by_the_seed() -> None:
    script = {"write double": [RIGHT, RIGHT, WRONG]}

    async def answer(seed: int) -> str:
        options = {"samples": 3, "seed": seed, "repairs": 0}
        result, _ = await carried_out(funcoder, script, code_task(PLAIN), **options)
        return str(result.output.output)

    assert await answer(1) == await answer(1)


async def test_a_goal_without_code_is_a_function_of_its_inputs() -> None:
    task = Task(goal="Return twice x.", inputs={"x": 21})
    script = {"write solve": "def solve(x: int):\n    return 2 * x"}
    result, _ = await carried_out(funcoder, script, task, samples=3)
    assert result.output.output == 42


async def test_functions_that_the_task_leaves_unwritten_are_the_division() -> None:
    script = {
        "write total": "def total(text: str) -> int:\n    return add(numbers(text))",
        **HELPERS,
    }
    task = code_task(DIVIDED.split("\n\n", 1)[1] + TOTAL)
    result, model = await carried_out(funcoder, script, task, samples=2)
    assert called(result.output.output, "total('4 5')") == 9
    assert "divide total" not in model.asked


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def f(:", "inputs.code"),
        ("def f():\n    return 1\n", "no function is unwritten"),
        ("x = 1\n", "no function is unwritten"),
    ],
)
async def test_a_task_without_a_function_to_write_is_refused(code: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        await carried_out(funcoder, {}, code_task(code))


async def test_a_task_with_tools_is_refused() -> None:
    with pytest.raises(InputError, match="without tools"):
        await carried_out(funcoder, {}, Task(goal="x", tools=("calculate",)))


async def test_a_replay_asks_nobody_and_starts_no_process(
    sqlite_journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = {"divide total": DIVIDED, "write total": DIVIDED, **HELPERS}
    result, _ = await carried_out(
        funcoder, script, code_task(TOTAL), samples=3, journal=sqlite_journal
    )
    monkeypatch.setenv("PATH", "")
    empty = Coder({})
    again = await Runner(model=empty, journal=sqlite_journal).replay(funcoder, result.id)
    assert again.output == result.output
    assert shape(again.record) == shape(result.record)
    assert empty.asked == []


async def test_a_finished_run_resumes_without_a_call(tmp_path: Path) -> None:
    store = str(tmp_path / "runs.db")
    script = {"write double": RIGHT}
    result, _ = await carried_out(funcoder, script, code_task(DOUBLE), samples=3, journal=store)
    empty = Coder({})
    again = await Runner(model=empty, journal=store).resume(funcoder, result.id)
    assert again.output == result.output
    assert empty.asked == []


async def test_versions_that_lack_a_name_are_no_majority() -> None:
    broken = "def double(x: int) -> int:\n    return x * factor"
    script = {"write double": [broken, broken, broken, broken, RIGHT, RIGHT]}
    result, model = await carried_out(funcoder, script, code_task(PLAIN), samples=6)
    assert called(result.output.output, "double(5)") == 10
    assert "repair double" not in model.asked


async def test_a_winner_that_lacks_a_name_is_repaired_without_any_example() -> None:
    broken = "def double(x: int) -> int:\n    return x * factor if x > 3 else 2 * x"
    script = {"write double": broken, "repair double": RIGHT}
    result, model = await carried_out(funcoder, script, code_task(PLAIN), samples=4)
    complaint = model.requests[model.asked.index("repair double")].messages[-2].text
    assert "NameError" in complaint
    assert called(result.output.output, "double(5)") == 10
