"""Remote tools that travel together: what happens to one of them is not felt by the others."""

from pathlib import Path
from typing import Any

import pytest

from agentflow import Runner
from agentflow.cluster.calls import MOST_CALLS
from agentflow.cluster.nodes import SLOTS_PER_CORE
from agentflow.cluster.placement import MOST_TRIES, RayPlacement
from agentflow.resources import Resources
from tests.agentflow.cluster import flows
from tests.agentflow.cluster.conftest import NODE

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own, at its import and start
]
COUNT = 80


@pytest.fixture
def runner(resources: Resources, journal: str) -> Runner:
    return Runner(journal=journal, resources=resources)


def lost(run: Any) -> dict[int, int]:
    """Return how often a step was lost, by its number."""
    steps = run.record.steps.values()
    told = {step.number: [said for said in step.notes if "was lost" in said.text] for step in steps}
    return {number: len(notes) for number, notes in told.items() if notes}


async def test_short_calls_share_a_process_a_core(runner: Runner) -> None:
    await runner.run_async(flows.together, COUNT)
    run = await runner.run_async(flows.together, COUNT)
    assert [number for number, _pid in run.output] == list(range(COUNT))
    assert len({pid for _number, pid in run.output}) == 2
    leaves = [step for step in run.record.steps.values() if step.kind == "tool"]
    assert len({step.details["node"] for step in leaves}) == 2


async def test_a_call_that_ends_its_process_is_found_and_no_other_fails(runner: Runner) -> None:
    await runner.run_async(flows.together, 8)
    run = await runner.run_async(flows.together, COUNT, COUNT // 2, "dies")
    assert run.output[COUNT // 2] == "WorkLostError"
    others = [seen for number, seen in enumerate(run.output) if number != COUNT // 2]
    assert [number for number, _pid in others] == [
        *range(COUNT // 2),
        *range(COUNT // 2 + 1, COUNT),
    ]
    times = sorted(lost(run).values())
    assert times[-1] == MOST_TRIES
    assert set(times[:-1]) <= {1}
    assert len(times) <= SLOTS_PER_CORE * MOST_CALLS


@pytest.mark.parametrize("does", ["raises", "exits"])
async def test_a_call_that_raises_fails_alone(runner: Runner, does: str) -> None:
    run = await runner.run_async(flows.together, COUNT, 3, does)
    assert run.output[3] == "ToolError"
    assert [seen[0] for seen in run.output[4:]] == list(range(4, COUNT))


async def test_a_cancelled_call_is_ended_and_those_sent_with_it_go_on(
    runner: Runner, tmp_path: Path
) -> None:
    run = await runner.run_async(flows.one_is_cancelled, COUNT, str(tmp_path / "mark"))
    pid = run.output.pop(COUNT // 2)
    assert [number for number, _pid in run.output] == list(range(COUNT))
    command = Path(f"/proc/{pid}/cmdline")
    assert not command.exists() or b"ray::" not in command.read_bytes()
    assert not lost(run)


async def test_a_cancelled_call_that_listens_leaves_its_process_alone(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentflow.cluster.calls.STOP_S", 60.0)  # a busy machine is no failure
    # More than one round: while short calls are believed to be long, all of one may go to the other node.
    pid, *later = (await runner.run_async(flows.interrupted, str(tmp_path / "mark"), 20)).output
    assert not (tmp_path / "mark").exists()
    assert pid in later


async def test_a_call_cancelled_before_it_is_sent_never_begins(
    runner: Runner, tmp_path: Path
) -> None:
    (marks := tmp_path / "marks").mkdir()
    run = await runner.run_async(flows.never_begun, str(marks), 2 * SLOTS_PER_CORE)
    assert run.output == []


@pytest.mark.long
async def test_calls_of_a_killed_node_are_done_on_another(cluster: Any, journal: str) -> None:
    (node,) = cluster.worker_nodes
    doomed = [node]

    def kill(event: object) -> None:
        if doomed and getattr(event, "number", 0) > 500:
            doomed.pop().kill_raylet()

    async with Resources(placement=RayPlacement(cluster.address)) as resources:
        runner = Runner(journal=journal, resources=resources, on_event=kill)
        run = await runner.run_async(flows.together, 400)
    assert [number for number, _pid in run.output] == list(range(400))
    assert len(run.record.steps) == 401
    assert len(lost(run)) <= SLOTS_PER_CORE * MOST_CALLS
    cluster.remove_node(node)
    cluster.add_node(**NODE)
