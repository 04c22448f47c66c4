"""Suites of questions that a user brings: every published format, hand-made."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.opening import open_suite
from agentflow_evals.suite import Suite
from agentflow_evals.suites.by_path.fanoutqa import FanOutQaFile
from agentflow_evals.suites.by_path.gaia import Gaia
from agentflow_evals.suites.by_path.gsm8k import Gsm8k
from agentflow_evals.suites.by_path.math import Math

from agentflow.errors import SuiteError


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


GSM = {"question": "Two and two?", "answer": "2 + 2 = <<2+2=4>>4\n#### 1,004"}
MATH = {
    "problem": "What is $1/2$?",
    "level": "Level 2",
    "type": "Prealgebra",
    "solution": "It is $\\boxed{1}$ no, $\\boxed{\\frac{1}{2}}$.",
}
MATH500 = {
    "problem": "What is 3?",
    "solution": "three",
    "answer": "3",
    "subject": "Number Theory",
    "level": 5,
    "unique_id": "test/number_theory/9.json",
}
FANOUT = {
    "id": "q1",
    "question": "Who are they?",
    "decomposition": [{"decomposition": [{"decomposition": []}]}, {"decomposition": []}],
    "answer": {"A": 1, "B": True},
    "categories": ["x"],
}
GAIA = {
    "task_id": "g1",
    "Question": "How many?",
    "Level": "2",
    "Final answer": "17",
    "file_name": "a.csv",
    "Annotator Metadata": {"Steps": "secret steps"},
}


def test_gsm8k_asks_the_question_and_keeps_the_answer(tmp_path: Path) -> None:
    lines(tmp_path / "test.jsonl", GSM)
    lines(tmp_path / "train.jsonl", {**GSM, "question": "Other?"})
    suite = Gsm8k(path=str(tmp_path))
    (sample,) = suite.samples()
    assert sample.task.goal == "Two and two?"
    assert "1004" not in sample.task.model_dump_json()
    assert sample.checks[0].options == {"answer": "1004", "kind": "number"}
    assert list(suite.training_texts()) == ["Other?"]
    assert suite.origin().version == "not a file whose published sum is known"


def test_math_reads_folders_and_takes_the_last_box(tmp_path: Path) -> None:
    for number in (10, 9):
        lines(tmp_path / "MATH" / "test" / "prealgebra" / f"{number}.json", MATH)
    lines(tmp_path / "MATH" / "train" / "algebra" / "1.json", {**MATH, "problem": "Trained?"})
    suite = Math(path=str(tmp_path / "MATH"), level=2, subject="prealgebra")
    samples = list(suite.samples())
    assert [sample.id for sample in samples] == ["prealgebra/9", "prealgebra/10"]
    assert samples[0].target == "\\frac{1}{2}"
    assert "frac" not in samples[0].task.model_dump_json()
    assert list(suite.training_texts()) == ["Trained?"]
    assert not list(Math(path=str(tmp_path / "MATH"), level=3).samples())


def test_math_500_has_answers_of_its_own(tmp_path: Path) -> None:
    (sample,) = Math(path=str(lines(tmp_path / "test.jsonl", MATH500))).samples()
    assert (sample.id, sample.target, sample.group) == ("test/number_theory/9.json", "3", "level 5")


def test_fanoutqa_counts_the_sub_questions_and_shows_none(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps([FANOUT]))
    (sample,) = FanOutQaFile(path=str(path)).samples()
    assert (sample.group, sample.checks[0].name) == ("3 sub-questions", "mentions")
    assert sample.task.model_dump(exclude_defaults=True) == {"goal": "Who are they?"}


def test_gaia_gives_the_path_of_the_attached_file(tmp_path: Path) -> None:
    lines(tmp_path / "metadata.jsonl", GAIA, {**GAIA, "task_id": "g2", "file_name": ""})
    with pytest.raises(SuiteError, match=r"metadata.jsonl:1: its file 'a.csv' is not there"):
        list(Gaia(path=str(tmp_path)).samples())
    (tmp_path / "a.csv").write_text("1")
    first, second = Gaia(path=str(tmp_path), level=2, tools=("read_text",)).samples()
    assert first.task.inputs == {"file": str((tmp_path / "a.csv").resolve())}
    assert (first.task.tools, second.task.inputs) == (("read_text",), {})
    assert "secret" not in first.task.model_dump_json()
    assert [sample.id for sample in Gaia(path=str(tmp_path), files=False).samples()] == ["g2"]


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        (Gsm8k, {**GSM, "answer": "four"}, "does not end in '#### NUMBER'"),
        (Gsm8k, {"question": "?"}, "the field 'answer' is missing"),
        (Math, {**MATH, "level": "hard"}, "the field 'level' is 'Level 1' to 'Level 5'"),
        (Math, {**MATH, "solution": "\\boxed{"}, "holds no \\boxed{} answer"),
        (Math, {**MATH, "problem": 3}, "the field 'problem' is not text but int"),
        (FanOutQaFile, {**FANOUT, "answer": None}, "it has no answer"),
        (FanOutQaFile, {**FANOUT, "decomposition": [1]}, "no list of questions"),
        (Gaia, {**GAIA, "Final answer": "?"}, "it has no 'Final answer'"),
        (Gaia, {**GAIA, "Level": "high"}, "the field 'Level' is no whole number"),
        (Gaia, {**GAIA, "file_name": "../../etc/passwd"}, "leads out of the folder"),
    ],
)
def test_a_wrong_record_is_named_by_line(
    tmp_path: Path, kind: type[Suite], row: dict[str, Any], said: str
) -> None:
    path = lines(tmp_path / "a.jsonl", row)
    with pytest.raises(SuiteError) as raised:
        list(kind(path=str(path)).samples())  # type: ignore[call-arg]
    assert said in str(raised.value)
    assert ": a.jsonl:1: " in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (Gsm8k, {"path": "nowhere"}, "there is no 'nowhere'; docs/suites-by-path.md says"),
        (Gsm8k, {"split": "dev"}, "split is one of test, train, not 'dev'"),
        (Gsm8k, {"sha256": "12"}, "sha256 is 64 hexadecimal digits"),
        (Math, {"level": 9}, "level is 1 to 5, or 0 for all, not 9"),
        (Gaia, {"level": 4}, "level is 1 to 3"),
    ],
)
def test_a_wrong_option_is_told_at_once(
    tmp_path: Path, kind: Any, options: dict[str, Any], said: str
) -> None:
    lines(tmp_path / "test.jsonl", GSM)
    with pytest.raises(SuiteError) as raised:
        kind(**{"path": str(tmp_path), **options})
    assert said in str(raised.value)


def test_data_that_was_pinned_to_another_sum_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "test.jsonl", GSM)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Gsm8k(path=str(path), sha256=right).origin().sha256 == right
    assert list(Gsm8k(path=str(path), sha256=right.upper()).samples())
    with pytest.raises(SuiteError, match=f"its SHA-256 is {right}, not the 0000"):
        list(Gsm8k(path=str(path), sha256="0" * 64).samples())


def test_a_folder_without_the_file_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"holds none of: test.jsonl, test.jsonl.gz"):
        list(Gsm8k(path=str(tmp_path)).samples())


def test_a_suite_by_path_opens_with_its_options(tmp_path: Path) -> None:
    path = lines(tmp_path / "test.jsonl", GSM)
    module = "agentflow_evals.suites.by_path.gsm8k:Gsm8k"
    opened = open_suite(module, {"path": str(path)})
    assert (len(opened.samples), opened.origin.source) == (1, "openai/grade-school-math")
