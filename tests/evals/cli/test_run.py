"""`agentflow eval` as a person runs it: another process, a real client, a server, kill -9."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.cli.main import evaluations
from click.testing import CliRunner

from tests import warm
from tests.wire import WireServer, says
from tests.wire.script import Scripted, Seen

ROOT = Path(__file__).parents[3]
SUITE = f"{ROOT / 'examples/suites/sums.py'}:Sums"
LARGEST = 12


def add(seen: Seen) -> Scripted:
    found = re.search(r"What is (\d+) \+ (\d+)", json.dumps(seen.body))
    assert found is not None
    left, right = map(int, found.groups())
    return says(str(left + right + (left == 5)))


def command(server: WireServer, folder: Path, *more: str) -> list[str]:
    model = f"{server.openai_url}#wire-1"
    given = ["eval", SUITE, "--set", f"largest={LARGEST}", "-m", model, "-p", "direct,again=direct"]
    return ["-m", "agentflow.cli.main", *given, "-j", str(folder / "j.db"), *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OPENAI_API_KEY": "not-a-key", "COLUMNS": "100"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.run(*arguments, env=environment())


def report(folder: Path, *more: str) -> list[dict[str, Any]]:
    done = run(
        *("-m", "agentflow.cli.main", "eval", "report", "last"),
        *("-j", str(folder / "j.db"), "--outcomes", "--format", "json", *more),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def what(outcomes: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(one["sample"], one["planner"], one["status"]) for one in outcomes]


def test_an_evaluation_prints_its_table_and_says_where_to_look(tmp_path: Path) -> None:
    with WireServer(add) as server:
        done = run(*command(server, tmp_path, "--limit", "6"))
    assert done.returncode == 0, done.stderr
    assert "6 samples x 2 planners x 1 model = 12 runs" in done.stderr
    assert "agentflow eval report" in done.stderr
    assert "5/6" in done.stdout
    assert "not-a-key" not in (tmp_path / "j.db").read_bytes().decode("latin-1")


def test_killed_in_the_middle_and_resumed_it_repeats_no_sample_and_loses_none(
    tmp_path: Path,
) -> None:
    open_gate, well_under_way = threading.Event(), threading.Event()
    answered = 0
    lock = threading.Lock()

    def slowly(seen: Seen) -> Scripted:
        nonlocal answered
        with lock:
            answered += 1
            is_held = answered > 9 and not open_gate.is_set()
            if answered == 12:
                well_under_way.set()
        return add(seen).but(hold=is_held)

    with WireServer(slowly) as server:
        call = command(server, tmp_path, "--at-once", "3", "--quiet")
        with warm.Process(call, env=environment()) as process:
            assert well_under_way.wait(60)
            process.send_signal(signal.SIGKILL)
            process.wait()
        open_gate.set()
        server.release()
        done = run(
            *("-m", "agentflow.cli.main", "eval", "--resume", "last"),
            *("-j", str(tmp_path / "j.db"), "--quiet"),
        )
        assert done.returncode == 0, done.stderr
        total = len(server.requests)
    in_flight = 3
    assert total == 2 * LARGEST + in_flight
    outcomes = what(report(tmp_path))
    expected = [
        (f"sum-{left}", planner, "failed" if left == 5 else "passed")
        for planner in ("direct", "again")
        for left in range(1, LARGEST + 1)
    ]
    assert outcomes == expected


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["-p", "direkt"], "unknown planner 'direkt'"),
        (["-p", "direct{heat: 1}"], "heat"),
        (["-p", "direct,direct"], "stands there twice"),
        (["-p", "direct{"], "NAME{option: value, ...}"),
        (["--budget", "eur=3"], "write usd=..., tokens=..."),
        (["--sample-budget", "tokens=few"], "tokens"),
        (["--set", "smallest=3"], "largest"),
        (["--resume", "last"], "name a suite, or an evaluation"),
    ],
)
def test_what_is_wrong_with_the_command_is_one_line_before_anything_is_spent(
    more: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with WireServer(add) as server:
        done = CliRunner().invoke(evaluations, [*command(server, tmp_path)[3:], *more])
        assert (done.exit_code, server.requests) == (2, [])
    assert told in done.output
    assert not (tmp_path / "j.db").exists()


def test_what_is_over_budget_is_said_and_can_go_on(tmp_path: Path) -> None:
    with WireServer(add) as server:
        done = run(*command(server, tmp_path, "--budget", "tokens=1150", "--at-once", "1"))
        assert done.returncode == 4, done.stderr
        assert "the spending limit is reached" in done.stderr
        assert "agentflow eval --resume" in done.stdout
        few = len(server.requests)
        assert 0 < few < 2 * LARGEST
        more = run(
            *("-m", "agentflow.cli.main", "eval", "--resume", "last"),
            *("-j", str(tmp_path / "j.db"), "--budget", "tokens=100_000"),
        )
        assert more.returncode == 0, more.stderr
        assert len(server.requests) == 2 * LARGEST
