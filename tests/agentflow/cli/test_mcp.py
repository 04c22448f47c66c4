"""`agentflow mcp`, and servers in task files: run, killed, resumed, replayed, served."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentflow import Journal
from agentflow.cli import environments
from tests.wire import WireServer, calls, says

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
pytestmark = pytest.mark.anyio

ROOM = Path(__file__).parents[1] / "interop" / "mcp"
BAD = str(ROOM / "bad_server.py")
FLOWS = str(ROOM / "served_flows.py")
ENTRIES = """
[agentflow.environments]
mcp = agentflow.interop.mcp:Mcp
"""
TASK = """agentflow: 1
goal: Note what is asked for.
inputs: {wish: milk}
planner: react
environments:
  pad: {use: mcp, options: OPTIONS}
tools: [pad.note, pad.add]
"""
in_task_files = pytest.mark.skipif(
    not hasattr(environments, "_named"), reason="task files cannot name servers yet"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    about = tmp_path / "servers-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: servers\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    write_task(tmp_path, command=[sys.executable, BAD, str(tmp_path / "calls")])
    return tmp_path


def write_task(folder: Path, **options: Any) -> None:
    (folder / "task.yaml").write_text(TASK.replace("OPTIONS", json.dumps(options)))


def environment(folder: Path, server: WireServer | None = None) -> dict[str, str]:
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "AGENTFLOW_JOURNAL": str(folder / "j.db"),
        "OPENAI_API_KEY": "sk-test-key",
        "OPENAI_BASE_URL": server.openai_url if server else "http://127.0.0.1:9/v1",
    }


def agentflow(
    folder: Path, *words: str, server: WireServer | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "agentflow.cli.main", *words]
    given = environment(folder, server)
    done = subprocess.run(program, cwd=folder, env=given, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def mcp(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from agentflow.cli.mcp import mcp; mcp()", *words]
    given = environment(folder)
    done = subprocess.run(program, cwd=folder, env=given, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def called(folder: Path) -> list[str]:
    path = folder / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)[0] for line in lines]


@in_task_files
def test_a_task_file_names_a_server_and_a_killed_run_repeats_no_call(folder: Path) -> None:
    run = ("run", "task.yaml", "-m", "openai:gpt-5-mini", "-q")
    asked: list[str] = []

    def killed(request: Any) -> Any:
        asked.append(request.text)
        if len(asked) == 2:
            os.kill(running(), signal.SIGKILL)
        return calls(("pad_note", {"text": "milk"})) if len(asked) == 1 else says("noted")

    with WireServer(killed) as server:
        agentflow(folder, *run, server=server, code=-signal.SIGKILL)
        tools = [tool["function"]["name"] for tool in server.requests[0].body["tools"]]
    assert tools == ["pad_note", "pad_add"]
    assert called(folder) == ["note"]
    with WireServer([says("noted")]) as server:
        done = agentflow(folder, "resume", "last", "-q", server=server)
    assert done.stdout.strip() == "noted"
    assert called(folder) == ["note"]
    write_task(folder, command=["gone"])
    agentflow(folder, "replay", "last")
    assert called(folder) == ["note"], "a replay calls nobody"


def running() -> int:
    """Return the process of the command that this one has started, and no other child of it."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "agentflow.cli.main"],
        capture_output=True,
        text=True,
        check=True,
    )
    (process,) = found.stdout.split()
    return int(process)


@in_task_files
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": ["gone"]}, "task.yaml:7: MCP server pad (gone): `gone` cannot be started"),
        ({}, "environment `pad`: give either `command`"),
        ({"url": "http://127.0.0.1:9/mcp"}, "task.yaml:7: MCP server pad (http://127.0.0.1:9/mcp)"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_with_its_line(
    folder: Path, options: dict[str, Any], words: str
) -> None:
    write_task(folder, **options)
    done = agentflow(folder, "run", "task.yaml", "-m", "openai:gpt-5-mini", code=2)
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_tools_of_a_server_are_listed_with_their_manner(folder: Path) -> None:
    words = ("tools", "--", sys.executable, BAD, str(folder / "calls"), "odd")
    listed = mcp(folder, *words)
    assert "add  [reads]" in listed.stdout
    assert "put  [effects, may be repeated]" in listed.stdout
    assert "remote  cannot be used: its schema refers to another document" in listed.stderr
    assert "\u202e" not in listed.stdout + listed.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("serve", "nothing_like_it:flow"), "write a task file, module:flow, or file.py:flow"),
        (("serve", f"{FLOWS}:nothing"), "there is no such flow"),
        (("serve", FLOWS, FLOWS), "two of them are called 'double'"),
        (("serve", FLOWS, "--http", "0", "--token-env", "NOT_SET"), "NOT_SET is not set"),
        (("serve", "absent.yaml"), "absent.yaml"),
        (("tools", "https://me:pw@example.com/mcp"), "holds a login"),
    ],
)
def test_wrong_words_are_a_usage_error(folder: Path, words: tuple[str, ...], told: str) -> None:
    done = mcp(folder, *words, code=2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_task_file_is_served_with_its_inputs(folder: Path) -> None:
    from mcp import Client, StdioServerParameters

    (folder / "shop.yaml").write_text(
        "agentflow: 1\ngoal: Say the wish.\ninputs: {wish: milk, count: 2}\n"
        "planner: direct\ncheck:\n  contains: {all: [milk]}\n"
    )
    program = "from agentflow.cli.mcp import mcp; mcp()"
    words = ["-c", program, "serve", "shop.yaml", "-m", "openai:gpt-5-mini"]
    with WireServer([says("milk, please"), says("tea, please")]) as server:
        given = environment(folder, server)
        place = StdioServerParameters(command=sys.executable, args=words, env=given, cwd=folder)
        async with Client(place) as client:
            (tool,) = (await client.list_tools()).tools
            good: Any = await client.call_tool("shop", {"count": 3})
            bad: Any = await client.call_tool("shop", {"wish": "tea"})
            unknown: Any = await client.call_tool("shop", {"wishes": 1})
        assert '"count": 3' in server.requests[0].text or "count" in server.requests[0].text
    assert tool.description == "Say the wish."
    properties = tool.input_schema["properties"]
    assert {name: properties[name]["type"] for name in ("wish", "count")} == {
        "wish": "string",
        "count": "integer",
    }
    assert good.structured_content["result"] == "milk, please"
    assert good.structured_content["checks"][0]["passed"] is True
    assert "a check failed" in bad.content[0].text
    assert unknown.content[0].text == (
        "InputError: shop: input: wishes: no such input (there are: wish, count)"
    )
    with Journal(folder / "j.db") as journal:
        assert [head.status for head in journal.heads()] == ["succeeded"] * 2
