"""ReCode with `verify="consensus"`: whole functions are written several times, and most agree."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from agentflow_planners.recode import recode

from agentflow import Budget, Runner, RunResult, Task, tool
from agentflow.errors import BudgetExceededError
from tests.parts import shape
from tests.planners.recode_parts import solve, writer

pytestmark = pytest.mark.anyio

INPUTS = {"xs": [1, 3, 2]}  # the first is the smallest here: only other arguments tell them apart
RIGHT, WRONG = "return min(xs)", "return xs[0]"
VERSIONS = [WRONG, RIGHT, WRONG, "return sorted(xs)[0]", "low = min(xs)\nreturn low"]


def steps(result: RunResult[Any], name: str) -> int:
    return sum(step.name == name for step in result.record.steps.values())


def notes(result: RunResult[Any]) -> str:
    return "\n".join(note.text for step in result.record.steps.values() for note in step.notes)


async def test_the_version_that_most_agree_with_runs_and_all_of_it_replays(journal: str) -> None:
    asked: list[str] = []
    options: dict[str, Any] = {"levels": 0, "verify": "consensus", "journal": journal}
    result = await solve({"solve": list(VERSIONS)}, inputs=INPUTS, asked=asked, **options)
    assert result.output.output == 1
    assert len(asked) == 5
    program = next(s for s in result.record.steps.values() if s.name == "solve program")
    assert json.loads(program.input)["code"] in set(VERSIONS) - {WRONG}
    assert steps(result, "observe") >= 3
    replayed = await Runner(journal=journal).replay(recode, result.id)
    assert replayed.output == result.output
    assert shape(replayed.record) == shape(result.record)


async def test_without_agreement_the_function_is_written_in_the_plain_way() -> None:
    asked: list[str] = []
    versions = ["return xs[0]", "return xs[1]", "return xs", "return len(xs)", "return sum(xs)"]
    bodies = {"solve": [*versions, "return 'plain'"]}
    result = await solve(bodies, inputs=INPUTS, asked=asked, levels=0, verify="consensus")
    assert (result.output.output, len(asked)) == ("plain", 6)
    assert "no consensus on solve" in notes(result)


async def test_only_functions_that_must_be_whole_are_written_several_times() -> None:
    asked: list[str] = []
    bodies = {"solve": "return low(xs)", "low": list(VERSIONS)}
    result = await solve(bodies, inputs=INPUTS, asked=asked, levels=1, verify="consensus")
    assert result.output.output == 1
    assert asked == ["solve"] + ["low"] * 5


async def test_a_version_that_calls_a_tool_is_never_tried() -> None:
    seen: list[int] = []

    @tool(effect=True)
    def pay(amount: int) -> str:
        """Pay."""
        seen.append(amount)
        return "paid"

    result = await solve({"solve": "return pay(5)"}, tools=(pay,), levels=0, verify="consensus")
    assert (result.output.output, seen) == ("paid", [5])
    assert steps(result, "observe") == 0


async def test_versions_that_misbehave_are_contained_and_outvoted(tmp_path: Path) -> None:
    hostile = [
        f"open({str(tmp_path / 'out')!r}, 'w').write('x')\nreturn xs[0]",
        "import os\nos._exit(0)\nreturn xs[0]",
        RIGHT,
        "return sorted(xs)[0]",
        RIGHT,
    ]
    result = await solve({"solve": hostile}, inputs=INPUTS, levels=0, verify="consensus")
    assert result.output.output == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": float("nan"), "y": [float("-inf"), {"a": (1, 2)}, {3}, None, b"b"]},
        {"x": "a" * 30_000, "y": list(range(3_000))},
        {"x": [], "y": {}},
    ],
)
async def test_arguments_of_any_kind_and_size_reach_the_versions(inputs: dict[str, Any]) -> None:
    bodies = {"solve": ["return str(len(y))", "return str(len(y))", "return f'{len(y)}'"]}
    result = await solve(bodies, inputs=inputs, levels=0, verify="consensus", samples=3)
    assert result.output.output == str(len(inputs["y"]))
    assert "consensus on solve" in notes(result)
    assert "no consensus" not in notes(result)


async def test_dates_and_decimals_reach_the_versions() -> None:
    inputs = {"day": dt.date(2026, 1, 31), "price": Decimal("1.50")}
    bodies = {"solve": ["return day.year", "return int(day.year)"]}
    result = await solve(bodies, inputs=inputs, levels=0, verify="consensus", samples=2)
    assert result.output.output == 2026


async def test_what_the_budget_does_not_cover_is_no_version() -> None:
    model = writer({"solve": "return 1"})
    runner = Runner(journal=":memory:", model=model, budget=Budget(steps=4))
    with pytest.raises(BudgetExceededError, match="steps"):
        await runner.run_async(recode, Task(goal="test"), levels=0, verify="consensus")
    assert len(model.asked) == 3
