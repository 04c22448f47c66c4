"""Tools of servers: what is offered, what a call gives, what a bad server cannot do."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Journal, Runner
from agentflow.errors import InputError, ToolError
from agentflow.interop.mcp import Mcp, McpServerError, mcp_tools
from tests.agentflow.interop.mcp.parts import bad, called, one_call, two_calls

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
pytestmark = pytest.mark.anyio


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls.txt"


async def gives(calls: Path, name: str, **arguments: Any) -> Any:
    runner = Runner(tools=bad(calls).tools(), journal=":memory:")
    return (await runner.run_async(one_call, f"bad_{name}", arguments)).output


async def refusal(calls: Path, name: str, **arguments: Any) -> ToolError:
    options = {"timeout_s": 1.0} if name == "hang" else {}
    runner = Runner(tools=bad(calls, **options).tools(), journal=":memory:")
    with pytest.raises(ToolError) as caught:
        await runner.run_async(one_call, f"bad_{name}", arguments)
    return caught.value


async def test_a_call_is_a_step_with_its_arguments_and_its_result(calls: Path) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=":memory:")
    result = await runner.run_async(one_call, "bad_add", {"a": 2, "b": 3})
    step = result.record.steps[2]
    assert result.output == "5"
    assert (step.name, step.kind, step.status) == ("bad_add", "tool", "succeeded")
    assert json.loads(step.input) == {"a": 2, "b": 3}
    assert step.details["mcp"] == {"server": "bad", "tool": "add"}


async def test_a_tool_has_effects_unless_the_server_says_that_it_reads(calls: Path) -> None:
    tools = {tool.name: tool for tool in bad(calls).tools()}
    assert [tools[f"bad_{name}"].effect for name in ("add", "note", "put")] == [False, True, True]
    assert [tools[f"bad_{name}"].offer.repeatable for name in ("note", "put")] == [False, True]


async def test_wrong_arguments_do_not_reach_the_server(calls: Path) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=":memory:")
    for arguments in ({"a": 1}, {"a": 1, "b": "2"}, {"a": 1, "b": True}):
        with pytest.raises(InputError):
            await runner.run_async(one_call, "bad_add", arguments)
    assert called(calls) == []


async def test_runs_inside_the_block_share_one_connection(calls: Path) -> None:
    command = bad(calls).options["command"]
    async with mcp_tools("bad", command=command) as tools:
        runner = Runner(tools=tools, journal=":memory:")
        for number in range(3):
            done = await runner.run_async(one_call, "bad_add", {"a": number, "b": 1})
            assert done.output == str(number + 1)
    assert called(calls) == ["add"] * 3


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("picture", "[image image/png, 3 bytes, not shown]"),
        ("blob", "[resource a://b, 3 bytes, not shown]"),
        ("link", "[resource n: a://b]"),
        ("data", {"n": [1, {"a": None}]}),
        ("control", "a[31mbc"),
    ],
)
async def test_results_are_plain_data_and_visible_text(calls: Path, what: str, value: Any) -> None:
    assert await gives(calls, "reply", what=what) == value


async def test_a_long_result_is_cut(calls: Path) -> None:
    text = await gives(calls, "reply", what="huge")
    assert len(text) < 101_000
    assert text.endswith("(cut: 300,000 characters)")


@pytest.mark.parametrize(
    ("what", "name"),
    [("error", "McpToolFailed"), ("nonsense", "McpMalformed"), ("deep", "McpMalformed")],
)
async def test_a_failed_call_is_a_tool_error(calls: Path, what: str, name: str) -> None:
    assert (await refusal(calls, "reply", what=what)).name == name


@pytest.mark.parametrize(
    ("tool", "name", "words"),
    [
        ("hang", "McpTimeout", "no answer within 1 s"),
        ("flood", "McpConnectionLost", "nobody asked for"),
        ("endless_line", "McpConnectionLost", "more than 8,388,608 bytes"),
        ("crash_writing", "McpConnectionLost", "out of luck"),
    ],
)
async def test_a_server_that_hangs_floods_or_dies_ends_the_call(
    calls: Path, tool: str, name: str, words: str
) -> None:
    error = await refusal(calls, tool)
    assert error.name == name
    assert words in error.message
    assert called(calls) == [tool]


async def test_a_call_that_only_reads_is_made_again_after_a_reconnect(calls: Path) -> None:
    assert await gives(calls, "crash") == "done"
    assert called(calls) == ["crash", "crash"]


async def test_the_next_call_after_a_death_has_a_new_connection(calls: Path) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=":memory:")
    arguments = {"a": 1, "b": 1}
    done = await runner.run_async(two_calls, "bad_crash_writing", "bad_add", arguments)
    assert done.output[0].startswith("McpConnectionLost")
    assert done.output[1] == "2"


async def test_a_tool_that_has_changed_is_not_called(calls: Path) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=":memory:")
    done = await runner.run_async(two_calls, "bad_change", "bad_note", {"text": "x"})
    assert done.output[0] == "changed"
    assert done.output[1].startswith("McpToolChanged")
    assert called(calls) == ["change"]


async def test_odd_tools_are_refused_one_by_one(calls: Path) -> None:
    server = bad(calls, "odd")
    names = {tool.name for tool in server.tools()}
    assert {"bad_plain_name", "bad_add"} <= names
    assert all(name.isascii() and name.isidentifier() and len(name) <= 64 for name in names)
    refused = {"a_b", "remote", "bad", "deep", "big", "read_file_v2__evil"}
    assert set(server.refused) == refused
    said = next(tool for tool in server.tools() if tool.name == "bad_said")
    assert said.description.startswith("hidden long")
    assert len(said.description) < 2_100
    with pytest.raises(ValueError, match="another document"):
        server.tools("remote")


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("dies", "no configuration for"),
        ("many", "more than 200 tools"),
        ("endless", "does not end"),
        ("mute", "too long"),
    ],
)
async def test_a_server_that_cannot_be_used_is_one_line(calls: Path, mode: str, words: str) -> None:
    with pytest.raises(McpServerError, match=words) as caught:
        bad(calls, mode, connect_timeout_s=1.0 if mode == "mute" else 60.0).tools()
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(McpServerError, match="`no-such-program` cannot be started"):
        Mcp.named("x", command=["no-such-program"]).tools()


async def test_a_server_gets_no_variable_that_is_not_named(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-servers")
    assert "OPENAI_API_KEY" not in (await gives(calls, "reply", what="keys")).split()


async def test_a_secret_is_given_by_name_and_never_reaches_the_journal(
    calls: Path, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD_SERVER_PASSPHRASE", "opensesame42")
    tools = bad(calls, env=["BAD_SERVER_PASSPHRASE"]).tools()
    runner = Runner(tools=tools, journal=journal)
    done = await runner.run_async(one_call, "bad_reply", {"what": "secret"})
    assert done.output == "it is [redacted:BAD_SERVER_PASSPHRASE]"
    files = Path(journal).parent.glob("journal.db*")
    assert not any(b"opensesame42" in file.read_bytes() for file in files)


async def test_a_variable_that_is_not_set_is_named(calls: Path) -> None:
    with pytest.raises(McpServerError, match="variable NOT_SET_ANYWHERE is not set"):
        bad(calls, env=["NOT_SET_ANYWHERE"]).tools()


async def test_a_replay_needs_no_server(calls: Path, journal: str) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=journal)
    done = await runner.run_async(one_call, "bad_note", {"text": "once"})
    with Journal(journal) as opened:
        facts = opened.run(done.id).settings["environments"]["bad"]
    gone = {**facts["options"], "command": ["no-such-program"]}
    again = Mcp.named("bad", **gone)
    replayed = await Runner(tools=again.tools(), journal=journal).replay(one_call, done.id)
    assert replayed.output == "done"
    assert called(calls) == ["note"]


async def test_a_call_whose_outcome_is_unknown_is_not_made_again(calls: Path, journal: str) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=journal)
    with anyio.move_on_after(30) as scope:

        async def stop_when_called() -> None:
            while called(calls) != ["hang"]:
                await anyio.sleep(0.01)
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(stop_when_called)
            await runner.run_as("cut0", two_calls, "bad_hang", "bad_add", {"a": 1, "b": 1})
    resumed = await runner.resume(two_calls, "cut0")
    assert resumed.output[0].startswith("McpOutcomeUnknown")
    assert resumed.output[1] == "2"
    assert called(calls) == ["hang", "add"]


async def test_a_resumed_run_repeats_no_call_that_finished(calls: Path, journal: str) -> None:
    script = (
        "import sys, os; from pathlib import Path\n"
        "from agentflow import Runner\n"
        "from tests.agentflow.interop.mcp.parts import bad, two_calls\n"
        "tools = bad(Path(sys.argv[1])).tools()\n"
        "def hear(event):\n"
        "    if type(event).__name__ == 'StepStarted' and event.name == 'bad_put': os._exit(9)\n"
        "Runner(tools=tools, journal=sys.argv[2], on_event=hear).run("
        "two_calls, 'bad_change', 'bad_put', {'text': 'x'})\n"
    )
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", script, str(calls), journal]
    died = await anyio.run_process(command, check=False, cwd=root)
    assert died.returncode == 9, died.stderr
    assert called(calls) == ["change"]
    runner = Runner(tools=bad(calls).tools(), journal=journal)
    resumed = await runner.resume(two_calls, "last")
    assert resumed.output == ["changed", "done"]
    assert called(calls) == ["change", "put"]


async def test_a_fork_calls_again_what_it_was_made_for(calls: Path, journal: str) -> None:
    runner = Runner(tools=bad(calls).tools(), journal=journal)
    done = await runner.run_async(one_call, "bad_note", {"text": "x"})
    forked = await runner.fork(one_call, done.id, at=2)
    assert forked.output == "done"
    assert called(calls) == ["note", "note"]
