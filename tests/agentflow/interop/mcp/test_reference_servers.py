"""The protocol's own reference servers, where they are installed.

npm install --prefix FOLDER @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem
AGENTFLOW_MCP_SERVERS=FOLDER pytest tests/agentflow/interop/mcp/test_reference_servers.py
"""

import os
import shutil
from pathlib import Path

import pytest

from agentflow import Runner
from agentflow.errors import ToolError
from agentflow.interop.mcp import mcp_tools
from tests.agentflow.interop.mcp.parts import one_call

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
