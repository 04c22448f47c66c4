"""A run on a cluster: the same flows and the same record, and what dies is only done again where it must be."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Program, Runner, Trial, Unwritten, flow, observe, parallel, run_program, tool
from agentflow.cluster.nodes import SLOTS_PER_CORE
from agentflow.cluster.placement import RayPlacement
from agentflow.errors import (
    ClusterError,
    NodeRefusedError,
    ProgramError,
    ToolError,
    WorkLostError,
)
from agentflow.resources import Resources
from agentflow.sandbox.workers.protocol import TrialLimits
from tests.agentflow.cluster import flows
from tests.agentflow.cluster.conftest import NODE
from tests.parts import shape

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own, at its import and start
]
PATIENT = TrialLimits(call_s=60.0, total_s=60.0)


@pytest.fixture
def runner(resources: Resources, journal: str) -> Runner:
    return Runner(journal=journal, resources=resources)


async def test_the_record_is_that_of_a_run_here_and_is_replayed_here(
    runner: Runner, tmp_path: Path
) -> None:
    there = await runner.run_async(flows.squares, 0, 6)
    here = await Runner(journal=tmp_path / "here.db").run_async(flows.squares, 0, 6)
    assert there.output == here.output == 55
    assert sorted(shape(there.record)[0:1]) == sorted(shape(here.record)[0:1])
    assert {step[1:] for step in shape(there.record)} == {step[1:] for step in shape(here.record)}
    replayed = await Runner(journal=runner.journal).replay(flows.squares, there.id)
    assert replayed.output == 55


async def test_both_nodes_work(runner: Runner) -> None:
    run = await runner.run_async(flows.squares, 0, 12)
    nodes = {step.details.get("node") for step in run.record.steps.values()} - {None}
    assert len(nodes) == 2
    assert os.getpid() not in (await runner.run_async(flows.processes, 4)).output


async def test_an_error_of_a_tool_is_that_of_its_function(runner: Runner) -> None:
    with pytest.raises(ToolError, match="tool broken: KeyError: 'why'"):
        await runner.run_async(flows.fails, "why")


@pytest.mark.long
async def test_a_tool_that_ends_its_process_is_given_up_after_some_tries(runner: Runner) -> None:
    with pytest.raises(WorkLostError, match="fatal was lost 4 times"):
        await runner.run_async(flows.dies)


async def test_a_cancelled_tool_is_stopped(runner: Runner, tmp_path: Path) -> None:
    run = await runner.run_async(flows.cut_short, str(tmp_path / "mark"))
    command = b""
    with suppress(FileNotFoundError, ProcessLookupError):  # gone, perhaps as we look
        command = Path(f"/proc/{run.output}/cmdline").read_bytes()
    assert b"ray::" not in command


@tool(remote=True)
def here_only() -> int:
    """Count."""
    return 1


@flow
async def other_code() -> int:
    """Call a tool whose code is not what the workers import."""
    return await here_only()


async def test_a_tool_with_other_code_there_is_refused(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here_only, "_code", "3.11:0000")
    with pytest.raises(ClusterError, match="is other code there than here"):
        await runner.run_async(other_code)


def test_a_tool_with_effects_is_never_remote() -> None:
    with pytest.raises(ValueError, match="drop `remote`"):
        tool(effect=True, remote=True)(here_only.function)


@flow
async def program(code: str) -> Any:
    """Run a program; `twice` doubles, `refuse` raises."""

    async def answer(call: Unwritten) -> Any:
        if call.name == "refuse":
            raise ToolError(tool="refuse", name="ValueError", message="no")
        return [*call.args, *call.args]

    return await run_program(Program(code=code), answer)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("a = twice(1)\nb = twice(a)\nreturn [b, {(1, 2): {3}}]", [[[1, 1]] * 2, {(1, 2): {3}}]),
        ("return {x: twice(x) for x in 'ab'}", {"a": ["a", "a"], "b": ["b", "b"]}),
        ("try:\n    refuse(1)\nexcept ValueError as error:\n    return str(error)", "no"),
        ("try:\n    twice(open)\nexcept Exception as error:\n    return 'refused'", "refused"),
    ],
)
async def test_programs_mean_the_same_there(runner: Runner, code: str, value: Any) -> None:
    assert (await runner.run_async(program, code)).output == value


async def test_an_error_of_a_program_names_its_line(runner: Runner) -> None:
    with pytest.raises(ProgramError) as caught:
        await runner.run_async(program, "a = twice(1)\nreturn 1 / 0")
    assert (caught.value.name, caught.value.line) == ("ZeroDivisionError", 2)


@flow
async def hostile(source: str) -> str:
    """Load a module where generated code runs."""
    seen = await observe(Trial(source=source, calls=("f()",), limits=PATIENT))
    return seen.model_dump_json()


async def test_hostile_code_is_confined_on_the_node(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "out"
    source = f"def f():\n    open({str(path)!r}, 'w').write('out')"
    run = await runner.run_async(hostile, source)
    assert json.loads(run.output)["observations"][0]["outcome"] == "raised"
    assert not path.exists()


@flow
async def endless_trial() -> str:
    """Cancel an endless trial, then do another in its place."""
    source = "import signal\ndef f():\n    signal.setitimer(0, 0)\n    while True: pass"
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(observe, Trial(source=source, calls=("f()",), limits=PATIENT))
        await anyio.sleep(0.5)
        group.cancel_scope.cancel()
    seen = await parallel(
        observe(Trial(source="def f(): return 1", calls=("f()",), limits=PATIENT)) for _ in range(4)
    )
    return seen[0].observations[0].outcome


async def test_a_cancelled_trial_leaves_its_place_to_others(runner: Runner) -> None:
    assert (await runner.run_async(endless_trial)).output == "returned"


async def test_a_node_that_is_killed_costs_what_was_in_flight(cluster: Any, journal: str) -> None:
    (node,) = cluster.worker_nodes
    doomed = [node]

    def kill(event: object) -> None:
        if doomed and getattr(event, "number", 0) > 100:
            doomed.pop().kill_raylet()

    async with Resources(placement=RayPlacement(cluster.address)) as resources:
        runner = Runner(journal=journal, resources=resources, on_event=kill)
        run = await runner.run_async(flows.squares, 0, 100)
    assert run.output == sum(number * number for number in range(100))
    steps = list(run.record.steps.values())
    assert len({step.key for step in steps}) == len(steps) == 398
    lost = [said for step in steps for said in step.notes if "was lost" in said.text]
    assert {said.details["node"].rpartition("/")[2] for said in lost} == {node.node_id[:8]}
    assert len(lost) <= SLOTS_PER_CORE
    cluster.remove_node(node)


@pytest.mark.long
async def test_a_node_without_a_sandbox_is_refused_by_name(cluster: Any, journal: str) -> None:
    node = cluster.add_node(**NODE, env_vars={"AGENTFLOW_SANDBOX": "none"})
    place = RayPlacement(cluster.address)
    async with Resources(placement=place) as resources:
        run = await Runner(journal=journal, resources=resources).run_async(flows.squares, 0, 2)
        (refusal,) = place.refused
    assert isinstance(refusal, NodeRefusedError)
    assert refusal.node.endswith(node.node_id[:8])
    assert "no launcher 'none'" in refusal.problem
    assert [said.text for step in run.record.steps.values() for said in step.notes] == [
        str(refusal)
    ]
