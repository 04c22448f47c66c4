"""What the tests of this room share: servers of their own, and runs that call their tools."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentflow import AgentflowError, flow, tools_in_reach
from agentflow.interop.mcp import Mcp, McpEnvironment

BAD = str(Path(__file__).with_name("bad_server.py"))
TOKEN = "a-token-of-the-test"
FLOWS = str(Path(__file__).with_name("served_flows.py"))
RUN = "agentflow/run"


def bad(calls: Path, *modes: str, **options: Any) -> McpEnvironment:
    """Return the server that does wrong; it writes its calls to a file."""
    command = [sys.executable, BAD, str(calls), *modes]
    return Mcp.named("bad", **{"command": command, "timeout_s": 60, **options})


def called(calls: Path) -> list[str]:
    """Return the names of the tools that were called, in order."""
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [json.loads(line)[0] for line in lines]


def serving(journal: str, *more: str) -> list[str]:
    """Return the command that serves the flows of these tests."""
    program = "from agentflow.cli.mcp import mcp; mcp()"
    return [sys.executable, "-c", program, "serve", FLOWS, "--journal", journal, *more]


@contextmanager
def started(script: str, *words: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start a server that prints its address; give both, and end it."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=30)


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
