"""Reports as people and programs read them, and the command that writes them."""

import csv
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.analysis.tables import summarise
from agentflow_evals.cli.report import report as command
from agentflow_evals.formats.outcomes_jsonl import write
from agentflow_evals.record import Evaluation
from agentflow_evals.reports.delimited import csv_text, json_lines, lines_of, outcome_lines
from agentflow_evals.reports.facts import facts
from agentflow_evals.reports.markdown import markdown
from agentflow_evals.reports.page import write_page
from agentflow_evals.reports.parquet import parquet_bytes
from agentflow_evals.reports.terminal import print_report
from agentflow_evals.running.evaluator import Evaluator
from click.testing import CliRunner, Result
from rich.console import Console

from agentflow.errors import EvaluationError, MissingExtraError
from tests.agentflow.cli.test_run import agentflow
from tests.evals.arithmetic import doubles, plan_of
from tests.evals.report_parts import evaluation, plan
from tests.parts import Scripted

SAMPLES = [f"task/{number}" for number in range(8)]
MACHINE = {"command": "agentflow eval sums -p direct,recode", "machine": "Linux, 2 cores"}


def found(**more: Any) -> Evaluation:
    """Return an evaluation of which `direct` solves half and `recode` all but one, at a known price."""
    made = plan(
        SAMPLES, more.pop("planners", ("direct", "recode")), more.pop("models", ("small",)), seed=7
    )
    fields = {"input_tokens": 300, "output_tokens": 20, "cost_usd": 0.01, "seconds": 75.0}
    fields |= {"depth": 1, "group": "easy"} | more.pop("fields", {})
    most = {made.planners[0].label: 4}

    def fate(cell: Any) -> dict[str, Any]:
        passed = int(cell.sample[5:]) < most.get(cell.planner, 7)
        return {"status": "passed" if passed else "failed", **fields}

    times: dict[str, Any] = {"started_at": 1.7e9, "ended_at": 1.7e9 + 90, "machine": MACHINE}
    return evaluation(made, fate, **times | more)


def shown(evaluated: Evaluation, width: int = 100) -> str:
    file = io.StringIO()
    tables = summarise(evaluated, by_group=True)
    print_report(Console(file=file, width=width), tables, evaluated)
    return file.getvalue()


def test_the_table_says_rate_interval_difference_and_cost() -> None:
    text = shown(found())
    recode = [line for line in text.splitlines() if line.startswith("recode")]
    assert re.search(r"7/8  87\.5 %   52\.9 to 97\.8  ·+━+●━+ +\+3 -0  0\.25 +0\.25", recode[0])
    assert re.search(r"320 +1\.00 +366 +\$0\.011 +1m15s/1m15s", recode[1])
    assert "200 tokens" not in text
    assert "solved with at most  500 tokens" in text
    assert re.search(r"easy +4/8 50\.0 % +7/8 87\.5 %", text)
    assert "McNemar's exact test" in text
    assert "finished 2023-11-1" in text


def test_an_unknown_cost_is_a_dash() -> None:
    text = shown(found(fields={"cost_usd": None}))
    assert "$" not in text.replace("$/solved", "")


@pytest.mark.parametrize("width", [100, 180])
def test_no_line_is_wider_than_100_columns(width: int) -> None:
    planners = ("direct", "try_first{lead: 3, tries: 8, and: more}", "best_of_n, 4", "recode")
    wide = found(
        planners=planners,
        models=("qwen2.5-coder-0.5b-instruct-q4_k_m", "b"),
        fields={"value": 0.25, "cost_usd": 0.00012345, "input_tokens": 1_234_567},
    )
    lines = shown(wide, width).splitlines()
    assert max(map(len, lines)) <= 100


def test_a_file_or_pipe_gets_the_whole_table() -> None:
    assert shown(found(), width=60) == shown(found(), width=100)


def test_what_is_missing_is_said_with_the_way_to_go_on() -> None:
    made = plan(["a", "b", "c"], ["direct"])
    ends = {"a": {}, "b": {"status": "error", "reason": "ConnectionError:\nno network"}}
    partial = evaluation(made, lambda cell: ends.get(cell.sample))
    text = shown(partial)
    assert "not finished" in text
    assert "2 of 3 runs are missing, 1 of them ended in an error. Go on with: " in text
    assert "agentflow eval --resume 01EVAL" in text
    assert "the first error: b: ConnectionError: no network" in text
    assert "missing" not in shown(found())


def test_nothing_at_all_can_be_reported_too() -> None:
    empty = evaluation(plan(["a"]), lambda _cell: None)
    assert "2 of 2 runs are missing" in shown(empty)
    assert "2 of 2 runs are missing" in markdown(summarise(empty), empty)
    assert len(lines_of(summarise(empty), empty)) == 2


def test_nothing_from_outside_controls_the_terminal_or_the_markup() -> None:
    evil = "[red]x\x1b[2J|<b>_y_"
    wicked = found(planners=("direct", evil), fields={"group": evil})
    assert "\x1b" not in shown(wicked)
    assert "[red]x" in shown(wicked)
    text = markdown(summarise(wicked, by_group=True), wicked)
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (8, 11, 4, 3)
    assert "<b>" not in text.replace("\\<b\\>", "")


def test_markdown_is_tables_and_how_they_were_made() -> None:
    text = markdown(summarise(found()), found())
    assert text.startswith("## sums: 8 samples x 2 planners x 1 model\n")
    assert "| recode  |    7/8 | 87.5 % |  52.9 to 97.8 |     +3 -0 | 0.25 | 0.25 |" in text
    made = text.partition("How it was made:")[2]
    for fact in (
        "**command**: `agentflow eval sums -p direct,recode`",
        "**machine**: Linux, 2 cores",
        "**seed**: 7",
        "digest of the samples d1",
        "finished 2023-11-14 22:14 UTC after 1 min 30 s",
    ):
        assert fact in made


def test_the_page_and_markdown_say_the_same_of_what_was_run() -> None:
    report = summarise(found())
    page = html.unescape(re.sub("<[^>]+>", "\n", write_page(found(), report)))
    text = markdown(report, found()).replace("\\", "")
    for fact in facts(found()):
        assert f"**{fact.name}**: " in text
        for line in fact.lines:
            assert line in page
            assert line in text


def test_a_time_that_is_none_is_left_out() -> None:
    odd = found(started_at=1.0, ended_at=1e18)
    assert "finished after " in shown(odd)


def test_a_csv_of_rows_reads_back_and_has_nothing_where_nothing_is_known() -> None:
    evaluated = found(fields={"cost_usd": None})
    lines = lines_of(summarise(evaluated, by_group=True), evaluated)
    read = list(csv.DictReader(io.StringIO(csv_text(lines), newline="")))
    assert [(line["planner"], line["group"], line["solved"]) for line in read] == [
        ("direct", "", "4"),
        ("recode", "", "7"),
        ("direct", "easy", "4"),
        ("recode", "easy", "7"),
    ]
    assert float(read[1]["rate_low"]) == pytest.approx(0.529, abs=1e-3)
    assert (read[1]["p"], read[1]["test"], read[1]["baseline"]) == ("0.25", "McNemar", "direct")
    assert (read[1]["cost_usd"], read[0]["p"], read[3]["p"]) == ("", "", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_spreadsheet_takes_no_answer_for_a_formula(start: str) -> None:
    reason = f"{start}HYPERLINK(A1)"
    evaluated = found(fields={"reason": reason, "answer": -5, "value": 0.5})
    lines = outcome_lines(evaluated)
    (read, *_) = csv.DictReader(io.StringIO(csv_text(lines), newline=""))
    assert read["reason"] == "'" + reason
    assert read["answer"] == "'-5"
    assert json.loads(json_lines(lines).splitlines()[0])["reason"] == reason


def test_json_lines_know_no_infinity() -> None:
    ends = {"a": "passed", "b": "failed"}
    made = evaluation(
        plan(["a", "b"], ["direct"]),
        lambda cell: {"status": ends[cell.sample], "input_tokens": 9, "answer": float("nan")},
    )
    text = json_lines(lines_of(summarise(made), made)) + json_lines(outcome_lines(made))
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert (lines[0]["tokens_per_solved"], lines[0]["tokens_per_solved_high"]) == (18, None)
    assert lines[1]["status"] == "passed"


def test_parquet_columns_have_their_types_whatever_is_known() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    known, unknown = found(), found(fields={"cost_usd": None, "answer": "\ud800", "target": 3})
    tables = [
        parquet.read_table(io.BytesIO(parquet_bytes(lines)))
        for lines in (
            *(lines_of(summarise(one), one) for one in (known, unknown)),
            *(outcome_lines(one) for one in (known, unknown)),
        )
    ]
    assert tables[0].schema == tables[1].schema
    assert tables[2].schema == tables[3].schema
    assert tables[1].to_pylist()[1]["planner"] == "recode"
    assert tables[1].to_pylist()[1]["cost_usd"] is None
    assert tables[3].to_pylist()[0]["target"] == "3"
    assert tables[2].num_rows == 16
    assert str(tables[2].schema.field("tokens").type) == "int64"


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"Parquet reports.*agentflow\[parquet\]"):
        parquet_bytes(outcome_lines(found()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with an evaluation."""
    target = tmp_path / "sums.jsonl"
    write(found(), target)
    return target


def called(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_prints_a_table_of_a_file(file: Path) -> None:
    done = called(file, "--baseline", "recode")
    assert done.exit_code == 0
    assert "vs recode" in done.output
    assert isinstance(called(file, "--baseline", "codet").exception, EvaluationError)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("r.md", b"## sums"),
        ("r.CSV", b"evaluation,suite,planner"),
        ("r.json", b'{"evaluation"'),
        ("r.html", b"<!doctype html>"),
        ("r.txt", b"sums: 8 samples"),
        ("r.parquet", b"PAR1"),
    ],
)
def test_the_name_of_the_file_says_its_form(file: Path, name: str, start: bytes) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    out = file.with_name(name)
    done = called(file, "--out", out)
    assert done.exit_code == 0, done.output
    assert out.read_bytes().lower().startswith(start.lower())


def test_outcomes_are_a_line_each(file: Path) -> None:
    done = called(file, "--outcomes", "--format", "json")
    lines = [json.loads(line) for line in done.output.splitlines()]
    assert len(lines) == 16
    assert (lines[0]["sample"], lines[0]["status"], lines[0]["tokens"]) == ("task/0", "passed", 320)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--outcomes"], "--outcomes is for csv, json, parquet, not for table"),
        (["--format", "html"], "html goes to a file: --out FILE.html"),
        (["--format", "xml"], "'xml' is not one of"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(
    file: Path, arguments: list[str], message: str
) -> None:
    done = called(file, *arguments)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.anyio
async def test_a_real_evaluation_in_a_journal_is_reported_by_last(tmp_path: Path) -> None:
    model, suite, journal = Scripted(lambda _prompt: "2"), doubles(3), str(tmp_path / "j.db")
    evaluator = Evaluator(journal=Path(journal), models={str(model.spec): model})
    await evaluator.run(plan_of(suite, model, "first", "second"), suite)
    done = called("last", "--journal", journal, "--by-group")
    assert done.exit_code == 0
    assert re.search(r"second +1/3 +33\.3 % +6\.1 to 79\.2 ", done.output)
    assert re.search(r"odd +1/1 100\.0 % +1/1 100\.0 %", done.output)
    assert "finished" in done.output


def test_an_evaluation_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = agentflow("eval", "report", "nowhere", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
