"""Tasks made from a seed: the same each time, judged by their maker, and no answer runs code."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.checks import check_samples
from agentflow_evals.scorer import Score
from agentflow_evals.scorers.reasoning_gym import is_harmless, reasoning_gym
from agentflow_evals.suite import Sample
from agentflow_evals.suites.reasoning_gym import ReasoningGym

from agentflow.errors import InputError, SuiteError

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        importlib.util.find_spec("reasoning_gym") is None, reason="needs the package reasoning-gym"
    ),
]
makes_tasks = pytest.mark.slow  # the package alone takes seconds to import


async def score(sample: Sample, output: Any, **changed: Any) -> Score:
    return await reasoning_gym(output, {**sample.checks[0].options, **changed})


@makes_tasks
async def test_the_makers_scorer_judges_and_the_check_holds_no_answer() -> None:
    sample = next(iter(ReasoningGym(size=3, seed=1).samples()))
    assert sample.target == "94*4 - 61 - 6"
    assert sample.target not in sample.checks[0].model_dump_json()
    assert "94*4" not in sample.task.model_dump_json()
    assert (await score(sample, "94 * 4 - 6 - 61")).passed
    assert 0 < (await score(sample, "94 * 4 - 6")).value < 1


@makes_tasks
async def test_an_answer_that_is_a_program_is_never_evaluated(tmp_path: Path) -> None:
    sample = next(iter(ReasoningGym(size=1).samples()))
    file = tmp_path / "written"
    code = f"__import__('pathlib').Path({str(file)!r}).write_text('x')"
    found = await score(sample, code)
    assert (found.passed, "neither arithmetic" in found.explanation) == (False, True)
    assert not file.exists()


@makes_tasks
@pytest.mark.parametrize("dataset", ["n_queens", "spiral_matrix", "string_insertion", "chain_sum"])
async def test_the_makers_own_answer_is_worth_all(dataset: str) -> None:
    samples = list(ReasoningGym(dataset=dataset, size=2, seed=3).samples())
    assert check_samples(samples) == []
    for sample in samples:
        assert (await score(sample, sample.target)).passed


@makes_tasks
async def test_another_version_of_the_package_judges_nothing() -> None:
    sample = next(iter(ReasoningGym(size=1).samples()))
    with pytest.raises(InputError, match=r"made by 0\.0\.1, installed is"):
        await score(sample, "1", version="0.0.1")


@makes_tasks
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dataset": "countdwn"}, "no data set 'countdwn'; there are: ab, "),
        ({"dataset": "word_ladder"}, "other tasks in each process"),
        ({"dataset": "codeio"}, "outside any sandbox"),
        ({"config": {"colour": 1}}, "countdown: .*colour"),
        ({"size": 0}, "size is from 1"),
    ],
)
def test_what_cannot_be_made_is_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        list(ReasoningGym(**options).samples())


def test_a_suite_that_is_only_constructed_imports_nothing() -> None:
    before = set(sys.modules)
    ReasoningGym(dataset="n_queens")
    assert not {name for name in set(sys.modules) - before if name.startswith("reasoning_gym")}


@pytest.mark.parametrize(
    "answer",
    [
        "94*4 - 61 - 6",
        "(x + 1)**2 / 3 + C",
        "-7",
        "[[1, 2], [3, 4]]",
        "1 -2 3",
        "Q _ _\n_ Q _",
        "ABC",
    ],
)
def test_arithmetic_and_literals_are_harmless(answer: str) -> None:
    assert is_harmless(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "9**9**9",
        "9**99999999",
        "(9**20)**20",
        "(x+a+b+c+d+e+f+g)**20",
        "*".join(["(x+1)"] * 9),
        "99999999!",
        "print(1)",
        "().__class__",
        "[x for x in y]",
        "a[0]",
        "lambda: 1",
        "import os",
        "(" * 300 + "1" + ")" * 300,
        "1" * 1000,
        "x := 5",
        "f'{print(1)}'",
    ],
)
def test_what_calls_or_grows_without_an_end_is_not(answer: str) -> None:
    assert is_harmless(answer) is (answer == "import os")  # no expression, so nothing evaluates it
