"""The simulation of docs/scale.md on a small run: what it measures is a run as any other."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentflow import Journal
from agentflow.journal.records import RunRecord
from benchmarks.scale import clock, tree
from benchmarks.scale.cell import RUN, Cell, simulate
from tests.parts import shape

STEPS, WORKERS = 2_000, 100


def ran(journal: Path, **settings: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"steps": STEPS, "workers": WORKERS, "time": "free"} | settings
    cell = Cell(journal=str(journal), **made)
    return clock.run(lambda: simulate(cell, []), cell.time)


def recorded(journal: Path) -> RunRecord:
    with Journal(journal) as opened:
        return opened.run(RUN)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], RunRecord]:
    journal = tmp_path_factory.mktemp("scale") / "journal.db"
    return ran(journal), recorded(journal)


def test_every_step_is_recorded_once_and_of_the_kind_that_was_planned(
    first: tuple[dict[str, Any], RunRecord],
) -> None:
    steps = first[1].steps.values()
    planned = tree.counts_of(STEPS, seed=7)
    assert len(steps) == STEPS == len({step.key for step in steps})
    assert {step.status for step in steps} == {"succeeded"}
    kinds = [step.kind for step in steps]
    found = (kinds.count("flow"), kinds.count("model"), kinds.count("tool"), kinds.count("code"))
    assert found == (planned.flow, planned.model, planned.tool, planned.trial)


def test_what_the_simulated_world_refuses_or_loses_is_done_again(
    first: tuple[dict[str, Any], RunRecord],
) -> None:
    seen, record = first
    failed = seen["failures"]
    assert failed["429"] > 0
    assert failed["timeout"] > 0
    notes = [note for step in record.steps.values() for note in step.notes]
    assert sum("retry" in note.details for note in notes) == failed["429"] + failed["timeout"]
    assert sum("was lost" in note.text for note in notes) == failed.get("lost", 0)
    assert seen["leaves"] == tree.counts_of(STEPS, seed=7).leaves


def test_a_worker_that_is_lost_gives_its_work_to_another(tmp_path: Path) -> None:
    seen = ran(tmp_path / "journal.db", steps=600, lost=0.2)
    losses = {
        step.details["node"]: [note.details["node"] for note in step.notes]
        for step in recorded(tmp_path / "journal.db").steps.values()
        if step.notes and "node" in step.details
    }
    assert seen["failures"]["lost"] > 10
    assert all(by not in before for by, before in losses.items())


def test_workers_are_all_busy_and_never_more_than_there_are(tmp_path: Path) -> None:
    seen = ran(tmp_path / "journal.db", steps=1_000, workers=10, lost=0.0)
    assert seen["most_workers"] == 10
    assert 0.9 < seen["middle"] <= 1.0


def test_calls_of_the_model_at_once_keep_to_its_limit(tmp_path: Path) -> None:
    assert ran(tmp_path / "journal.db", steps=600, calls=7)["most_calls"] == 7


def test_calls_of_the_model_keep_to_its_pace(tmp_path: Path) -> None:
    seen = ran(tmp_path / "journal.db", steps=300, per_minute=60.0)
    attempts = tree.counts_of(300, seed=7).model + seen["failures"].get("429", 0)
    assert seen["simulated_s"] > attempts - 1


def test_the_same_seed_gives_the_same_run_to_the_microsecond_and_another_seed_does_not(
    first: tuple[dict[str, Any], RunRecord], tmp_path: Path
) -> None:
    again = ran(tmp_path / "again.db")
    assert again == first[0]
    assert shape(recorded(tmp_path / "again.db")) == shape(first[1])
    assert ran(tmp_path / "one.db", steps=200) != ran(tmp_path / "other.db", steps=200, seed=8)


def test_time_that_is_counted_holds_the_engines_own_work(tmp_path: Path) -> None:
    counted = ran(tmp_path / "journal.db", time="cpu", steps=600, latency_s=0.0001)
    free = ran(tmp_path / "free.db", steps=600, latency_s=0.0001)
    assert counted["simulated_s"] > free["simulated_s"]
    assert counted["middle"] < free["middle"]


def test_a_killed_run_goes_on_to_the_same_tree(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    cell = {"do": "run", "steps": 600, "journal": str(journal), "time": "free", "kill": 0.9}
    command = [sys.executable, "-m", "benchmarks.scale.cell", json.dumps(cell)]
    assert subprocess.run(command, check=False).returncode == -9
    before = recorded(journal)
    assert before.status is None
    resumed = ran(journal, do="resume", steps=600)
    leaves = tree.counts_of(600, seed=7).leaves
    assert leaves - int(0.9 * leaves) <= resumed["leaves"] < leaves // 2
    done = [step for step in recorded(journal).steps.values() if step.status == "succeeded"]
    assert len({step.key for step in done}) == 600
