"""The protocol's own servers from PyPI, which the tests bring along: of time, and of git."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from agentflow import Runner
from agentflow.errors import ToolError
from agentflow.interop.mcp import mcp_tools
from tests.agentflow.interop.mcp.parts import one_call, started

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
pytest.importorskip("mcp_server_time", reason="mcp-server-time, of the group `dev`, is missing")
pytest.importorskip("mcp_server_git", reason="mcp-server-git, of the group `dev`, is missing")
pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NOON = {"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"}
NOWHERE = {**NOON, "target_timezone": "Atlantis"}
ROOT = Path(__file__).parents[4]


def server(name: str, *more: str) -> list[str]:
    return [sys.executable, "-m", f"mcp_server_{name}", *more]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a file that is in none."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "Nobody")
    git(folder, "config", "user.email", "nobody@example.com")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "begin")
    (folder / "note.txt").write_text("kept")
    return folder


async def test_the_server_of_time_gives_data_and_errors() -> None:
    async with mcp_tools("clock", command=server("time", "--local-timezone", "UTC")) as tools:
        runner = Runner(tools=tools, journal=":memory:")
        done = await runner.run_async(one_call, "clock_convert_time", NOON)
        with pytest.raises(ToolError, match="Invalid timezone") as failed:
            await runner.run_async(one_call, "clock_convert_time", NOWHERE)
    assert {tool.name: tool.effect for tool in tools} == {
        "clock_get_current_time": False,
        "clock_convert_time": False,
    }
    assert done.output["target"]["datetime"].endswith("T03:00:00+00:00")
    assert done.output["time_difference"] == "-9.0h"
    assert failed.value.name == "McpToolFailed"


async def test_the_server_of_time_by_http_may_be_restarted_between_calls() -> None:
    with started("time_by_http.py", "0") as (first, address):
        port = address.split(":")[2].removesuffix("/mcp")
        async with mcp_tools("clock", url=address) as tools:
            runner = Runner(tools=tools, journal=":memory:")
            before = await runner.run_async(one_call, "clock_convert_time", NOON)
            first.kill()
            first.wait()
            with started("time_by_http.py", port) as (_second, again):
                after = await runner.run_async(one_call, "clock_convert_time", NOON)
                with pytest.raises(ToolError, match="Invalid timezone"):
                    await runner.run_async(one_call, "clock_convert_time", NOWHERE)
    assert again == address
    assert before.output["time_difference"] == after.output["time_difference"] == "-9.0h"


async def test_the_server_of_git_commits_once_though_the_run_is_killed(
    repository: Path, journal: str
) -> None:
    command = [sys.executable, "-m", "tests.agentflow.interop.mcp.committing"]
    words = [*command, str(repository), journal]
    died = await anyio.run_process(words, check=False, cwd=ROOT)
    assert died.returncode == 9, died.stderr
    assert len(git(repository, "log", "--format=%s").splitlines()) == 2
    ended = await anyio.run_process(words, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert git(repository, "log", "--format=%s") == "a note\nbegin\n"
    assert "+kept" in ended.stdout.decode()


async def test_the_server_of_git_says_what_has_effects_and_keeps_to_its_repository(
    repository: Path, tmp_path: Path
) -> None:
    command = server("git", "--repository", str(repository))
    async with mcp_tools("git", command=command) as tools:
        offers = {tool.name: tool.offer for tool in tools}
        runner = Runner(tools=tools, journal=":memory:")
        status = await runner.run_async(one_call, "git_git_status", {"repo_path": str(repository)})
        with pytest.raises(ToolError, match="McpToolFailed"):
            await runner.run_async(one_call, "git_git_status", {"repo_path": str(tmp_path)})
    assert "note.txt" in status.output
    assert not offers["git_git_status"].effect
    assert offers["git_git_add"].effect
    assert offers["git_git_add"].repeatable
    assert not offers["git_git_commit"].repeatable
