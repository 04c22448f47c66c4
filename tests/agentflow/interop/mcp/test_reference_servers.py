"""The protocol's own servers and client from npm, where they are installed; those from PyPI are always tested.

npm install --prefix FOLDER @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem
AGENTFLOW_MCP_SERVERS=FOLDER pytest tests/agentflow/interop/mcp/test_reference_servers.py
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentflow import Journal, Runner
from agentflow.errors import McpServerError, ToolError
from agentflow.interop.mcp import mcp_tools
from tests.agentflow.interop.mcp.parts import RUN, TOKEN, one_call, serving

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
FOLDER = os.environ.get("AGENTFLOW_MCP_SERVERS")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node"),
    pytest.mark.skipif(not FOLDER, reason="AGENTFLOW_MCP_SERVERS names no folder of servers"),
]


def server(name: str, *more: str) -> list[str]:
    folder = Path(FOLDER or "", "node_modules", "@modelcontextprotocol", f"server-{name}")
    return ["node", str(folder / "dist" / "index.js"), *more]


async def test_the_server_of_everything_answers() -> None:
    async with mcp_tools("all", command=server("everything")) as tools:
        runner = Runner(tools=tools, journal=":memory:")
        added = await runner.run_async(one_call, "all_get_sum", {"a": 2, "b": 3})
        shown = await runner.run_async(one_call, "all_get_tiny_image", {})
        data = await runner.run_async(
            one_call, "all_get_structured_content", {"location": "Chicago"}
        )
    assert added.output == "The sum of 2 and 3 is 5."
    assert "[image image/png, " in shown.output
    assert set(data.output) == {"temperature", "conditions", "humidity"}


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def everything(port: int) -> Iterator["subprocess.Popen[str]"]:
    """The server of everything by streamable HTTP."""
    process = subprocess.Popen(
        server("everything", "streamableHttp"),
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


async def test_the_server_of_everything_answers_by_http(port: int) -> None:
    with everything(port):
        async with mcp_tools("all", url=f"http://127.0.0.1:{port}/mcp") as tools:
            runner = Runner(tools=tools, journal=":memory:")
            added = await runner.run_async(one_call, "all_get_sum", {"a": 2, "b": 3})
            where = {"location": "Chicago"}
            data = await runner.run_async(one_call, "all_get_structured_content", where)
            long = {"duration": 1, "steps": 4}  # it sends its progress
            slow = await runner.run_async(one_call, "all_trigger_long_running_operation", long)
            wrong = {"name": "x", "data": "no address", "outputType": "resource"}
            with pytest.raises(ToolError, match="McpToolFailed"):
                await runner.run_async(one_call, "all_gzip_file_as_resource", wrong)
    assert added.output == "The sum of 2 and 3 is 5."
    assert set(data.output) == {"temperature", "conditions", "humidity"}
    assert slow.output.startswith("Long running operation completed.")


async def test_the_server_of_everything_may_be_restarted_between_calls(port: int) -> None:
    """It keeps sessions and forgets them with its process; how it refuses one is not the protocol's way."""
    with everything(port) as first:
        async with mcp_tools("all", url=f"http://127.0.0.1:{port}/mcp") as tools:
            runner = Runner(tools=tools, journal=":memory:")
            await runner.run_async(one_call, "all_get_sum", {"a": 2, "b": 3})
            first.kill()
            first.wait()
            with everything(port):
                packed = {"name": "x", "data": "data:text/plain,abc", "outputType": "resource"}
                done = await runner.run_async(one_call, "all_gzip_file_as_resource", packed)
    assert done.output.startswith("[resource demo://")


async def test_a_run_goes_on_when_the_server_of_everything_died_in_a_call(
    port: int, journal: str
) -> None:
    long = {"duration": 2, "steps": 20}
    url = f"http://127.0.0.1:{port}/mcp"
    with everything(port) as first:

        def hear(event: Any) -> None:
            if type(event).__name__ == "StepStarted" and event.name.startswith("all_"):
                first.kill()

        async with mcp_tools("all", url=url) as tools:
            runner = Runner(tools=tools, journal=journal, on_event=hear)
            with pytest.raises(McpServerError, match="it cannot be reached"):
                await runner.run_as("r", one_call, "all_trigger_long_running_operation", long)
    with everything(port):
        async with mcp_tools("all", url=url) as tools:
            done = await Runner(tools=tools, journal=journal).resume(one_call, "r")
    assert done.output.startswith("Long running operation completed.")


@pytest.mark.parametrize("way", ["pipes", "http"])
def test_the_official_typescript_client_understands_our_server(
    way: str, request: pytest.FixtureRequest, journal: str, tmp_path: Path
) -> None:
    sdk = str(Path(FOLDER or "", "node_modules", "@modelcontextprotocol", "sdk"))
    mark = str(tmp_path / "began")
    if way == "http":
        words = ["http", request.getfixturevalue("address"), TOKEN, mark]
    else:
        words = ["pipes", mark, *serving(journal)]
    script = str(Path(__file__).with_name("official_client.mjs"))
    told = subprocess.run(["node", script, sdk, *words], check=True, capture_output=True, text=True)
    got = json.loads(told.stdout)
    assert set(got["tools"]) == {"double", "total", "slow", "once", "broken"}
    assert got["total"]["structuredContent"] == {"sum": 12}
    assert got["runs"][0][RUN] == got["runs"][1][RUN]
    assert got["broken"]["isError"]
    assert got["broken"]["content"][0]["text"] == "ValueError: no luck at all"
    assert got["misfit"]["content"][0]["text"].startswith("InputError: double: input: n:")
    assert got["unknown"]["code"] == -32602
    assert "enough" in got["cancelled"]
    with Journal(journal) as opened:
        assert {head.flow: head.status for head in opened.heads()}["total"] == "succeeded"
    if way == "http":  # through pipes the client drops progress that comes together with the answer
        assert got["heard"][0] == "total began"
        assert got["heard"].count("double began") == 3


async def test_the_server_of_files_writes_and_reads_in_its_folder_alone(tmp_path: Path) -> None:
    async with mcp_tools("files", command=server("filesystem", str(tmp_path))) as tools:
        effects = {tool.name for tool in tools if tool.effect}
        runner = Runner(tools=tools, journal=":memory:")
        note = {"path": str(tmp_path / "note.txt"), "content": "kept"}
        await runner.run_async(one_call, "files_write_file", note)
        read = await runner.run_async(one_call, "files_read_text_file", {"path": note["path"]})
        with pytest.raises(ToolError, match="McpToolFailed"):
            await runner.run_async(one_call, "files_read_text_file", {"path": "/etc/hostname"})
    assert (tmp_path / "note.txt").read_text() == "kept"
    assert read.output == {"content": "kept"}
    assert "files_write_file" in effects
    assert "files_read_text_file" not in effects
