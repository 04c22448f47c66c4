"""The setting `on`: a cluster that lasts as long as it is used, and what is no place to run on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agentflow import Journal, Runner
from agentflow.cli.main import commands
from agentflow.resources import Resources
from tests.agentflow.cluster import flows

ROOT = Path(__file__).parents[3]
ALONE = """
import signal, sys
from agentflow import Runner
from tests.agentflow.cluster.flows import squares

before = signal.getsignal(signal.SIGTERM)
run = Runner(journal=sys.argv[1], on="ray").run(squares, 0, 3)
assert signal.getsignal(signal.SIGTERM) is before
print(run.output)
"""


@pytest.mark.long
def test_a_local_cluster_is_there_for_one_run(sqlite_journal: str) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    command = [sys.executable, "-c", ALONE, sqlite_journal]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "RAY_worker_niceness": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    with Journal(sqlite_journal) as journal:
        assert journal.run("last").settings["on"] == "ray"


def test_a_place_that_is_none_is_said_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text("goal: nothing\n")
    said = CliRunner().invoke(commands, ["run", str(file), "--on", "moon"])
    assert said.exit_code == 2
    assert "cannot run on 'moon': say `ray`, or `ray://HOST:PORT`" in said.output
    with pytest.raises(ValueError, match="cannot run on 'ray://'"):
        Runner(on="ray://", journal=":memory:").run(flows.squares, 0, 1)


def test_lent_resources_say_themselves_where_their_runs_work() -> None:
    with pytest.raises(ValueError, match="give them the placement"):
        Runner(on="ray", journal=":memory:", resources=Resources()).run(flows.squares, 0, 1)
