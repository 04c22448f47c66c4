"""A run of five thousand steps survives the loss of nodes and of its driver, and repeats nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentflow import Journal
from agentflow.cluster.nodes import SLOTS_PER_CORE
from agentflow.errors import JournalError
from agentflow.journal.events import RunStarted, StepFinished, StepStarted, Stored
from agentflow.journal.records import RunRecord
from agentflow.runner import new_run_id
from tests.agentflow.cluster.conftest import NODE

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # Ray's own, at its import and start
]
ROOT = Path(__file__).parents[3]
PATIENCE_S = 600.0


class Storm:
    """One run, the processes that drive it, and the cluster below it."""

    def __init__(self, cluster: Any, journal: str, leaves: int) -> None:
        self.cluster, self.journal, self.leaves = cluster, journal, leaves
        self.run, self.steps = new_run_id(), 4 * leaves - 2

    @contextmanager
    def driver(self) -> Iterator["subprocess.Popen[str]"]:
        """Start or resume the run in a process of its own."""
        command = [sys.executable, "-m", "tests.agentflow.cluster.flows"]
        command += [f"ray://{self.cluster.address}", self.journal, self.run, str(self.leaves)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            try:
                yield process
            finally:
                process.kill()

    def record(self) -> RunRecord:
        try:
            with Journal(self.journal) as journal:
                return journal.run(self.run)
        except JournalError:
            return RunRecord(id=self.run)  # it has not begun

    def events(self) -> list[Stored]:
        with Journal(self.journal) as journal:
            return list(journal.events(self.run))

    def wait_for(self, share: float, driver: "subprocess.Popen[str]") -> None:
        """Wait until that share of the steps is done."""
        wanted, until = share * self.steps, time.monotonic() + PATIENCE_S
        while True:
            began = time.monotonic()
            if len(finished(self.record())) >= wanted:
                return
            assert driver.poll() is None, "the driver has ended"
            assert time.monotonic() < until, "too slow"
            time.sleep(0.05 + 9 * (time.monotonic() - began))  # a long record takes long to read

    def lose_a_node(self) -> None:
        """Kill every process of a node at once, then add another."""
        (node,) = self.cluster.worker_nodes
        self.cluster.remove_node(node, allow_graceful=False)
        self.cluster.add_node(**NODE)


def finished(record: RunRecord) -> set[bytes]:
    return {step.key for step in record.steps.values() if step.status == "succeeded"}


def executed(events: list[Stored], after: int) -> list[bytes]:
    """Return the keys of the steps whose bodies were carried out after an event, once each time."""
    keys = {event.step: event.key for event in events if isinstance(event, StepStarted)}
    done = [event for event in events if isinstance(event, StepFinished) and event.number > after]
    return [keys[event.step] for event in done if "origin" not in event.details]


def weather(storm: Storm, stages: list[tuple[float, Callable[[Any], None]]]) -> None:
    """Let each thing happen when its share of the steps is done; then let the run come to its end."""
    while stages:
        with storm.driver() as driver:
            while stages and driver.poll() is None:
                share, happens = stages.pop(0)
                storm.wait_for(share, driver)
                happens(driver)
            output, _ = driver.communicate(timeout=PATIENCE_S)
    if driver.returncode:
        with storm.driver() as driver:
            output, _ = driver.communicate(timeout=PATIENCE_S)
    assert int(output) == sum(number * number for number in range(storm.leaves))


def check(storm: Storm, committed: set[bytes]) -> dict[str, int]:
    """Look whether the promises hold: one end a step, nothing committed done again."""
    events, record = storm.events(), storm.record()
    starts = [event.number for event in events if isinstance(event, RunStarted)]
    again = executed(events, starts[-1])
    assert not committed & set(again), "was committed, and done again"
    assert len(again) == len(set(again)), "done twice by one driver"
    assert len(finished(record)) == storm.steps
    lost = [note for step in record.steps.values() for note in step.notes if "lost" in note.text]
    nodes = {note.details["node"] for note in lost}
    assert len(lost) <= SLOTS_PER_CORE * max(1, len(nodes))
    return {"steps": storm.steps, "before": len(committed), "after": len(again), "lost": len(lost)}


def survive(cluster: Any, journal: str, leaves: int) -> dict[str, int]:
    storm, committed = Storm(cluster, journal, leaves), set[bytes]()

    def kill_node(_driver: Any) -> None:
        storm.lose_a_node()

    def kill_driver(driver: "subprocess.Popen[str]") -> None:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        committed.update(finished(storm.record()))

    weather(storm, [(0.2, kill_node), (0.5, kill_driver), (0.7, kill_node)])
    return check(storm, committed)


@pytest.mark.long
def test_five_thousand_steps_survive_nodes_and_driver(
    cluster: Any, postgres_journal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    seen = survive(cluster, postgres_journal, 1251)
    with capsys.disabled():
        print(f"\n{seen}, {time.monotonic() - began:.0f} s")


@pytest.mark.long
def test_a_small_run_survives_node_and_driver(cluster: Any, sqlite_journal: str) -> None:
    survive(cluster, sqlite_journal, 120)
