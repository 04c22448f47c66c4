"""A process is killed in a node; another one goes on, and only what was under way is done again."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("langgraph", reason="the extra `langgraph` is not installed")
pytest.importorskip(
    "langgraph.checkpoint.sqlite", reason="langgraph-checkpoint-sqlite is not installed"
)

pytestmark = pytest.mark.slow

WORK = ["work 0", "work 1", "work 2"]


def process(kind: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the graph in a process of its own, from wherever the last one left it."""
    command = [sys.executable, "-m", "tests.agentflow.interop.langgraph.killed", kind, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def killed_and_resumed(kind: str, at: str, folder: Path) -> tuple[str, list[str]]:
    """Return what the second process printed, and what both have done."""
    (folder / "kill").write_text(at)
    first = process(kind, folder)
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = process(kind, folder)
    assert second.returncode == 0, second.stderr
    return second.stdout.strip(), (folder / "done").read_text().splitlines()


@pytest.mark.parametrize("at", ["y", "work 1", "last"])
def test_a_graph_of_langgraph_goes_on_where_it_was_killed(at: str, tmp_path: Path) -> None:
    output, done = killed_and_resumed("flow", at, tmp_path)
    # A subgraph that shares the log gives back what it was given, too.
    assert output == ",".join(["a", "a", "x", "y", *WORK, "last"])
    again = [what for what in set(done) if done.count(what) > 1]
    # Of the tasks of one superstep, more than one may be under way.
    assert at in again
    assert set(again) <= (set(WORK) if at in WORK else {at})
    assert all(done.count(what) <= 2 for what in done)


@pytest.mark.parametrize("at", ["t01", "t0120", "t012012012"])
def test_a_graph_of_ours_in_langgraph_goes_on_where_it_was_killed(at: str, tmp_path: Path) -> None:
    output, done = killed_and_resumed("langgraph", at, tmp_path)
    whole = [f"t{'012' * 3}"[:length] for length in range(2, 11)]
    assert output == "t012012012"
    assert done == whole[: whole.index(at) + 1] + whole[whole.index(at) :]
