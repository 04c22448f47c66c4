"""STOP: an improver that improves itself, is kept only when it is no worse, and keeps to its budgets."""

from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.stop import BASE, SEED, stop

from agentflow import Budget, Runner, Task
from agentflow.errors import CredentialsError, InputError, ProgramError
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

SQUARE = "def forward(task):\n    return task['inputs']['n'] ** 2"
SMALL = "def forward(task):\n    n = task['inputs']['n']\n    return n * n if n in (1, 3, 6) else 0"  # half of each part
NOTHING = "def forward(task):\n    return 0"
# It asks in another way than the seed, and is answered better.
BETTER = "def forward(task):\n    return ask('Write the best program.', n=1)[0]"
WORSE = f"def forward(task):\n    return {SMALL!r}"


def case(number: int) -> dict[str, Any]:
    check = {"name": "program", "options": {"assertions": f"assert output == {number * number}"}}
    task = {"goal": "Square n.", "inputs": {"n": number}}
    return {"id": f"c{number}", "task": task, "checks": [check]}


CASES = [case(number) for number in range(1, 7)]


def task(**inputs: Any) -> Task:
    return Task(goal="Square numbers.", inputs={"cases": CASES, "solution": SMALL, **inputs})


def script(improver: str = NOTHING, solution: str = NOTHING) -> Callable[[str], str]:
    """Answer what seeds ask: for an improver, or for a solution; and the one question of `BETTER`."""

    def answer(prompt: str) -> str:
        if prompt == "Write the best program.":
            return SQUARE
        code = improver if prompt.startswith("The program improves programs") else solution
        return f"Here it is.\n```python\n{code}\n```"

    return answer


async def found(
    model: Acting, journal: str, *, rounds: int = 1, **inputs: Any
) -> tuple[dict[str, Any], str]:
    result = await solved(
        stop, model, task(**inputs), journal=journal, rounds=rounds, responses=1, asks=2, tests=2
    )
    return result.output.output, notes_of(result)


async def test_a_better_improver_replaces_its_maker_and_its_solution_wins(journal: str) -> None:
    output, notes = await found(Acting(script(BETTER)), journal)
    assert output["improver"] == BETTER
    assert output["options"] == {"source": SQUARE}
    assert output["base"]["options"] == {"source": SMALL}
    assert output["scores"]["held_out"]["mean"] == 1.0 > output["scores"]["base_held_out"]["mean"]
    assert "1.000 after" in notes
    assert "kept" in notes


async def test_an_improver_that_is_worse_but_not_worthless_is_reverted(journal: str) -> None:
    maker = _replaced_by(f"def forward(task):\n    return {SQUARE!r}", WORSE)
    output, notes = await found(Acting(script()), journal, improver=maker)
    assert output["improver"] == maker
    assert "round 1: 0.500 after 1.000, reverted" in notes
    assert output["options"] == {"source": SQUARE}


def _replaced_by(program: str, other: str) -> str:
    """Return a program that gives `other` for an improver, else does what `program` does."""
    return (
        f"{program.replace('forward', 'usual', 1)}\n\ndef forward(task):\n"
        f"    return {other!r} if 'utility(' in task['about'] else usual(task)"
    )


@pytest.mark.parametrize(
    ("improver", "said"),
    [
        ("def forward(task):\n    return 1 / 0", "0.000 after"),
        ("import os\ndef forward(task):\n    return os.name", "os is not there"),
        ("def forward(task):\n    return 5", "0.000 after"),
        ("no Python at all", "no improver: SyntaxError"),
        ("def forward(task):\n    return 'no Python at all'", "0.000 after"),
    ],
)
async def test_a_broken_improver_is_reverted_and_the_run_goes_on(
    improver: str, said: str, journal: str
) -> None:
    maker = _replaced_by(f"def forward(task):\n    return {SQUARE!r}", improver)
    output, notes = await found(Acting(script()), journal, improver=maker)
    assert output["improver"] == maker
    assert output["options"] == {"source": SQUARE}
    assert said in notes
    assert "round 1: 0.000 after 1.000, reverted" in notes


async def test_the_seed_keeps_what_it_was_given_when_nothing_is_better(journal: str) -> None:
    output, notes = await found(Acting(script("1 +", "2 +")), journal)
    assert output["improver"] == SEED
    assert output["improved"] is False
    assert "the improver stays" in notes


async def test_an_improver_may_ask_and_measure_only_so_often(journal: str) -> None:
    greedy = """\
def forward(task):
    told = []
    for kind in range(2):
        count = 0
        try:
            while True:
                if kind:
                    utility(task["solution"])
                else:
                    ask("x", n=task["responses"])
                count = count + 1
        except Exception as error:
            told.append(f"# {count}: {error}")
    return "\\n".join(told) + "\\n" + task["solution"].replace("n in (1, 3, 6)", "n < 99")
"""
    model = Acting(lambda _: "?")
    result = await solved(
        stop,
        model,
        task(improver=greedy),
        journal=journal,
        rounds=0,
        responses=2,
        asks=3,
    )
    told = result.output.output["options"]["source"].split("\n")
    assert told[0] == "# 3: ExpansionError: asks: no more than 3 asks are allowed"
    assert (
        told[1]
        == "# 7: ExpansionError: uses of the utility: no more than 7 uses of the utility are allowed"
    )
    assert len(model.asked) == 6


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ask('x', n=7)", "no more than 1 responses"),
        ("ask('x', n='all')", "no more than 1 responses"),
        ("ask('x', n=0)", "greater than or equal to 1"),
        ("planner('direct', 'x')", "planner is not defined"),
        ("[ask('x') if i < 2 else utility('') for i in range(99)]", "allowed"),
    ],
)
async def test_what_an_improver_may_not_do_is_a_remark(line: str, said: str, journal: str) -> None:
    improver = f"def forward(task):\n    {line}\n    return {SQUARE!r}"
    if said.startswith("planner"):
        with pytest.raises(ProgramError, match=said):
            await found(Acting(script()), journal, rounds=0, improver=improver)
        return
    output, notes = await found(Acting(script()), journal, rounds=0, improver=improver)
    assert said in notes
    assert output["options"] == {"source": SMALL}


async def test_what_it_is_measured_by_is_told_and_no_held_out_case_is(journal: str) -> None:
    model = Acting(script())
    await found(model, journal)
    improvers = [text for text in model.asked if text.startswith("The program improves programs")]
    assert "def utility(improver):" in improvers[0]
    assert "for test in range(2):" in improvers[0]
    assert SEED in improvers[0]
    solutions = [text for text in model.asked if text.startswith("The program solves tasks")]
    assert "What it is for: Square numbers." in solutions[0]
    assert SMALL in solutions[0]


async def test_without_a_solution_there_is_a_plain_one_to_begin_with(journal: str) -> None:
    model = Acting(script(solution=SQUARE))
    plain = Task(goal="Square numbers.", inputs={"cases": CASES})
    result = await solved(stop, model, plain, journal=journal, rounds=0, responses=1)
    assert result.output.output["base"]["options"] == {"source": BASE}
    assert result.output.output["options"] == {"source": SQUARE}


async def test_the_budget_ends_it_and_what_was_found_is_measured(journal: str) -> None:
    runner = Runner(journal=journal, model=Acting(script(BETTER)), budget=Budget(steps=400))
    result = await runner.run_async(stop, task(), rounds=90, responses=1, asks=2, tests=2)
    assert result.output.output["stopped"] != "done"
    assert result.output.output["improver"] == BETTER
    assert result.output.output["scores"]["held_out"]["mean"] == 1.0


async def test_it_goes_on_where_it_was_cut(journal: str) -> None:
    asked: list[str] = []

    def down(prompt: str) -> str:
        asked.append(prompt)
        if prompt == "Write the best program.":
            raise CredentialsError(model="scripted", problem="down")
        return script(BETTER)(prompt)

    options: dict[str, Any] = {"rounds": 1, "responses": 1, "asks": 2, "tests": 2}
    with pytest.raises(CredentialsError):
        await Runner(journal=journal, model=Acting(down)).run_as("cut", stop, task(), **options)
    assert [text for text in asked if text.startswith("The program improves programs")]
    model = Acting(script(BETTER))
    resumed = await Runner(journal=journal, model=model).resume(stop, "cut")
    assert resumed.output.output["options"] == {"source": SQUARE}
    assert not [text for text in model.asked if text.startswith("The program improves programs")]
    replayed = await Runner(journal=journal).replay(stop, "cut")
    assert replayed.output == resumed.output


async def test_there_must_be_cases_and_a_solution_that_may_run(journal: str) -> None:
    with pytest.raises(InputError, match="cases"):
        await solved(stop, Acting(script()), Task(goal="x"), journal=journal)
    bad = task(solution="def forward(task):\n    return open('x')")
    with pytest.raises(ProgramError, match="open is not there"):
        await solved(stop, Acting(script()), bad, journal=journal)
