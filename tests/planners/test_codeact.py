"""CodeAct: programs by turns, what they print and leave behind, and how the answer comes."""

import pytest
from agentflow_planners.codeact import codeact

from agentflow import Task, tool
from agentflow.errors import ExpansionError
from agentflow.models.protocol import ModelSpec
from tests.planners.scripts import Acting, in_turn, solved

pytestmark = pytest.mark.anyio


@tool
def price(item: str) -> float:
    """Return the price of an item."""
    return {"tea": 2.5, "jam": 4.0}[item]


def programs(*codes: str) -> Acting:
    return Acting(in_turn(*(f"Let me see.\n```python\n{code}\n```" for code in codes)))


async def test_it_looks_first_and_then_returns_the_answer(journal: str) -> None:
    model = programs(
        'prices = {item: price(item) for item in items}\nprint("found", prices)\nlen(prices)',
        "return sum(prices.values())",
    )
    task = Task(goal="Total?", inputs={"items": ["tea", "jam"]}, tools=("price",))
    result = await solved(codeact, model, task, journal=journal, tools=[price])
    assert result.output.output == 6.5
    assert "price(item)  # Return the price of an item." in model.requests[0].messages[0].text
    assert "items (list of 2 str)" in model.asked[0]
    found = "Printed:\nfound {'tea': 2.5, 'jam': 4.0}\nValue: 2\n"
    assert model.asked[1] == f"{found}Once you know the answer, `return` it."
    cells = [step for step in result.record.steps.values() if step.name == "cell"]
    assert [len(cell.children) for cell in cells] == [2, 0]


async def test_imports_functions_and_data_go_on_and_what_cannot_is_named(journal: str) -> None:
    model = programs(
        "import math\ndef half(x):\n    return x / 2\nn = 9\nif n > 10:\n    m = 1\npick = lambda x: x",
        "n = n + math.floor(half(3))",
        "return [n, half(n)]",
    )
    result = await solved(codeact, model, Task(goal="x"), journal=journal)
    assert result.output.output == [10, 5.0]
    assert "Not kept, since they hold no plain data: pick\n" in model.asked[1]
    assert "It ran, printed nothing and its last line has no value." in model.asked[2]


async def test_the_last_meaning_of_a_name_counts(journal: str) -> None:
    model = programs("f = 1\ng = 1", "def f():\n    return 2\ng = f", "return f()", "return g")
    result = await solved(codeact, model, Task(goal="x"), journal=journal)
    assert result.output.output == 2
    gone = programs("g = 1", "g = lambda: 2", "return g", "return 3")
    assert (await solved(codeact, gone, Task(goal="x"), journal=journal)).output.output == 3
    assert "name 'g' is not defined" in gone.asked[3]


async def test_a_failure_is_told_with_the_line_as_written(journal: str) -> None:
    model = programs("def f():\n    return 1\nf()", "x = f()\ny = x / 0", "return 5")
    result = await solved(codeact, model, Task(goal="x"), journal=journal)
    assert result.output.output == 5
    assert model.asked[1].startswith("Value: 1\n")
    assert "ZeroDivisionError: division by zero in line 2: `y = x / 0`" in model.asked[2]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = (", "SyntaxError"),
        ("n = fly(3)", "name 'fly' is not defined; there are the tools price"),
        ("def price(item):\n    return 1", "price is there: call it, and do not write your own"),
        ("price('gold')", "in line 1: `price('gold')`"),
        ("import os\nprint(os.environ['HOME'])", "The program failed"),
        ("while True:\n    pass", "The program failed"),
    ],
)
async def test_whatever_goes_wrong_in_a_program_goes_back_to_the_model(
    code: str, said: str, journal: str
) -> None:
    model = programs(code, "return 5")
    task = Task(goal="x", tools=("price",))
    result = await solved(codeact, model, task, journal=journal, tools=[price])
    assert result.output.output == 5
    assert said in model.asked[1]


async def test_effects_of_a_program_that_failed_are_told(journal: str) -> None:
    sent: list[str] = []

    @tool(effect=True)
    def send(text: str) -> str:
        """Send."""
        sent.append(text)
        return "sent"

    model = programs("send('a')\n1 / 0", "return 'done'")
    task = Task(goal="x", tools=("send",))
    result = await solved(codeact, model, task, journal=journal, tools=[send])
    assert (result.output.output, sent) == ("done", ["a"])
    assert "must not be repeated: send('a') gave 'sent'" in model.asked[1]


async def test_an_answer_of_the_wrong_shape_is_no_answer_yet(journal: str) -> None:
    model = programs("return 'six'", "return", "return 6")
    task = Task(goal="x", output_schema={"type": "integer"})
    assert (await solved(codeact, model, task, journal=journal)).output.output == 6
    assert "'six' is not of type 'integer'" in model.asked[1]
    assert "None is not of type 'integer'" in model.asked[2]


async def test_a_value_that_looks_like_the_outcome_of_a_cell_is_just_a_value(journal: str) -> None:
    value = {"printed": 1, "value": 2, "kept": 3, "lost": 4}
    model = programs(f"return {value}")
    assert (await solved(codeact, model, Task(goal="x"), journal=journal)).output.output == value


async def test_a_reply_without_code_is_the_answer_in_words(journal: str) -> None:
    model = Acting(in_turn("It is six."))
    assert (
        await solved(codeact, model, Task(goal="x"), journal=journal)
    ).output.output == "It is six."


async def test_what_a_model_makes_up_behind_its_program_is_not_kept(journal: str) -> None:
    model = Acting(in_turn("```python\n1 + 1\n```\nPrinted: 3", "```python\nreturn 2\n```"))
    await solved(codeact, model, Task(goal="x"), journal=journal)
    assert model.requests[1].messages[-2].text == "```python\n1 + 1\n```"


async def test_after_the_last_turn_it_is_a_typed_error(journal: str) -> None:
    with pytest.raises(ExpansionError, match="no answer after 2 turns; raise `turns`"):
        await solved(codeact, programs("1", "2"), Task(goal="x"), journal=journal, turns=2)


async def test_a_local_model_goes_on_from_a_begun_fence(journal: str) -> None:
    model = Acting(in_turn("```python\nn = (", "```python\nreturn 6 * 7\n"))
    model.spec = ModelSpec(provider="gguf", name="model", retries=0)
    task = Task(goal="6 * 7?", output_schema={"type": "integer"})
    assert (await solved(codeact, model, task, journal=journal)).output.output == 42
    first, second = model.requests
    assert (first.messages[-1].role, first.messages[-1].text) == ("assistant", "```python\n")
    assert first.messages[-2].text == "6 * 7?\n\nThe answer is an int."
    assert (first.stop, first.temperature, second.temperature) == (("```",), 0.0, 0.2)
