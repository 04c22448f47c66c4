"""A process for tools, asked from here: what it says of the calls of a message, whatever one of them does."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.cluster import worker
from agentflow.cluster.fitting import fitting
from agentflow.cluster.worker import Part, ToolWorker
from agentflow.data import canonical
from agentflow.placement import RemoteCall
from agentflow.tools import Tool
from tests.agentflow.cluster import flows

pytestmark = [pytest.mark.anyio]


@pytest.fixture(scope="module")
def process() -> ToolWorker:
    return ToolWorker()


def call(tool: Tool[..., Any], **given: Any) -> RemoteCall:
    written = canonical(given)
    return RemoteCall(tool=tool.name, target=tool.target, code=tool.code(), input=written)


async def work(process: ToolWorker, first: int, *calls: RemoteCall) -> Part:
    return await process.work(list(enumerate(calls, first)), fitting())


def numbers(part: Part) -> list[int]:
    return [int(answer.value().split(b",")[0].lstrip(b"[")) for answer in part.answers]


async def test_calls_of_a_message_are_answered_in_order_whatever_one_raises(
    process: ToolWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HOLD_S", 60.0)
    monkeypatch.setattr(worker, "BATCH_S", 60.0)
    wrong = call(flows.short, number=1, does="raises")
    first, second, third = (call(flows.short, number=number) for number in (7, 8, 9))
    part = await work(process, 10, first, wrong, second, third)
    assert [answer.name for answer in part.answers] == ["", "ToolError", "", ""]
    assert all(answer.spent_s > 0 for answer in part.answers)
    assert numbers(Part(answers=(part.answers[0], *part.answers[2:]))) == [7, 8, 9]


async def test_nothing_waits_for_a_long_call_nor_behind_it(
    process: ToolWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HOLD_S", 0.7)
    monkeypatch.setattr(worker, "BATCH_S", 60.0)
    busy, late = tmp_path / "busy", tmp_path / "late"
    long = call(flows.short, number=2, does="waits", mark=str(busy))
    behind = call(flows.short, number=3, mark=str(late))
    part = await work(process, 20, call(flows.short, number=1), long, behind)
    assert (numbers(part), part.is_working) == ([1], True)
    assert await work(process, 30, behind) == Part(answers=())
    busy.unlink()
    assert numbers(Part(answers=(await process.rest(21),))) == [2]
    assert numbers(await work(process, 40, call(flows.short, number=4))) == [4]
    assert not late.exists()


async def test_a_tool_that_blocks_its_loop_is_said_to_be_at_work(
    process: ToolWorker, tmp_path: Path
) -> None:
    part = await work(process, 50, call(flows.deaf, mark=str(tmp_path / "deaf")))
    assert part == Part(answers=(), is_working=True)
    (tmp_path / "deaf").unlink()
    assert (await process.rest(50)).value() == b"0"


async def test_a_stopped_call_is_interrupted_and_one_that_waits_never_begins(
    process: ToolWorker, tmp_path: Path
) -> None:
    mark, late = tmp_path / "mark", tmp_path / "late"
    parts = list[Part]()

    async def carried() -> None:
        listening = call(flows.listening, mark=str(mark))
        parts.append(
            await work(process, 60, listening, call(flows.short, number=1, mark=str(late)))
        )

    async with anyio.create_task_group() as group:
        group.start_soon(carried)
        await flows.begun(str(mark))
        await process.stop(61)
        await process.stop(60)
    (part,) = parts
    if part.is_working:
        await process.rest(60)
    await process.stop(60)  # has ended: nothing happens
    assert numbers(await work(process, 70, call(flows.short, number=5))) == [5]
    assert not mark.exists()
    assert not late.exists()


async def test_much_to_say_is_said_before_the_next_call_begins(
    process: ToolWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HOLD_S", 60.0)
    monkeypatch.setattr(worker, "BATCH_S", 60.0)
    much = call(flows.long_text, size=worker.BATCH_BYTES)
    part = await work(process, 80, much, call(flows.short, number=1))
    assert len(part.answers) == 1
    assert not part.is_working


async def test_a_process_that_does_not_fit_refuses_every_call(process: ToolWorker) -> None:
    calls = [(90, call(flows.short, number=1)), (91, call(flows.short, number=2))]
    part = await process.work(calls, {**fitting(), "Python": "2.7"})
    assert [answer.name for answer in part.answers] == ["ClusterError"] * 2
