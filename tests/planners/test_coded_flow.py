"""coded_flow: what its programs may call, how far they may go, and what of them is recorded."""

import json
from typing import Any

import anyio
import pytest
from agentflow_planners.coded_flow import coded_flow

from agentflow import Budget, Runner, Task, tool
from agentflow.errors import (
    BudgetExceededError,
    CredentialsError,
    ExpansionError,
    ModelRequestError,
    OutputError,
    ProgramError,
)
from tests.parts import Scripted
from tests.planners.scripts import Acting, Meeting, in_turn, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Add.", inputs={"a": 2, "b": 3}, context="Be quick.")


def body(*lines: str) -> str:
    return "\n".join(["def forward(task):", *(f"    {line}" for line in lines)])


async def value(source: str, model: Scripted, journal: str, task: Task = TASK, **more: Any) -> Any:
    result = await solved(coded_flow, model, task, journal=journal, source=source, **more)
    return result.output.output


async def test_the_task_is_plain_data_and_needs_no_model(journal: str) -> None:
    model = Acting(in_turn())
    source = body("given = task['inputs']", "return [given['a'] + given['b'], task['question']]")
    told = "Add.\n\nBe quick.\n\na:\n2\n\nb:\n3"
    assert await value(source, model, journal) == [5, told]


async def test_every_call_is_a_step_below_the_program(journal: str) -> None:
    source = body("first = ask('one', role='a judge')", "return vote([first, 'No', ' no'])")
    model = Acting(in_turn("yes"))
    result = await solved(coded_flow, model, TASK, journal=journal, source=source)
    assert result.output.output == "No"
    assert [message.text for message in model.requests[0].messages] == ["a judge", "one"]
    steps = result.record.steps
    program = next(step for step in steps.values() if step.kind == "code")
    assert [child.name for child in program.children] == ["ask", "vote"]


async def test_asks_that_do_not_need_each_other_overlap(journal: str) -> None:
    source = body("left = ask('left')", "right = ask('right')", "return ask(left + right)")
    model = Meeting(lambda prompt: prompt.upper(), ["left", "right"])
    with anyio.fail_after(20):
        assert await value(source, model, journal) == "LEFTRIGHT"


async def test_samples_are_a_list_also_of_one(journal: str) -> None:
    model = Acting(in_turn("a", "b", "c"))
    source = body("return [ask('x', n=1), len(ask('x', n=2))]")
    assert await value(source, model, journal) == [["a"], 2]


async def test_json_tests_and_tools_are_there(journal: str) -> None:
    @tool
    def price(item: str) -> int:
        """Return a price."""
        return len(item)

    source = body(
        "schema = {'type': 'object', 'properties': {'code': {'type': 'string'}}, 'required': ['code']}",
        "code = ask_json('write f', schema)['code']",
        "bad = run_tests(code, 'assert f(1) == 3')",
        "return [run_tests(code, 'assert f(1) == 2')['passed'], bad, price('tea'), run_tests('(', '')]",
    )
    reply = json.dumps({"code": "def f(x):\n    return x + 1"})
    task = Task(goal="x", tools=("price",))
    found = await value(source, Acting(in_turn(reply)), journal, task, tools=[price])
    assert (found[0], found[1]["passed"], found[2], found[3]["passed"]) == (True, False, 3, False)
    assert "assert f(1) == 3" in found[1]["report"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return ask('x', n=21)", "less than or equal to 20"),
        ("return ask('x', n=0)", "greater than or equal to 1"),
        ("return ask(7)", "valid string"),
        ("return vote([])", "at least 1 item"),
        ("return ask_json('x', {'type': 'nonsense'})", "no JSON schema"),
        ("return ask_json('x', {'pattern': '('})", "'pattern' may not be in a schema"),
        ("return ask_json('x', {'items': {'$ref': 'http://x'}})", "'$ref' may not be"),
        ("return ask_json('x', {'properties': {'a': 3}})", "no JSON schema"),
        ("return ask_json('x', {'additionalProperties': {'pattern': '('}})", "'pattern' may not"),
        ("return ask_json('x', {'properties': 3})", "no JSON schema"),
        (
            "a = {}\n    for i in range(60):\n        a = {'items': a}\n    return ask_json('x', a)",
            "levels",
        ),
        ("return planner('recode', 'x')", "no planner 'recode'; there are: direct, cot"),
        ("return planner('direct', '')", "the goal is empty"),
        ("return run_tests(1, 2)", "valid string"),
    ],
)
async def test_a_misused_function_says_what_is_wrong_and_where(
    line: str, said: str, journal: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        await value(body(line), Acting(in_turn()), journal)
    assert said in caught.value.report
    assert caught.value.line == 2 + line.count("\n")


async def test_what_the_server_refuses_is_the_programs_fault(journal: str) -> None:
    def picky(prompt: str) -> str:
        raise ModelRequestError(model="scripted", problem=f"{prompt!r} is no prompt")

    for line in ("return ask('', n=2)", "return ask('')", "return ask_json('', {})"):
        with pytest.raises(ProgramError, match="'' is no prompt") as caught:
            await value(body(line), Acting(picky), journal)
        assert caught.value.line == 2


async def test_a_tool_that_is_misused_is_the_programs_fault(journal: str) -> None:
    @tool
    def price(item: str) -> int:
        """Return a price."""
        return len(item)

    task = Task(goal="x", tools=("price",))
    with pytest.raises(ProgramError, match="price"):
        await value(body("return price(1)"), Acting(in_turn()), journal, task, tools=[price])


async def test_other_planners_are_at_hand(journal: str) -> None:
    source = body("return planner('direct', 'Name it.', {'of': task['inputs']['a']})")
    model = Acting(in_turn("two"))
    assert await value(source, model, journal) == "two"
    assert model.asked == ["Name it.\n\nof:\n2"]


async def test_a_program_may_call_itself_until_its_calls_are_used_up(journal: str) -> None:
    source = body(
        "n = task['inputs']['n']",
        "return 0 if n == 0 else n + planner('coded_flow', 'less', {'n': n - 1})",
    )
    task = Task(goal="x", inputs={"n": 2})
    assert await value(source, Acting(in_turn()), journal, task, calls=16) == 3
    deep = Task(goal="x", inputs={"n": 9})
    with pytest.raises(ExpansionError, match="calls itself too deep"):
        await value(source, Acting(in_turn()), journal, deep, calls=16)


async def test_endless_asking_ends_even_where_every_error_is_caught(journal: str) -> None:
    model = Acting(lambda _prompt: "again")
    source = body(
        "while True:", "    try:", "        ask('x')", "    except Exception:", "        pass"
    )
    with pytest.raises(ProgramError, match="more than 5 calls"):
        await value(source, model, journal, calls=5)
    assert len(model.asked) == 5


async def test_it_spends_from_the_runs_own_budget(journal: str) -> None:
    runner = Runner(journal=journal, model=Acting(lambda _: "a b"), budget=Budget(tokens=30))
    source = body("return [ask(str(k)) for k in range(30)]")
    with pytest.raises(BudgetExceededError):
        await runner.run_async(coded_flow, TASK, source=source)


async def test_the_answer_has_the_wanted_shape_or_is_none(journal: str) -> None:
    task = Task(goal="x", output_schema={"type": "integer"})
    model = Acting(lambda _: "So.\nAnswer: 42")
    assert await value(body("return ask('x')"), model, journal, task) == 42
    for line in ("return 'many'", "return 1.5", "pass"):
        with pytest.raises(OutputError):
            await value(body(line), model, journal, task)
    with pytest.raises(OutputError, match="returns nothing"):
        await value(body("pass"), model, journal)


async def test_a_resumed_program_asks_only_what_has_no_answer_yet(journal: str) -> None:
    def down(prompt: str) -> str:
        if prompt.startswith("second"):
            raise CredentialsError(model="scripted", problem="down")
        return prompt.upper()

    source = body("one = ask('first')", "return ask('second: ' + one)")
    with pytest.raises(CredentialsError):
        await Runner(journal=journal, model=Acting(down)).run_as(
            "cut", coded_flow, TASK, source=source
        )
    model = Acting(lambda prompt: prompt)
    resumed = await Runner(journal=journal, model=model).resume(coded_flow, "cut")
    assert resumed.output.output == "second: FIRST"
    assert model.asked == ["second: FIRST"]
    replayed = await Runner(journal=journal).replay(coded_flow, "cut")
    assert replayed.output == resumed.output
