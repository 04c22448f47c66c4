"""Jails come, are lost, are replaced and go; none outlives its host."""

import os
import signal
import subprocess
import sys

import anyio
import pytest

from agentflow.errors import SandboxUnavailableError
from agentflow.sandbox.workers.launchers import LauncherName
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers
from agentflow.sandbox.workers.protocol import Observation, Trial, TrialLimits
from tests.agentflow.sandbox.workers.parts import (
    cpu_s,
    descendants,
    jails,
    observe,
    outcomes,
    wait_gone,
)

pytestmark = pytest.mark.anyio

HARD = """
import signal
def f():
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True: pass
def g(): return 1
"""
LONG = TrialLimits(call_s=60.0, total_s=60.0)


async def test_a_cancelled_trial_leaves_no_process_and_a_pool_that_works(
    workers: TrialWorkers,
) -> None:
    before = jails()
    async with anyio.create_task_group() as group:
        group.start_soon(workers.observe, Trial(source=HARD, calls=("f()",), limits=LONG))
        while not jails() - before:
            await anyio.sleep(0)
        started = jails() - before
        group.cancel_scope.cancel()
    wait_gone(started)
    assert (await observe(workers, HARD, "g()"))[0].value == 1


async def test_a_jail_that_is_killed_costs_the_call_it_ran(workers: TrialWorkers) -> None:
    seen: list[Observation] = []

    async def go() -> None:
        seen.extend(await observe(workers, HARD, "g()", "f()", "g()", limits=LONG))

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        while not any(cpu_s(pid) > 0.5 for pid in jails()):
            await anyio.sleep(0)
        for pid in jails():
            os.kill(pid, signal.SIGKILL)
    assert outcomes(tuple(seen)) == ["returned", "crashed", "returned"]


async def test_a_jail_that_dies_unused_costs_no_trial_anything(workers: TrialWorkers) -> None:
    await observe(workers, HARD, "g()")
    unused = jails()
    assert unused
    for pid in unused:
        os.kill(pid, signal.SIGKILL)
    wait_gone(unused)
    assert (await observe(workers, HARD, "g()"))[0].value == 1


async def test_trials_share_the_jails_there_are_and_closing_ends_them(
    launcher: LauncherName,
) -> None:
    others = jails()
    try:
        workers = await open_workers(launcher=launcher, jails=2)
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    for_one = len(jails() - others)
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(observe, workers, HARD, "g()")
    ours = jails() - others
    assert len(ours) == 2 * for_one
    await workers.aclose()
    wait_gone(ours)


async def test_a_host_that_is_killed_leaves_no_process(launcher: LauncherName) -> None:
    script = f"""
import anyio
from agentflow.sandbox.workers.pool import open_workers
from agentflow.sandbox.workers.protocol import Trial, TrialLimits
limits = TrialLimits(call_s=600.0, total_s=600.0)
async def main():
    workers = await open_workers(launcher={launcher!r}, jails=2)
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(workers.observe, Trial(source={HARD!r}, calls=("f()",), limits=limits))
        print("ready", flush=True)
anyio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        if host.stdout.readline() != b"ready\n":
            pytest.skip(f"{launcher} is not available here")
        expected = 4 if launcher == "landlock" else 6  # two zygotes, two children; two of bwrap
        with anyio.fail_after(60):
            while len(descendants(host.pid)) < expected:
                await anyio.sleep(0)
        left = descendants(host.pid)
        host.kill()
    wait_gone(left)
