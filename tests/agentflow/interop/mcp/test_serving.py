"""Flows as a server: a real client of the protocol talks to a real process, both ways in."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from agentflow import Journal, Runner
from agentflow.interop.mcp import mcp_tools
from tests.agentflow.interop.mcp.parts import RUN, TOKEN, one_call, serving

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
pytestmark = pytest.mark.anyio

Open = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["pipes", "http"])
def connect(request: pytest.FixtureRequest, journal: str) -> Open:
    """A client, connected in either way."""
    from mcp import Client, StdioServerParameters

    if request.param == "http":
        found: str = request.getfixturevalue("address")
        return lambda: by_http(found, TOKEN)
    first, *rest = serving(journal)
    server = StdioServerParameters(command=first, args=rest, env=dict(os.environ))
    return lambda: Client(server)


@asynccontextmanager
async def by_http(address: str, token: str) -> AsyncIterator[Any]:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"}
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    async with http, Client(streamable_http_client(address, http_client=http)) as client:
        yield client


async def test_each_flow_is_a_tool_with_its_schema(connect: Open) -> None:
    async with connect() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"double", "total", "slow", "once", "broken"}
    assert tools["double"].description == "Return twice a number."
    schema = tools["double"].input_schema
    assert schema["properties"]["n"]["type"] == "integer"
    assert schema["required"] == ["n"]
    assert "idempotency_key" in schema["properties"]


async def test_a_call_is_a_run_and_tells_of_its_steps(connect: Open, journal: str) -> None:
    heard: list[str] = []

    async def hear(_progress: float, _total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async with connect() as client:
        done = await client.call_tool("total", {"numbers": [1, 2, 3]}, progress_callback=hear)
    assert done.structured_content == {"sum": 12}
    with Journal(journal) as opened:
        record = opened.run(done.meta[RUN])
    assert (record.flow, record.status, len(record.steps)) == ("total", "succeeded", 4)
    assert heard[0] == "total began"
    assert heard.count("double began") == 3


async def test_errors_are_one_line_with_their_type(connect: Open, journal: str) -> None:
    async with connect() as client:
        failed = await client.call_tool("broken", {})
        misfit = await client.call_tool("double", {"n": "x"})
    assert failed.is_error
    assert failed.content[0].text == "ValueError: no luck at all"
    assert failed.meta["agentflow/error"]["type"] == "ValueError"
    assert misfit.is_error
    assert misfit.content[0].text.startswith("InputError: double: input: n:")
    with Journal(journal) as opened:
        assert [head.id for head in opened.heads()] == [failed.meta[RUN]]


async def test_a_key_makes_repeated_calls_one_run(connect: Open, journal: str) -> None:
    async with connect() as client:
        first = await client.call_tool("double", {"n": 4, "idempotency_key": "k"})
        again = await client.call_tool("double", {"n": 4, "idempotency_key": "k"})
        other = await client.call_tool("double", {"n": 5, "idempotency_key": "k"})
        fresh = await client.call_tool("double", {"n": 4})
    assert first.structured_content == again.structured_content == {"result": 8}
    assert first.meta[RUN] == again.meta[RUN] != fresh.meta[RUN]
    assert other.is_error
    assert other.content[0].text.startswith("KeyReusedError")
    with Journal(journal) as opened:
        assert len(opened.heads()) == 2


async def test_calls_with_one_key_at_the_same_time_are_one_run(connect: Open, journal: str) -> None:
    answers: list[Any] = []
    async with connect() as client:

        async def call() -> None:
            answers.append(await client.call_tool("double", {"n": 4, "idempotency_key": "k"}))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(call)
    assert len({answer.meta[RUN] for answer in answers}) == 1
    assert [answer.structured_content for answer in answers] == [{"result": 8}] * 4
    with Journal(journal) as opened:
        assert len(opened.heads()) == 1


async def test_a_cancelled_call_cancels_its_run(
    connect: Open, journal: str, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "slow", {"began": str(began)})
            while not began.exists():
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        with anyio.fail_after(30):
            while status(journal) == "running":
                await anyio.sleep(0.05)
    assert status(journal) == "interrupted"


def status(journal: str) -> str:
    with Journal(journal) as opened:
        return opened.heads()[0].status


async def test_a_retry_after_a_crash_goes_on_with_the_same_run(
    journal: str, tmp_path: Path
) -> None:
    from mcp import Client, MCPError, StdioServerParameters

    marks = tmp_path / "marks"
    arguments = {"marks": str(marks), "idempotency_key": "k"}
    first, *rest = serving(journal)
    server = StdioServerParameters(command=first, args=rest, env=dict(os.environ))
    async with Client(server) as client:
        with pytest.raises(MCPError):
            await client.call_tool("once", arguments)
    async with Client(server) as client:
        done: Any = await client.call_tool("once", arguments)
    assert done.structured_content == {"result": "xx"}
    with Journal(journal) as opened:
        (record,) = opened.runs()
    doubles = [step for step in record.steps.values() if step.name == "double"]
    assert sum("origin" not in step.details for step in doubles) == 1
    assert record.id == done.meta[RUN]


async def test_an_unknown_tool_is_named_with_those_there_are(connect: Open) -> None:
    from mcp import MCPError

    async with connect() as client:
        with pytest.raises(MCPError, match="no tool 'nothing'; there are: double"):
            await client.call_tool("nothing", {})


async def test_only_requests_with_the_token_from_here_are_let_in(address: str) -> None:
    import httpx2

    right = {"Authorization": f"Bearer {TOKEN}"}
    wrong: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        ({"Authorization": "Bearer another"}, 401),
        (right | {"Origin": "http://evil.example"}, 403),
        (right | {"Host": "evil.example"}, 400),
        (right | {"Content-Type": "text/plain"}, 415),
    ]
    async with httpx2.AsyncClient() as http:
        for headers, expected in wrong:
            sent = {"Content-Type": "application/json", **headers}
            answer = await http.post(address, content=b"{}", headers=sent)
            assert answer.status_code == expected, headers
            assert answer.json()["id"] is None
            assert answer.json()["error"]["message"]


async def test_our_own_client_and_server_understand_each_other(
    address: str, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MCP_TOKEN", TOKEN)
    async with mcp_tools("ours", url=address, api_key_env="TEST_MCP_TOKEN") as tools:
        runner = Runner(tools=tools, journal=":memory:")
        done = await runner.run_async(one_call, "ours_total", {"numbers": [5]})
    assert done.output == {"sum": 10}
    with Journal(journal) as opened:
        assert opened.heads()[0].flow == "total"


@pytest.mark.parametrize("more", [(), ("--http", "0")], ids=["pipes", "http"])
def test_a_signal_ends_the_server_in_good_order(journal: str, more: tuple[str, ...]) -> None:
    pipe = subprocess.PIPE
    words = serving(journal, *more)
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write('{"jsonrpc": "2.0", "id": 1, "method": "server/discover"}\n')
    process.stdin.flush()
    assert process.stdout.readline(), "it is ready"
    process.send_signal(signal.SIGTERM)
    # Not `communicate`: it closes the input, which ends a server on pipes as well as a signal does.
    assert process.wait(timeout=30) == (0 if more else 130)
    assert "Traceback" not in process.communicate()[1]


async def test_runs_under_way_are_interrupted_with_the_server(journal: str, tmp_path: Path) -> None:
    began = tmp_path / "began"
    words = serving(journal, "--http", "0", "--token-env", "TEST_MCP_TOKEN")
    given = {**os.environ, "TEST_MCP_TOKEN": TOKEN}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=given)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    async with anyio.create_task_group() as group:

        async def call() -> None:
            with suppress(Exception):  # what the client hears is not the point
                async with by_http(address, TOKEN) as client:
                    await client.call_tool("slow", {"began": str(began)})

        group.start_soon(call)
        while not began.exists():
            await anyio.sleep(0.01)
        process.terminate()
        await anyio.to_thread.run_sync(process.communicate)
    assert status(journal) == "interrupted"
