"""`agentflow optimize` as a person runs it: another process, a real client, a server, a file at the end."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from agentflow_evals.cli.main import evaluations
from agentflow_evals.cli.optimize import optimize
from click.testing import CliRunner, Result

from agentflow import Journal
from agentflow.cli.main import commands
from agentflow.flowfile import load_flow_file
from tests.wire import WireServer, says
from tests.wire.script import Scripted, Seen

COMMAND = [sys.executable, "-c", "from agentflow_evals.cli.optimize import optimize; optimize()"]
ENVIRONMENT = {"OPENAI_API_KEY": "not-a-key", "COLUMNS": "100"}
SUM = re.compile(r"What is (\d+) \+ (\d+)\?")
SEARCH = (
    *("--search", "config", "-p", "archon{layers: [[{type: generator}]]}"),
    *("--option", "space={samples: [1], fusers: [[], [1]], top_k: [0]}"),
)


def fused(seen: Seen) -> Scripted:
    """Answer rightly in a fusion alone."""
    text = json.dumps(seen.body)
    found = SUM.search(text)
    assert found is not None
    return says(str(int(found[1]) + int(found[2]) + (0 if "Write one answer" in text else 7)))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with twelve sums."""
    folder = tmp_path / "little"
    folder.mkdir()
    rows = [{"a": number, "b": 2, "sum": number + 2} for number in range(1, 13)]
    (folder / "sums.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "suite.yaml").write_text(
        "suite: 1\nname: little\nsummary: Little sums.\ndata: sums.jsonl\n"
        'sample:\n  id: "{a}"\n  goal: "What is {a} + {b}?"\n  check: {numeric: {value: "{sum}"}}\n'
    )
    return folder


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    """A task file with a check."""
    path = tmp_path / "task.yaml"
    path.write_text("agentflow: 1\ngoal: What is 20 + 22?\ncheck: {numeric: {value: 42}}\n")
    return path


def run(server: WireServer, folder: Path, *arguments: str) -> Result:
    model = f"{server.openai_url}#wire-1"
    return invoked(optimize, *arguments, "-j", str(folder / "j.db"), "--model", model)


def invoked(command: click.Command, *arguments: str) -> Result:
    return CliRunner(env=ENVIRONMENT).invoke(command, arguments)


def asked(server: WireServer) -> list[str]:
    return [json.dumps(request.body) for request in server.requests]


def refused(*arguments: str) -> Result:
    result = invoked(optimize, *arguments)
    assert result.exit_code == 2
    return result


def test_it_finds_what_is_better_measures_it_and_writes_a_file_that_runs(
    tmp_path: Path, suite: Path, task_file: Path
) -> None:
    output, journal = tmp_path / "best.flow.yaml", str(tmp_path / "j.db")
    with WireServer(fused) as server:
        given = ["-m", f"{server.openai_url}#wire-1", "-j", journal, "--quiet"]
        first = subprocess.run(
            [*COMMAND, str(suite), *SEARCH, "-o", str(output), *given],
            capture_output=True,
            text=True,
            env={**os.environ, **ENVIRONMENT},
            timeout=100,
        )
        assert first.returncode == 0, first.stderr
        again = invoked(commands, "run", str(task_file), "--planner", str(output), *given)
    assert "chosen by (4)" in first.stdout
    assert re.search(r"base +0\.000 \[0\.000, 0\.\d+\] +0\.000 \[", first.stdout)
    assert re.search(r"winner +1\.000 \[0\.\d+, 1\.000\] +1\.000 \[", first.stdout)
    assert "winner - base, held out: 1.000 [0." in first.stdout
    assert "tok," in first.stdout
    flow = load_flow_file(output)
    assert (flow.planner, flow.found["by"]) == ("archon", "archon_search")
    assert [layer[0]["type"] for layer in flow.options["layers"]] == ["generator", "fuser"]
    assert flow.found["of"] == "little, 12 of 12 samples, seed 0"
    assert flow.found["scores"]["held_out"]["mean"] == 1
    assert (again.exit_code, again.stdout.strip()) == (0, "42")


def test_what_is_found_can_be_evaluated_by_its_file(tmp_path: Path, suite: Path) -> None:
    output = tmp_path / "best.flow.yaml"
    output.write_text(
        "agentflow_flow: 1\nplanner: archon\noptions: {layers: [[{type: generator}]]}\n"
    )
    with WireServer(fused) as server:
        model, journal = f"{server.openai_url}#wire-1", str(tmp_path / "j.db")
        given = ["-p", f"{output},direct", "-n", "2", "--quiet", "-j", journal, "-m", model]
        shown = invoked(evaluations, str(suite), *given)
    assert shown.exit_code == 0, shown.stderr
    assert "best.flow.yaml" in shown.stdout


def test_a_search_cut_off_is_resumed_and_told_from_its_run(tmp_path: Path, suite: Path) -> None:
    def breaks(seen: Seen) -> Scripted:
        return says("", status=400) if "Write one answer" in json.dumps(seen.body) else fused(seen)

    output, journal = tmp_path / "best.flow.yaml", ["-j", str(tmp_path / "j.db")]
    answer: list[Any] = [breaks]
    with WireServer(lambda seen: answer[0](seen)) as server:
        first = run(server, tmp_path, str(suite), *SEARCH, "-o", str(output))
        assert first.exit_code == 1
        assert f"-o {output}" in first.stderr.replace("\n", "")
        assert not output.exists()
        unfinished = invoked(optimize, "--from", "last", *journal)
        assert "agentflow resume" in unfinished.stderr
        before, answer[0] = len(server.requests), fused
        resumed = invoked(commands, "resume", "last", *journal, "--quiet")
        assert resumed.exit_code == 0, resumed.stderr
        assert not any(text in asked(server)[:4] for text in asked(server)[before:])
        told = invoked(optimize, "--from", "last", *journal, "-o", str(output))
    assert told.exit_code == 0, told.stderr
    assert "winner - base, held out: 1.000" in told.stdout
    with Journal(tmp_path / "j.db") as opened:
        assert load_flow_file(output).found["run"] == opened.run("last").id


def test_a_task_file_is_repeated_and_that_is_said(tmp_path: Path, task_file: Path) -> None:
    with WireServer(fused) as server:
        shown = run(server, tmp_path, str(task_file), *SEARCH, "-n", "6", "--quiet")
    assert shown.exit_code == 0, shown.stderr
    assert "task.yaml, 6 times" in shown.stdout
    assert "held out is the same task once more" in shown.stdout
    assert "2 held-out cases tell little" in shown.stdout


def test_a_budget_that_ends_it_is_said_and_what_was_found_is_kept(
    tmp_path: Path, suite: Path
) -> None:
    with WireServer(fused) as server:
        shown = run(server, tmp_path, str(suite), *SEARCH, "--budget", "steps=60", "--quiet")
    assert shown.exit_code == 0, shown.stderr
    assert "the rest of the budget was kept" in shown.stdout or "refused" in shown.stdout


def test_a_file_that_is_there_is_not_replaced_and_nothing_is_spent(
    tmp_path: Path, suite: Path
) -> None:
    output = tmp_path / "best.flow.yaml"
    output.write_text("mine")
    with WireServer(fused) as server:
        shown = run(server, tmp_path, str(suite), *SEARCH, "-o", str(output))
        assert server.requests == []
        assert "--force" in shown.stderr
        assert (shown.exit_code, output.read_text()) == (2, "mine")
        forced = run(server, tmp_path, str(suite), *SEARCH, "-o", str(output), "--force")
    assert forced.exit_code == 0, forced.stderr
    assert load_flow_file(output).planner == "archon"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["little"], "what to search over: --search or --by"),
        ([], "name a task file or suite"),
        (["little", "--search", "code", "--by", "stop"], "--search or --by"),
        (["no-such-suite", "--search", "config"], "unknown suite 'no-such-suite'"),
        (["no-such.yaml", "--search", "config"], "there is no such file"),
        (["SUITE", "--by", "no_search"], "unknown planner 'no_search'"),
        (["SUITE", "--search", "config", "--option", "trials=no"], "trials"),
        (["SUITE", "--search", "config", "--option", "luck=1"], "luck"),
        (["SUITE", "--search", "config", "-p", "direct,cot"], "name one planner"),
        (["SUITE", "--search", "config", "-p", "direkt"], "did you mean 'direct'"),
        (["SUITE", "--search", "config", "-n", "2"], "2 is not in the range x>=3"),
        (["SUITE", "--search", "config", "--budget", "eur=3"], "is no limit"),
        (["SUITE", "--search", "config", "-o", "no/folder/x.yaml"], "there is no folder"),
        (["SUITE", "--by", "adas", "-p", "direct"], "begins with candidates of its own"),
    ],
)
def test_wrong_use_is_told_in_a_line_before_anything_runs(
    suite: Path, arguments: list[str], told: str
) -> None:
    given = [str(suite) if text == "SUITE" else text for text in arguments]
    model = ["--model", "http://127.0.0.1:9/v1#none"]
    assert told in refused(*given, *model).output


def test_too_few_samples_are_told(suite: Path) -> None:
    rows = (suite / "sums.jsonl").read_text().splitlines()
    (suite / "sums.jsonl").write_text("\n".join(rows[:2]))
    model = ["--model", "http://127.0.0.1:9/v1#none"]
    assert "at least 3" in refused(str(suite), "--search", "config", *model).output


def test_a_task_without_a_check_is_told_to_write_one(task_file: Path) -> None:
    task_file.write_text("agentflow: 1\ngoal: x\nmodel: http://127.0.0.1:9/v1#none\n")
    assert "it has no `check`" in refused(str(task_file), "--search", "config").output


def test_a_run_that_is_no_search_is_told(tmp_path: Path, task_file: Path) -> None:
    with WireServer(fused) as server:
        model, journal = f"{server.openai_url}#wire-1", str(tmp_path / "j.db")
        given = ["-p", "direct", "-m", model, "-j", journal]
        assert invoked(commands, "run", str(task_file), *given).exit_code == 3
    shown = refused("--from", "last", "-j", str(tmp_path / "j.db"))
    assert "is no search for a planner" in shown.output


def test_an_evaluation_refuses_a_wrong_flow_file_with_its_line(tmp_path: Path, suite: Path) -> None:
    wrong = tmp_path / "bad.flow.yaml"
    wrong.write_text("agentflow_flow: 1\nplaner: cot\n")
    shown = invoked(evaluations, str(suite), "-p", str(wrong))
    assert shown.exit_code == 2
    assert "bad.flow.yaml:2: unknown key `planer`" in " ".join(shown.output.split())
