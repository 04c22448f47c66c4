"""Demo2Code: summaries until they suffice, functions down to what is given, and a program that runs."""

import json
from typing import Any

import pytest
from agentflow_planners.demo2code import demo2code

from agentflow import Runner, Task, tool
from agentflow.errors import ExpansionError, InputError, ModelRequestError
from tests.planners.delegates import overlap
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

API = """\
def move(table, block, place):
    \"\"\"Put a block on a place; return the table as it is then.\"\"\"
    return {name: (place if name == block else where) for name, where in table.items()}
"""
TABLE = {"red": "left", "blue": "left", "green": "right"}
DEMOS = ["The red block goes right. The blue block goes right.", "Green goes right. Done."]
INPUTS: dict[str, Any] = {"demos": DEMOS, "api": API, "table": TABLE}
TASK = Task(goal="Tidy the table.", inputs=INPUTS)
SPEC = "Every block goes to the right, in the order of their names."
SOLVE = "def solve(table):\n    for block in in_order(table):\n        table = put_right(table, block)\n    return table\n"  # fmt: skip
HELPERS = {
    "in_order": "def in_order(table):\n    return sorted(table)\n",
    "put_right": "def put_right(table, block):\n    return move(table, block, side())\n",
    "side": "def side():\n    return 'right'\n",
}


class Programmer(Acting):
    """Summarises, specifies, and writes the functions of a script by their names."""

    def __init__(self, functions: dict[str, str], sufficient: tuple[bool, ...] = (True,)) -> None:
        super().__init__(self._say)
        self.functions, self._sufficient = functions, sufficient
        self.written: list[str] = []

    def _say(self, prompt: str) -> str:
        system = self.requests[-1].messages[0].text
        if "Summarise a demonstration" in system:
            rounds = sum("The demonstration:" in asked for asked in self.asked)
            enough = self._sufficient[min(rounds, len(self._sufficient)) - 1]
            return json.dumps({"summary": f"summary {rounds}", "sufficient": enough})
        if "summaries of demonstrations" in system:
            return SPEC
        name = prompt.rpartition("Write `def ")[2].partition("(")[0]
        self.written.append(name)
        return f"```python\n{self.functions[name]}\n```"


ALL = {"solve": SOLVE, **HELPERS}


async def test_undefined_functions_are_written_down_to_what_is_given_and_the_program_runs(
    journal: str,
) -> None:
    model = Programmer(ALL)
    result = await solved(demo2code, model, TASK, journal=journal)
    assert result.output.output == dict.fromkeys(TABLE, "right")
    assert model.written == ["solve", "in_order", "put_right", "side"]
    assert overlap(journal, result.id, "in_order", "put_right"), "one level is written side by side"
    asked = next(text for text in model.asked if "Write `def put_right(table, block):`" in text)
    assert SPEC in asked
    assert "def move(table, block, place): Put a block on a place" in asked
    assert "for block in in_order(table)" in asked, "it is shown where it is called"


async def test_a_demonstration_is_summarised_until_the_model_calls_it_sufficient(
    journal: str,
) -> None:
    one = TASK.model_copy(update={"inputs": {**INPUTS, "demos": DEMOS[:1]}})
    model = Programmer(ALL, sufficient=(False, False, True))
    await solved(demo2code, model, one, journal=journal)
    rounds = [text for text in model.asked if "The demonstration:" in text]
    assert [text.rpartition("\n")[2] for text in rounds] == [DEMOS[0], "summary 1", "summary 2"]


async def test_summarising_ends_after_four_rounds_and_says_so(journal: str) -> None:
    one = TASK.model_copy(update={"inputs": {**INPUTS, "demos": DEMOS[:1]}})
    model = Programmer(ALL, sufficient=(False,))
    result = await solved(demo2code, model, one, journal=journal)
    assert sum("The demonstration:" in text for text in model.asked) == 4
    assert "not sufficiently summarised after 4 rounds" in notes_of(result)


async def test_a_function_that_comes_with_another_is_not_asked_for_again(journal: str) -> None:
    both = SOLVE + HELPERS["in_order"]
    model = Programmer({**ALL, "solve": both})
    await solved(demo2code, model, TASK, journal=journal)
    assert model.written == ["solve", "put_right", "side"]


async def test_what_is_given_is_called_and_never_replaced(journal: str) -> None:
    mine = "def move(table, block, place):\n    return 'stolen'\n"
    model = Programmer({**ALL, "solve": SOLVE + mine})
    result = await solved(demo2code, model, TASK, journal=journal)
    assert result.output.output == dict.fromkeys(TABLE, "right")


async def test_the_program_acts_through_the_tools_of_the_task(journal: str) -> None:
    moved: list[str] = []

    @tool(effect=True)
    def grab(block: str) -> str:
        """Take a block."""
        moved.append(block)
        return block

    task = Task(goal="Grab all.", inputs={"demos": DEMOS, "blocks": ["a", "b"]}, tools=("grab",))
    code = "def solve(blocks):\n    return [take(block) for block in blocks]\n"
    model = Programmer({"solve": code, "take": "def take(block):\n    return grab(block)\n"})
    result = await solved(demo2code, model, task, journal=journal, tools=[grab])
    assert result.output.output == ["a", "b"]
    assert moved == ["a", "b"], "a replay moves nothing"


async def test_levels_and_functions_have_bounds(journal: str) -> None:
    with pytest.raises(ExpansionError, match="side is still to be written after 2 levels"):
        await solved(demo2code, Programmer(ALL), TASK, journal=journal, depth=2)
    with pytest.raises(ExpansionError, match="it needs more than 2 functions, such as in_order"):
        await solved(demo2code, Programmer(ALL), TASK, journal=journal, total=2)
    endless = {
        name: f"def {name}():\n    return f{at + 1}()\n"
        for at, name in enumerate(["f0", "f1", "f2", "f3"])
    }
    endless["solve"] = "def solve(table):\n    return f0()\n"
    model = Programmer(endless)
    with pytest.raises(ExpansionError, match="f3 is still to be written after 4 levels"):
        await solved(demo2code, model, TASK, journal=journal)


async def test_a_program_that_fails_is_written_again_with_the_reason_where_that_is_allowed(
    journal: str,
) -> None:
    broken = {"solve": "def solve(table):\n    return table['yellow']\n"}
    with pytest.raises(ExpansionError, match="KeyError"):
        await solved(demo2code, Programmer(broken), TASK, journal=journal)

    class Learning(Programmer):
        def _say(self, prompt: str) -> str:
            if "An earlier program failed:" in prompt and "KeyError" in prompt:
                self.functions = ALL
            return super()._say(prompt)

    result = await solved(demo2code, Learning(broken), TASK, journal=journal, attempts=2)
    assert result.output.output == dict.fromkeys(TABLE, "right")


async def test_after_effects_no_second_program_is_tried(journal: str) -> None:
    calls: list[int] = []

    @tool(effect=True)
    def ring() -> str:
        """Ring the bell."""
        calls.append(1)
        return "rung"

    task = Task(goal="Ring.", inputs={"demos": DEMOS}, tools=("ring",))
    model = Programmer({"solve": "def solve():\n    ring()\n    return 1 // 0\n"})
    with pytest.raises(ExpansionError, match="ZeroDivisionError"):
        await solved(demo2code, model, task, journal=journal, tools=[ring], attempts=3)
    assert calls == [1]


HOSTILE = [
    "def solve(table):\n    return open('/etc/passwd').read()\n",
    "import os\ndef solve(table):\n    return os.listdir('/')\n",
    "def solve(table):\n    return ().__class__.__bases__[0].__subclasses__()\n",
]


@pytest.mark.parametrize("code", HOSTILE)
async def test_code_that_reaches_for_the_machine_fails(code: str, journal: str) -> None:
    with pytest.raises(ExpansionError, match="no program came to an answer"):
        await solved(demo2code, Programmer({"solve": code}), TASK, journal=journal)


async def test_a_run_that_was_cut_off_writes_nothing_twice(journal: str) -> None:
    class Refusing(Programmer):
        def _say(self, prompt: str) -> str:
            if "Write `def side():`" in prompt:
                raise ModelRequestError(model="scripted:model", problem="no")
            return super()._say(prompt)

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Refusing(ALL)).run_as("cut", demo2code, TASK)
    rest = Programmer(ALL)
    resumed = await Runner(journal=journal, model=rest).resume(demo2code, "cut")
    assert resumed.output.output == dict.fromkeys(TABLE, "right")
    assert rest.written == ["side"]
    assert len(rest.asked) == 1


@pytest.mark.parametrize(
    "inputs",
    [{}, {"demos": "one"}, {"demos": []}, {"demos": DEMOS, "api": "def ("}, {"demos": DEMOS, "api": 3},
     {"demos": DEMOS, "solve": 1}],
    ids=str,
)  # fmt: skip
async def test_inputs_that_cannot_be_worked_on_are_refused_before_a_call(
    inputs: dict[str, Any], journal: str
) -> None:
    model = Programmer(ALL)
    with pytest.raises(InputError):
        await solved(demo2code, model, Task(goal="Tidy.", inputs=inputs), journal=journal)
    assert not model.asked
