"""The example of every planner: it is a sound task file, and a killed run of it goes on to an end.

The second half runs a real small model and takes long: `make test-planners`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentflow import Journal
from agentflow.cli.prepare import prepare
from agentflow.errors import JournalError
from agentflow.journal.records import RunRecord
from agentflow.models import catalogue, weights

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "planners").glob("*.yaml"))
ENDED = (0, 3)  # solved, or a check failed: what a model of half a billion parameters may come to
LIMIT_S = 900

each = pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])


@each
def test_an_example_is_a_task_file_for_the_planner_of_its_name(example: Path) -> None:
    prepared = prepare(example, model=None, planner=None, journal=None)
    assert prepared.planner.name == example.stem
    assert prepared.announcement


@each
@pytest.mark.model
@pytest.mark.long
@pytest.mark.timeout(3 * LIMIT_S)
def test_an_example_killed_in_the_middle_is_resumed_and_repeats_nothing(
    example: Path, tmp_path: Path
) -> None:
    weights.pull(catalogue.find(catalogue.DEFAULT))
    whole = start("run", str(example), journal=tmp_path / "whole.db")
    assert whole.wait(LIMIT_S) in ENDED, told(tmp_path / "whole.db")
    calls = len(answered(last_run(tmp_path / "whole.db")))
    assert calls, "no call of the model"

    journal = tmp_path / "killed.db"
    killed = start("run", str(example), journal=journal)
    while len(done := answered(last_run(journal))) < calls // 2 and killed.poll() is None:
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    done |= answered(last_run(journal))
    resumed = start("resume", "last", journal=journal)
    assert resumed.wait(LIMIT_S) in ENDED, told(journal)
    after = last_run(journal)
    assert after is not None
    assert after.status == "succeeded"
    kept = answered(after)
    assert {key: kept.get(key) for key in done} == done, "a finished call was made again"


def start(*arguments: str, journal: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "agentflow.cli.main", *arguments, "--journal", str(journal)]
    with journal.with_suffix(".txt").open("ab") as said:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def told(journal: Path) -> str:
    return journal.with_suffix(".txt").read_text()[-4_000:]


def last_run(journal: Path) -> RunRecord | None:
    """Return the record of the last run so far, None before there is one."""
    try:
        with Journal(journal) as opened:
            return opened.run("last")
    except JournalError:
        return None


def answered(record: RunRecord | None) -> dict[bytes, object]:
    """Return when each finished call of the model ended, by the step's key."""
    steps = [] if record is None else record.steps.values()
    return {step.key: step.ended_at for step in steps if step.kind == "model" and step.ended_at}
