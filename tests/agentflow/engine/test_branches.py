"""Structured concurrency: dataflow order, cancellation, collected failures."""

import anyio
import pytest

from agentflow import BranchFailure, Runner, flow, parallel, tool
from agentflow.engine.branches import run_dag
from agentflow.errors import ToolError

pytestmark = pytest.mark.anyio
memory = Runner(journal=":memory:")


async def test_results_come_in_the_order_given_not_in_the_order_of_finishing() -> None:
    late = anyio.Event()

    async def first() -> str:
        await late.wait()
        return "first"

    async def second() -> str:
        late.set()
        return "second"

    assert await parallel(first(), second()) == ["first", "second"]


async def test_a_failure_cancels_the_siblings_and_is_raised_itself() -> None:
    stopped = anyio.Event()

    async def fails() -> None:
        raise LookupError("this one")

    async def waits() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    with pytest.raises(LookupError, match="this one"):
        await parallel(waits(), fails())
    assert stopped.is_set()


async def test_collect_keeps_failures_in_their_place() -> None:
    async def fails() -> int:
        raise LookupError("this one")

    async def works() -> int:
        return 3

    kept = await parallel(fails(), works(), collect=True)
    assert isinstance(kept[0], BranchFailure)
    assert kept[1] == 3


async def test_a_node_starts_before_an_unrelated_slow_one_is_done() -> None:
    third_started = anyio.Event()

    async def start(node: str, needed: dict[str, str]) -> str:
        if node == "slow":
            await third_started.wait()  # a barrier between layers would wait here for ever
        if node == "third":
            third_started.set()
        return node + "".join(needed.values())

    @flow
    async def dag() -> dict[str, str]:
        needs = {"slow": (), "quick": (), "third": ("quick",), "last": ("slow", "third")}
        return await run_dag(needs, start)

    results = (await memory.run_async(dag)).output
    assert results["last"] == "lastslowthirdquick"
    assert list(results) == ["slow", "quick", "third", "last"]


@tool
async def hang() -> None:
    """Never return."""
    await anyio.sleep_forever()


@tool
async def refuse() -> None:
    """Always raise."""
    raise ValueError("no")


@flow
async def one_fails() -> None:
    await parallel(hang(), refuse())


async def test_cancelled_steps_are_recorded_as_cancelled() -> None:
    ends: dict[str, str] = {}

    def hear(event: object) -> None:
        ends[type(event).__name__] = str(getattr(event, "step", ""))

    with pytest.raises(ToolError, match="tool refuse: ValueError: no"):
        await Runner(journal=":memory:", on_event=hear).run_async(one_fails)
    assert ends["StepCancelled"] == "2"
    assert ends["RunFinished"] == ""
