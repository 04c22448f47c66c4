"""Evaluations from files: our JSON lines, and logs that Inspect 0.3.285 wrote (`recorded/`)."""

import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from agentflow_evals.formats import inspect_files, outcomes_jsonl
from agentflow_evals.formats.reading import read
from agentflow_evals.outcome import Measures, Outcome
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, SuiteUsed
from agentflow_evals.record import Evaluation

from agentflow.errors import EvaluationError, MissingExtraError
from agentflow.models.protocol import ModelSpec
from agentflow.solving import Named

RECORDED = Path(__file__).parent / "recorded"


def an_evaluation(answer: Any = ("a", {1: 2.5}), planner: str = "direct") -> Evaluation:
    plan = EvaluationPlan(
        suite=SuiteUsed(name="sums"),
        samples=("s1", "s2"),
        planners=(Contender(label=planner, planner=Named(name="direct")),),
        models=(Entrant(label="m", spec=ModelSpec(provider="openai", name="m")),),
    )
    outcomes = tuple(
        Outcome(
            sample=sample,
            planner=planner,
            model="m",
            run=f"run-{sample}",
            status="passed",
            value=1.0,
            answer=answer,
            measures=Measures(input_tokens=3),
        )
        for sample in plan.samples
    )
    return Evaluation(id="e1", plan=plan, outcomes=outcomes, started_at=5.0, ended_at=9.5)


def changed(log: str, folder: Path, **changes: Any) -> Path:
    """Return a copy of a recorded log whose first sample has other values."""
    found = json.loads((RECORDED / log).read_text())
    found["samples"][0] |= changes
    path = folder / log
    path.write_text(json.dumps(found))
    return path


@pytest.mark.parametrize("answer", ["text", None, ("a", {1: 2.5}, {"x"}), "\ud800", float("inf")])
def test_json_lines_keep_an_evaluation(answer: Any, tmp_path: Path) -> None:
    evaluation = an_evaluation(answer)
    outcomes_jsonl.write(evaluation, tmp_path / "out.jsonl")
    found = read(tmp_path / "out.jsonl")
    kept = "?" if answer == "\ud800" else answer
    assert [item.answer for item in found.outcomes] == [kept, kept]
    assert (found.plan, found.started_at, found.ended_at) == (evaluation.plan, 5.0, 9.5)
    assert found.id == "out.jsonl"


def test_a_last_line_that_is_cut_off_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.jsonl"
    outcomes_jsonl.write(an_evaluation(), path)
    path.write_bytes(path.read_bytes()[:-30])
    assert [cell.sample for cell in read(path).missing] == ["s2"]
    assert caplog.messages == [f"{path}:3: the last line is cut off, so it is left out"]


@pytest.mark.parametrize(
    ("line", "text", "problem"),
    [
        (0, '{"format": "agentflow-evaluation", "version": 2}', "1: it is of version 2"),
        (0, '{"format": "agentflow-evaluation", "version": 1}', "1: .*id: Field required"),
        (0, '{"format": "agentflow-evaluation", ', "1: not a line of an exported evaluation"),
        (1, "{}", "2: .*sample: Field required"),
        (1, "[" * 100_000, "2: not a line"),
        (1, '{"answer": {"$": "decimal", "v": "x"}}', "2: not a line"),
        (1, '{"answer": {"$": "os.system", "v": "x"}}', "2: not a line"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: int, text: str, problem: str) -> None:
    path = tmp_path / "out.jsonl"
    outcomes_jsonl.write(an_evaluation(), path)
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(EvaluationError, match=f"out.jsonl:{problem}"):
        read(path)


def test_an_outcome_that_is_there_twice_or_not_planned_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    outcomes_jsonl.write(an_evaluation(), path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[1]]))
    with pytest.raises(EvaluationError, match=r":4: sample 's1' under 'direct' is there twice"):
        read(path)
    path.write_text("".join([*lines[:2], lines[2].replace('"s2"', '"s3"')]))
    with pytest.raises(EvaluationError, match=r":3: sample 's3' .* is not in the plan"):
        read(path)


@pytest.mark.parametrize("name", ["sums.json", "sums.eval"])
def test_a_log_of_inspect_is_an_evaluation(name: str) -> None:
    found = read(RECORDED / name)
    assert found.id == name
    assert found.plan.suite.name == "sums"
    assert found.plan.samples == ("one", "2", "3", "endless", "breaks")
    assert str(found.plan.models[0].spec) == "mockllm:model"
    assert found.plan.planners[0].label == "use_tools+generate"
    assert found.plan.budget.tokens == 50
    once = [(item.sample, item.status) for item in found.outcomes if item.repeat == 0]
    assert once == [
        ("one", "passed"),
        ("2", "failed"),
        ("3", "passed"),
        ("endless", "refused"),
        ("breaks", "error"),
    ]
    assert found.ended_at is not None
    assert found.ended_at > found.started_at > 1.7e9


def test_tokens_from_a_cache_are_part_of_the_input() -> None:
    one = read(RECORDED / "sums.json").outcomes[0]
    assert (one.measures.calls, one.measures.tokens, one.measures.cached_tokens) == (2, 38, 8)
    assert one.measures.cost_usd is None
    assert one.measures.seconds > 0


def test_what_inspect_says_of_a_sample_is_its_reason() -> None:
    found = read(RECORDED / "sums.json")
    reasons = {item.sample: item.reason for item in found.outcomes}
    assert reasons["endless"] == "Token limit exceeded. value: 57; limit: 50"
    assert reasons["breaks"] == "RuntimeError('the mock broke')"
    assert reasons["2"].startswith("5 xxx")
    assert {item.sample: item.target for item in found.outcomes}["2"] == ["4", "four"]


def test_epochs_are_repeats() -> None:
    found = read(RECORDED / "sums.json")
    assert found.plan.repeat == 2
    assert [item.repeat for item in found.outcomes] == [0] * 5 + [1] * 5


def test_another_score_of_a_log_can_be_chosen() -> None:
    found = read(RECORDED / "sums.json", scorer="half")
    assert {item.value for item in found.outcomes if item.is_counted} == {0.5}


@pytest.mark.parametrize(
    ("value", "status", "number"),
    [
        ("C", "passed", 1),
        ("P", "failed", 0.5),
        ("N", "failed", 0),
        (True, "passed", 1),
        ("0.25", "failed", 0.25),
        ("Yes", "passed", 1),
        (float("nan"), "error", 0),
    ],
)
def test_words_and_numbers_are_values(
    value: Any, status: str, number: float, tmp_path: Path
) -> None:
    path = changed("sums.json", tmp_path, scores={"match": {"value": value}})
    first = next(item for item in read(path).outcomes if item.sample == "2")
    assert (first.status, first.value) == (status, number)


@pytest.mark.parametrize("value", [7, -1, "good", None, {"a": 1}, [1]])
def test_a_score_that_is_no_share_is_refused(value: Any, tmp_path: Path) -> None:
    path = changed("sums.json", tmp_path, scores={"match": {"value": value}})
    with pytest.raises(EvaluationError, match=r"sample 2: the score 'match' is .*from 0 to 1"):
        read(path)


def test_a_sample_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="sample '3' is there twice in epoch 1"):
        read(changed("sums.json", tmp_path, id=3))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "neither a log of Inspect"),
        (b"[]", "neither a log of Inspect"),
        (b'{"eval": ', "not JSON"),
        (b'{"a": ' * 100_000, "not JSON"),
        (b'{"eval": {}, "version": 2, "samples": []}', "log.eval.task: Field required"),
        (b'{"eval": {"task": "t", "model": "m/n"}, "version": 2}', "holds no samples"),
        (b"PK\x03\x04 nothing", "neither a log of Inspect"),
    ],
)
def test_a_file_that_is_no_evaluation_is_refused(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(content)
    with pytest.raises(EvaluationError, match=problem):
        read(path)


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"nope.json cannot be read: No such file"):
        read(tmp_path / "nope.json")
    with pytest.raises(EvaluationError, match=r"holds no .json, .jsonl or .eval file"):
        read(tmp_path)


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    data = bytearray((RECORDED / "sums.eval").read_bytes())
    at = data.index(b"PK\x01\x02")  # the first entry of the directory; byte 24 is its size
    struct.pack_into("<I", data, at + 24, 10)
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
    assert first.file_size == 10
    with pytest.raises(EvaluationError, match="its size is not what the archive says"):
        inspect_files._member(path, first)


def test_a_member_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    data = bytearray((RECORDED / "sums.eval").read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, 2**31)
    path.write_bytes(data)
    with pytest.raises(EvaluationError, match="larger than"):
        read(path)


def test_damaged_zstandard_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    data = (RECORDED / "sums.eval").read_bytes()
    path.write_bytes(data.replace(zstandard.FRAME_HEADER, b"\x00\x00\x00\x00"))
    with pytest.raises(EvaluationError, match="is damaged"):
        read(path)


def test_without_what_reads_zstandard_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agentflow\[inspect\]'"):
        read(RECORDED / "sums.eval")


def test_a_folder_unites_files_of_one_suite_only(tmp_path: Path) -> None:
    outcomes_jsonl.write(an_evaluation(planner="a"), tmp_path / "1.jsonl")
    outcomes_jsonl.write(an_evaluation(planner="b"), tmp_path / "2.jsonl")
    found = read(tmp_path)
    assert [item.label for item in found.plan.planners] == ["a", "b"]
    assert [item.cell for item in found.outcomes] == list(found.plan.cells())
    outcomes_jsonl.write(an_evaluation(planner="a"), tmp_path / "3.jsonl")
    with pytest.raises(EvaluationError, match="'s1' under 'a' and 'm' is there twice"):
        read(tmp_path)
    (tmp_path / "3.jsonl").write_bytes((RECORDED / "sums.json").read_bytes())
    with pytest.raises(EvaluationError, match=r"are not of the same suite"):
        read(tmp_path)
