"""The main job, as a newcomer sees it: the demos on models that run here, then a replay without them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentflow import Journal
from agentflow.journal.records import StepRecord
from agentflow.models import catalogue, weights
from agentflow.recurrent.packaged_models import find_packaged
from tests.tools.games import needs

ROOT = Path(__file__).parent.parent
TASK = ROOT / "examples" / "orders" / "task.yaml"
POCKET = ROOT / "examples" / "pocket" / "task.yaml"


def agentflow(
    *arguments: str, journal: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentflow.cli.main", *arguments, "--journal", str(journal)]
    return subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def levels(step: StepRecord) -> int:
    """Return how many functions nest below a step, itself included if it was written by the model."""
    own = any(child.kind == "model" for child in step.children)
    return own + max((levels(child) for child in step.children), default=0)


def overlap(steps: list[StepRecord]) -> bool:
    first, second = sorted(steps, key=lambda step: step.started_at)[:2]
    return first.ended_at is not None and second.started_at < first.ended_at


@pytest.mark.model
@pytest.mark.timeout(600)
def test_the_demo_is_solved_checked_and_replayed_without_the_model(tmp_path: Path) -> None:
    weights.pull(catalogue.find(catalogue.DEFAULT))
    journal = tmp_path / "j.db"
    done = agentflow("run", str(TASK), "--model", "gguf:qwen2.5-coder-0.5b", journal=journal)
    assert done.returncode == 0, done.stderr
    assert "✓ check program: every assertion held" in done.stderr
    with Journal(journal) as opened:
        record = opened.run("last")
    assert record.root is not None
    assert levels(record.root) >= 3, "a program, its parts, and their parts"
    program = next(step for step in record.steps.values() if step.name == "solve program")
    assert len(program.children) >= 2
    assert overlap(program.children)
    # Without the weights, without a network: the journal is all there is.
    gone = {"AGENTFLOW_MODELS": str(tmp_path / "none"), "HF_HUB_OFFLINE": "1"}
    replayed = agentflow("replay", "last", journal=journal, **gone)
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["output"] == json.loads(done.stdout)


@pytest.mark.model
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_demo_is_solved_many_times_in_a_row(tmp_path: Path) -> None:
    outcomes = [
        agentflow(
            "run", str(TASK), "--model", "gguf:qwen2.5-coder-0.5b", "-q", journal=tmp_path / "j.db"
        ).returncode
        for _ in range(20)
    ]
    assert outcomes == [0] * 20


@needs("textworld_express")
@pytest.mark.timeout(600)
def test_the_pocket_planner_wins_its_game_and_is_replayed_without_a_world(tmp_path: Path) -> None:
    journal, nothing = tmp_path / "j.db", tmp_path / "empty"
    nothing.mkdir()
    # No Java but the one that comes along, and no network.
    alone = {"JAVA_HOME": "", "PATH": str(nothing), "HF_HUB_OFFLINE": "1"}
    done = agentflow("run", str(POCKET), journal=journal, **alone)
    assert done.returncode == 0, done.stderr
    assert "✓ check reward" in done.stderr
    with Journal(journal) as opened:
        record = opened.run("last")
    assert record.root is not None
    assert levels(record.root) >= 5, "rooms behind rooms"
    replayed = agentflow("replay", "last", journal=journal, **alone)
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["output"] == done.stdout.strip() == "done"


def test_the_pocket_planner_is_small() -> None:
    model = find_packaged("pocket")
    assert model is not None
    assert model.size_bytes < 10_000_000
