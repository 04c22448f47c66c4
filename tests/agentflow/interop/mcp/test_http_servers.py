"""Servers by HTTP that forget us, die, or refuse: what a call gives then, and what the next one does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow import Runner
from agentflow.errors import McpServerError, ToolError
from agentflow.interop.mcp import mcp_tools
from tests.agentflow.interop.mcp.parts import called, one_call, started, two_calls

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
pytestmark = pytest.mark.anyio


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls.txt"


@pytest.fixture
def wrong(calls: Path) -> Iterator[str]:
    """The address of a server that does wrong when it is asked to."""
    with started("session_server.py", str(calls), "standard") as (_process, found):
        yield found


@pytest.mark.parametrize("refusal", ["standard", "told", "loose"])
async def test_a_server_that_has_forgotten_the_session_is_connected_to_again(
    calls: Path, refusal: str
) -> None:
    with started("session_server.py", str(calls), refusal) as (_process, address):
        async with mcp_tools("its", url=address) as tools:
            runner = Runner(tools=tools, journal=":memory:")
            done = await runner.run_async(two_calls, "its_forget", "its_write", {})
    assert done.output == ["forget is done", "write is done"]
    assert called(calls) == ["forget", "write"]


async def test_a_call_during_which_the_server_died_is_not_made_again(
    calls: Path, wrong: str
) -> None:
    async with mcp_tools("its", url=wrong) as tools:
        runner = Runner(tools=tools, journal=":memory:")
        with pytest.raises(ToolError, match="whether the call was carried out is unknown") as lost:
            await runner.run_async(one_call, "its_die", {})
    assert lost.value.name == "McpConnectionLost"
    assert called(calls) == ["die"]


async def test_a_call_to_a_server_that_is_gone_was_never_made(calls: Path) -> None:
    with started("session_server.py", str(calls), "standard") as (process, address):
        async with mcp_tools("its", url=address) as tools:
            runner = Runner(tools=tools, journal=":memory:")
            process.kill()
            process.wait()
            with pytest.raises(McpServerError, match="it cannot be reached"):
                await runner.run_async(one_call, "its_write", {})


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("overloaded", r"it refused with HTTP status 503 \(code -32603\)"),
        ("out_of_paper", r"out of paper \(code -32000\)"),
        ("no_answer", r"the printer is off \(code -32001\)"),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_server(
    wrong: str, tool: str, words: str
) -> None:
    async with mcp_tools("its", url=wrong) as tools:
        runner = Runner(tools=tools, journal=":memory:")
        with pytest.raises(ToolError, match=words) as refused:
            await runner.run_async(one_call, f"its_{tool}", {})
        done = await runner.run_async(one_call, "its_write", {})
    assert refused.value.name == "McpError"
    assert done.output == "write is done"


async def test_an_address_at_which_nothing_is_says_so() -> None:
    with pytest.raises(McpServerError, match="it cannot be reached"):
        async with mcp_tools("its", url="http://127.0.0.1:9/mcp"):
            pass
