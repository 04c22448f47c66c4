"""`agentflow train` as a person runs it: another process, a real training, Ctrl-C, the same command again."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from agentflow_evals.cli.train import train
from agentflow_evals.cli.training import StopSignals
from click.testing import CliRunner, Result

from agentflow.training.student.log import read_log
from tests import warm
from tests.agentflow.training.student.parts import SAID, SMALL, pairs

ENVIRONMENT = {**os.environ, "AGENTFLOW_THREADS": "1", "COLUMNS": "100"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with pairs, and a suite that asks for what they say."""
    pairs(tmp_path)
    suite = tmp_path / "colours"
    suite.mkdir()
    rows = [{"asked": asked, "answer": answer} for asked, answer in SAID.items()]
    (suite / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    sample = {"goal": "{asked}", "id": "{asked}", "check": {"exact": {"equals": "{answer}"}}}
    text = yaml.safe_dump({"suite": 1, "name": "colours", "data": "rows.jsonl", "sample": sample})
    (suite / "suite.yaml").write_text(text)
    return tmp_path


def recipe(base: Path, steps: int = 120, **changes: Any) -> Path:
    training = {"steps": steps, "batch_tokens": 32, "learning_rate": 0.03}
    evaluation = {"suite": "./colours", "planner": "direct"}
    whole = SMALL | {"training": training, "evaluation": evaluation} | changes
    path = base / "recipe.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


def command(base: Path, *more: str) -> list[str]:
    given = ["train", str(base / "recipe.yaml"), "-o", str(base / "model"), *more]
    return ["-m", "agentflow.cli.main", *given]


def run(base: Path, *more: str) -> Result:
    return CliRunner(env=ENVIRONMENT).invoke(train, command(base, *more)[3:])


def facts(base: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((base / "model" / name).read_text())
    return found


def wait_until(process: warm.Process, is_so: Callable[[], bool]) -> None:
    while not is_so():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            raise AssertionError(f"it has ended: {process.stderr.read()}")


@pytest.mark.slow
def test_a_recipe_becomes_a_model_with_a_card_and_nothing_is_done_twice(base: Path) -> None:
    recipe(base)
    done = run(base)
    assert done.exit_code == 0, done.stderr
    assert f"use it as --model recurrent:{base / 'model'}" in done.stderr
    assert "4/4" in done.stdout
    first = facts(base, "evaluation.json")
    assert "| direct | 4 of 4 | 1.000 (0.510 to 1.000) |" in (base / "model/README.md").read_text()
    again = run(base)
    assert again.exit_code == 0, again.stderr
    assert "it is trained already" in again.stderr
    assert "it is evaluated already" in again.stderr
    assert facts(base, "evaluation.json") == first
    recipe(base, evaluation={"suite": "./colours", "samples": 2})
    assert "2/2" in run(base).stdout
    assert facts(base, "evaluation.json")["samples"] == 2


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_learnt_and_the_same_command_goes_on(base: Path) -> None:
    recipe(base, steps=500)
    log = base / "model/log.jsonl"
    with warm.Process(
        command(base, "--no-evaluation"), env=ENVIRONMENT, kind="libraries"
    ) as process:
        wait_until(process, lambda: log.exists() and len(read_log(log)) > 1)
        process.send_signal(signal.SIGINT)
        _out, said = process.communicate()
        assert process.returncode == 130
    stopped = read_log(log)[-1].step
    assert f"stopped at step {stopped:,} of 500; the same command goes on from there" in said
    done = run(base, "--no-evaluation")
    assert done.exit_code == 0, done.stderr
    assert "collecting" not in done.stderr
    assert stopped in [line.step for line in read_log(log)]
    assert facts(base, "training.json")["steps"] == 500
    assert facts(base, "card.json")["evaluation"] is None


def test_the_first_signal_waits_for_the_step_and_the_second_does_not() -> None:
    with StopSignals() as stop:
        stop.is_waited_for = True
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("changes", "more", "code", "told"),
    [
        ({"precision": "fp8"}, [], 2, "`precision` must be 'fp32', 'fp16' or 'bf16'"),
        ({"evaluation": {"suite": "humanevil"}}, [], 1, "unknown suite 'humanevil'"),
        ({"evaluation": {"suite": "./gone"}}, [], 1, "gone"),
        (
            {"evaluation": {"suite": "./colours", "planner": "direkt"}},
            [],
            1,
            "evaluation.planner: unknown planner 'direkt'; did you mean 'direct'?",
        ),
        ({"evaluation": {"suite": "./colours", "skip": 4}}, [], 1, "skip leaves nothing of 4"),
        pytest.param(
            *({}, ["--device", "cuda"], 1, "no CUDA device here; use --device cpu or auto"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
        ({}, ["--steps", "0"], 2, "--steps"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_trained(
    base: Path, changes: dict[str, Any], more: list[str], code: int, told: str
) -> None:
    recipe(base, **changes)
    done = run(base, *more)
    assert (done.exit_code, told in done.output) == (code, True), done.output
    assert not (base / "model/checkpoint.safetensors").exists()
