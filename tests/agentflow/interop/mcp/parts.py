"""What the tests of this room share: servers of their own, and runs that call their tools."""

import json
import sys
from pathlib import Path
from typing import Any

from agentflow import AgentflowError, flow, tools_in_reach
from agentflow.interop.mcp import Mcp, McpEnvironment

BAD = str(Path(__file__).with_name("bad_server.py"))


def bad(calls: Path, *modes: str, **options: Any) -> McpEnvironment:
    """Return the server that does wrong; it writes its calls to a file."""
    command = [sys.executable, BAD, str(calls), *modes]
    return Mcp.named("bad", **{"command": command, "timeout_s": 60, **options})


def called(calls: Path) -> list[str]:
    """Return the names of the tools that were called, in order."""
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [json.loads(line)[0] for line in lines]


@flow
async def one_call(tool: str, arguments: dict[str, Any]) -> Any:
    """Call one tool."""
    return await tools_in_reach()[tool](**arguments)


@flow
async def two_calls(first: str, second: str, arguments: dict[str, Any]) -> Any:
    """Call one tool, then another; tell what became of both."""
    told = []
    for name in (first, second):
        try:
            told.append(await tools_in_reach()[name](**(arguments if name == second else {})))
        except AgentflowError as error:
            told.append(f"{getattr(error, 'name', type(error).__name__)}: {error}")
    return told
