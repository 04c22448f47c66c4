"""`model: http://HOST/v1` against the real server: siblings read what they share once, and every step tells it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agentflow import Runner, flow, generate, parallel
from agentflow.models.protocol import Message
from tests.agentflow.recurrent.server.conftest import NAME, served

pytestmark = pytest.mark.anyio

SYSTEM = Message(role="system", text="You are one of several who go on from here. " * 60)


@flow
async def branches(names: list[str]) -> list[str]:
    def asked(name: str) -> tuple[Message, ...]:
        return (SYSTEM, Message(role="user", text=f"Do {name}"))

    replies = await parallel(generate(asked(name), max_tokens=4) for name in names)
    return [reply.text for reply in replies]


async def test_siblings_at_a_server_read_what_they_share_once(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    with served(folders("mamba2")) as server:
        runner = Runner(model=server.url, journal=tmp_path / "runs.db")
        result = await runner.run_async(branches, ["left", "right", "middle"])
        server.wait_idle()
        totals = server.engine.totals
    record = result.record
    steps = [step for step in record.steps.values() if step.kind == "model"]
    assert record.settings["model"]["name"] == NAME, "the only model there was found"
    assert all(step.reuse is not None for step in steps), "one read it ahead, all reused it"
    longest = max(step.reuse.input_tokens for step in steps if step.reuse)
    assert totals.prefilled_tokens < longest * 1.5
    assert totals.requests == 4
    ahead = [step.details["warm_up"] for step in steps if "warm_up" in step.details]
    assert [one["requests"] for one in ahead] == [3]
    assert totals.prompt_tokens == record.usage.input_tokens, "every token is counted, and once"
