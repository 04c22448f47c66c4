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
    journal, done = killed(example, tmp_path)
    resumed = start("resume", "last", journal=journal)
    assert resumed.wait(LIMIT_S) in ENDED, told(journal)
    after = last_run(journal)
    assert after is not None
    assert after.status == "succeeded"
    calls = made(after)
    assert len(set(calls)) == len(calls), "a finished call was made again"
    assert done <= set(calls), "a finished call was lost"


def killed(example: Path, folder: Path) -> tuple[Path, set[bytes]]:
    """Kill a run of the example while a call is under way; return its journal and the finished calls.

    Two calls are finished by then, or one or none where the whole run has no more.
    """
    for least in (2, 1, 0):
        journal = folder / f"killed-{least}.db"
        run = start("run", str(example), journal=journal)
        while run.poll() is None:
            record = last_run(journal)
            if record is not None and under_way(record) and len(made(record)) >= least:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
                last = last_run(journal)
                assert last is not None
                return journal, set(made(last))
            time.sleep(0.05)
        assert run.returncode in ENDED, told(journal)
    raise AssertionError("no call of the model was seen under way")


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


def made(record: RunRecord) -> list[bytes]:
    """Return the keys of the model's calls that were made to the end, not taken over from before."""
    steps = sorted(record.steps.values(), key=lambda step: step.number)
    return [
        step.key
        for step in steps
        if step.kind == "model" and step.status == "succeeded" and "origin" not in step.details
    ]


def under_way(record: RunRecord) -> bool:
    return any(step.kind == "model" and step.status == "running" for step in record.steps.values())
