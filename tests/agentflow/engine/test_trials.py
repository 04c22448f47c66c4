"""Trials and examinations are steps of a run: recorded, replayed, and never in the way of each other."""

import json

import anyio
import pytest

from agentflow import Runner, flow, parallel
from agentflow.engine.trials import examine, observe
from agentflow.errors import NoRunError, SandboxUnavailableError
from agentflow.sandbox.workers.protocol import Examination, Trial, TrialLimits

pytestmark = pytest.mark.anyio

SOURCE = "def f(x): return [x, float('nan'), '\\ud800']"
SLOW = Trial(
    source="import signal\ndef f():\n    signal.setitimer(0, 0)\n    while True: pass",
    calls=("f()",),
    limits=TrialLimits(call_s=60.0, total_s=60.0),
)


@flow
async def both(count: int) -> list[str]:
    """Observe and examine the same source."""
    trial = Trial(source=SOURCE, calls=("f(1)", "f()"))
    seen = await parallel(observe(trial) for _ in range(count))
    tests = "assert f(1)[0] == 1\nassert f(2) == 3"
    verdict = await examine(Examination(source=SOURCE, tests=tests, names={"f": "f"}))
    return [repr(one) for one in (*seen, verdict)]


async def test_a_replay_is_answered_from_the_journal_and_starts_no_worker(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(journal=journal)
    run = await runner.run_async(both, 3)
    assert "outcome='returned'" in run.output[0]
    assert "type='TypeError'" in run.output[0]
    assert "passed=False" in run.output[3]
    monkeypatch.setenv("AGENTFLOW_SANDBOX", "none")
    assert (await runner.replay(both, run.id)).output == run.output


async def test_the_record_holds_what_was_asked_and_seen_as_code_steps(journal: str) -> None:
    run = await Runner(journal=journal).run_async(both, 1)
    steps = [step for step in run.record.steps.values() if step.kind == "code"]
    assert [(step.name, step.status) for step in steps] == [
        ("observe", "succeeded"),
        ("examine", "succeeded"),
    ]
    assert json.loads(steps[0].input)["calls"] == ["f(1)", "f()"]
    assert steps[0].output is not None
    value = json.loads(steps[0].output)["observations"][0]["value"]
    assert value == {"list": [1, {"float": "nan"}, "\ud800"]}


@flow
async def first_wins(count: int) -> str:
    """Observe something endless until something else is known."""
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(observe, SLOW)
        seen = await observe(Trial(source="def f(): return 1", calls=("f()",)), name="quick")
        group.cancel_scope.cancel()
    return seen.observations[0].outcome


async def test_a_cancelled_trial_is_replayed_as_cancelled(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(journal=journal)
    run = await runner.run_async(first_wins, 1)
    assert run.output == "returned"
    monkeypatch.setenv("AGENTFLOW_SANDBOX", "none")
    assert (await runner.replay(first_wins, run.id)).output == "returned"


async def test_without_a_sandbox_the_step_fails_and_says_what_to_do(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTFLOW_SANDBOX", "bubblewrap")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailableError, match="apt install bubblewrap"):
        await Runner(journal=journal).run_async(both, 1)


async def test_outside_a_run_there_are_no_trials() -> None:
    with pytest.raises(NoRunError, match="observe"):
        await observe(SLOW)
