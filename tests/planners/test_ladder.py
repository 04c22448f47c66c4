"""LADDER: simpler variants first, and numeric verification that a wrong integral does not pass."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.ladder import Climb, ladder, verify
from agentflow_planners.shared.arithmetic import arithmetic

from agentflow import Budget, Runner, Task
from agentflow.errors import BudgetExceededError, ExpansionError, InputError
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Integrate it.", inputs={"integrand": "x*exp(x)"})
CLIMB = Climb(depth=0, variants=1, attempts=1, low=-3.0, high=3.0, seed=0)


def script(solutions: dict[str, Any], variants: dict[str, list[str]]) -> Callable[[str], str]:
    """Answer by the integrand that a prompt speaks of; a list of solutions is given in turn."""

    def answer(prompt: str) -> str:
        if prompt.startswith("Here is an integral"):
            integrand = prompt.split("the integrand is ")[1].split("\n")[0]
            return json.dumps({"integrands": variants.get(integrand, [])})
        if prompt.startswith("Find an antiderivative of "):
            last[:] = [prompt.removeprefix("Find an antiderivative of ").split("\n")[0]]
        given = solutions.get(last[0], "0")
        return json.dumps({"antiderivative": given if isinstance(given, str) else given.pop(0)})

    last: list[str] = []
    return answer


async def reason(journal: str, integrand: str, solution: str, **changed: Any) -> str:
    climb = CLIMB.model_copy(update=changed)
    return str((await Runner(journal=journal).run_async(verify, integrand, solution, climb)).output)


@pytest.mark.parametrize(
    ("integrand", "solution"),
    [
        ("2*x", "x**2"),
        ("2*x", "x**2 + 7"),
        ("2*x", "x^2 - 100 + C"),
        ("sin(x)*cos(x)", "sin(x)**2/2"),
        ("sin(x)*cos(x)", "-cos(2*x)/4"),
        ("1/x", "ln(x)"),
        ("1/x", "log(abs(3*x))"),
        ("sqrt(1 - x**2)", "(x*sqrt(1 - x**2) + arcsin(x))/2"),
        ("tan(x)", "-log(abs(cos(x)))"),
        ("exp(-x**2)", "sqrt(pi)/2*erf(x)"),
        ("x**3*1e-8", "x**4/4*1e-8"),
        ("0", "5"),
    ],
)
async def test_a_right_integral_is_believed_whatever_its_constant(
    integrand: str, solution: str, journal: str
) -> None:
    assert await reason(journal, integrand, solution) == ""


@pytest.mark.parametrize(
    ("integrand", "solution", "said"),
    [
        ("2*x", "2*x", "its slope is 2, not"),
        ("2*x", "x**2 + 0.001*x", "its slope is"),
        ("sin(x)", "cos(x)", "its slope is"),
        ("x", "x*abs(x)/2", "its slope is"),
        ("x**3*1e-8", "0", "its slope is 0, not"),
        ("1/x**2", "1/x", "its slope is"),
        ("2*x", "x**2 + 1e14", "its slope is"),
        ("2*x", "x**2 + sin(1e7*x)/1e3", "points only"),
        ("2*x", "x**2 + sqrt(-1 - x**2)", "at 0 of 64 points only"),
        ("2*x", "(-1 - x**2)**0.5", "at 0 of 64 points only"),
        ("2*x", "1/(x - x)", "at 0 of 64 points only"),
        ("2*x", "9**9**9**9**9", "at 0 of 64 points only"),
        ("2*x", "1e999", "Constant is no arithmetic"),
        ("2*x", "1" + "0" * 400, "Constant is no arithmetic"),
        ("2*x", "x squared", "is no expression"),
        ("2*x", "", "between 1 and 500 characters"),
        ("2*x", "x" * 501, "between 1 and 500 characters"),
        ("2*x", "-" * 499 + "x", "nested too deeply"),
        ("2*x", "(" * 240 + "x" + ")" * 240, "is no expression"),
        ("2*x", "y**2", "Name is no arithmetic"),
        ("2*x", "(f := x**2)", "NamedExpr is no arithmetic"),
        ("2*x", "__import__('os').system('true')", "Call is no arithmetic"),
        ("2*x", "x.real", "Attribute is no arithmetic"),
        ("2*x", "True", "Constant is no arithmetic"),
    ],
)
async def test_a_wrong_integral_is_rejected_with_the_reason(
    integrand: str, solution: str, said: str, journal: str
) -> None:
    assert said in await reason(journal, integrand, solution)


async def test_the_points_are_those_of_the_seed_and_the_interval(journal: str) -> None:
    wrong = [await reason(journal, "2*x", "x", seed=seed) for seed in (0, 0, 1)]
    assert wrong[0] == wrong[1] != wrong[2]
    assert "points only" in await reason(journal, "1/sqrt(x - 9)", "2*sqrt(x - 9)")
    assert await reason(journal, "1/sqrt(x - 9)", "2*sqrt(x - 9)", low=9.5, high=12.0) == ""


async def test_the_easiest_are_solved_first_and_shown_to_those_above(journal: str) -> None:
    variants = {"x * exp(x)": ["3*x*exp(x)", "exp(x)"], "3 * x * exp(x)": ["x"]}
    solutions = {
        "x": "x**2/2",
        "exp(x)": "exp(x)",
        "3 * x * exp(x)": "3*(x - 1)*exp(x)",
        "x * exp(x)": "(x - 1)*exp(x) + 4",
    }
    model = Acting(script(solutions, variants))
    result = await solved(ladder, model, TASK, journal=journal)
    assert result.output.output == "(x - 1) * exp(x) + 4"
    solving = [prompt for prompt in model.asked if prompt.startswith("Find")]
    assert solving[-1].startswith("Find an antiderivative of x * exp(x)\n")
    order = ["x  ->  x ** 2 / 2", "3 * x * exp(x)  ->  3 * (x - 1) * exp(x)", "exp(x)  ->  exp(x)"]
    assert solving[-1].endswith("verified:\n" + "\n".join(order))
    above = next(prompt for prompt in solving if "of 3 * x * exp(x)\n" in prompt)
    assert above.endswith("verified:\nx  ->  x ** 2 / 2")


async def test_variants_are_solved_side_by_side(journal: str) -> None:
    answers = script({"x * exp(x)": "(x-1)*exp(x)"}, {"x * exp(x)": ["5*x", "7*x"]})
    together = ["antiderivative of 5 * x\n", "antiderivative of 7 * x\n"]
    model = Meeting(lambda prompt: answers(prompt), together)
    await solved(ladder, model, TASK, journal=journal, depth=1, attempts=1)


async def test_a_variant_without_a_verified_solution_is_never_shown(journal: str) -> None:
    solutions = {"exp(x)": "x*exp(x)", "x * exp(x)": "(x - 1)*exp(x)"}
    model = Acting(script(solutions, {"x * exp(x)": ["exp(x)"]}))
    result = await solved(ladder, model, TASK, journal=journal, depth=1, attempts=1)
    assert result.output.output == "(x - 1) * exp(x)"
    assert "verified" not in model.asked[-1]
    assert "exp(x): not solved" in notes_of(result)


async def test_a_rejected_solution_comes_back_with_a_point_where_it_is_wrong(journal: str) -> None:
    model = Acting(script({"x * exp(x)": ["exp(x)", "(x - 1)*exp(x)"]}, {}))
    await solved(ladder, model, TASK, journal=journal, depth=0)
    assert model.asked[-1].startswith("exp(x) is no antiderivative: at x = ")
    assert len(model.asked) == 2


async def test_without_a_verified_solution_there_is_no_answer(journal: str) -> None:
    model = Acting(script({"x": "x**2/2", "x * exp(x)": "exp(x)"}, {"x * exp(x)": ["x"]}))
    told = r"no antiderivative of x \* exp\(x\) was verified; 1 easier ones were"
    with pytest.raises(ExpansionError, match=told):
        await solved(ladder, model, TASK, journal=journal, depth=1)
    assert len(model.asked) == 1 + 1 + 3, "variants, one try at the one, three at the problem"


async def test_depth_and_width_bound_the_tree(journal: str) -> None:
    asked = 0

    def answer(prompt: str) -> str:
        nonlocal asked
        asked += 1
        if prompt.startswith("Here is"):
            many = [f"x**{100 * asked + n}" for n in range(50)]
            return json.dumps({"integrands": [*many, *many]})
        return json.dumps({"antiderivative": "x"})

    with pytest.raises(ExpansionError):
        await solved(ladder, Acting(answer), TASK, journal=journal, depth=2, variants=2, attempts=1)
    assert asked == (1 + 2) + (1 + 2 + 4), "three ask for variants, seven are tried"


async def test_variants_that_are_no_arithmetic_or_known_are_left_out(journal: str) -> None:
    given = ["open('x')", "x*exp(x)", "x", "x ", "two x"]
    model = Acting(script({"x * exp(x)": "(x-1)*exp(x)"}, {"x * exp(x)": given}))
    result = await solved(ladder, model, TASK, journal=journal, depth=1, variants=5, attempts=1)
    tried = [prompt for prompt in model.asked if prompt.startswith("Find")]
    assert len(tried) == 2, "x once, and the problem"
    assert "a variant is left out: Call is no arithmetic in x" in notes_of(result)


async def test_a_model_that_writes_no_variants_still_gets_to_try(journal: str) -> None:
    def answer(prompt: str) -> str:
        return '{"antiderivative": "(x-1)*exp(x)"}' if prompt.startswith("Find") else "no idea"

    result = await solved(ladder, Acting(answer), TASK, journal=journal)
    assert result.output.output == "(x - 1) * exp(x)"
    assert "no variants" in notes_of(result)


@pytest.mark.parametrize("inputs", [{}, {"integrand": ""}, {"integrand": "import os"}])
async def test_a_problem_that_cannot_be_read_is_a_typed_error(
    inputs: dict[str, Any], journal: str
) -> None:
    with pytest.raises(InputError, match="`integrand`"):
        await solved(ladder, Acting(str), Task(goal="?", inputs=inputs), journal=journal)


async def test_the_budget_of_the_run_ends_a_ladder(journal: str) -> None:
    runner = Runner(journal=journal, model=Acting(script({}, {})), budget=Budget(steps=3))
    with pytest.raises(BudgetExceededError):
        await runner.run_async(ladder, TASK)


def test_one_expression_has_one_form() -> None:
    assert arithmetic(" x^2+ C ") == arithmetic("(x)**2") == "x ** 2"
