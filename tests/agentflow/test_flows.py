"""Flows and tools: typed, named, composable; sync and async ways in; streaming."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator

import anyio
import pytest
from pydantic import BaseModel

from agentflow import Runner, flow, generate, parallel, tool
from agentflow.errors import AgentflowError, InputError, MalformedReplyError, OutputError, ToolError
from agentflow.journal.events import Event, RunFinished, StepStarted, TextStreamed
from tests.parts import Scripted

pytestmark = pytest.mark.anyio
memory = Runner(journal=":memory:")


class Section(BaseModel):
    title: str
    words: int


@flow
async def write(title: str, words: int = 10) -> Section:
    return Section(title=title, words=words)


@flow
async def report(topic: str) -> list[Section]:
    return await parallel(write(f"{topic} {number}", words=number) for number in range(2))


def test_a_flow_runs_from_code_that_is_not_async() -> None:
    result = memory.run(report, "tea")
    assert result.output == [Section(title="tea 0", words=0), Section(title="tea 1", words=1)]


async def test_a_flow_runs_inside_a_running_loop() -> None:
    assert len((await memory.run_async(report, topic="tea")).output) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"topic": 3}, r"report: input: topic: Input should be a valid string, got 3"),
        ({}, r"report: input: missing a required argument: 'topic'"),
        ({"topic": "tea", "colour": "red"}, r"unexpected keyword argument 'colour'"),
    ],
)
async def test_input_that_does_not_fit_is_named(arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        await memory.run_async(report, **arguments)  # type: ignore[arg-type]


async def test_output_that_does_not_fit_is_named() -> None:
    @flow
    async def lies() -> int:
        return "three"  # type: ignore[return-value]

    with pytest.raises(OutputError, match="lies: output: Input should be a valid integer"):
        await memory.run_async(lies)


def test_a_flow_must_be_async_and_name_its_parameters() -> None:
    with pytest.raises(TypeError, match="write `async def plain`"):

        @flow  # type: ignore[arg-type]
        def plain() -> int:
            return 1

    with pytest.raises(TypeError, match=r"name every parameter; \*rest cannot be recorded"):

        @flow
        async def loose(*rest: int) -> int:
            return len(rest)


async def test_untyped_values_keep_their_python_types_on_replay(journal: str) -> None:
    @tool
    def pair(x):  # type: ignore[no-untyped-def]
        """Return a tuple and a set."""
        return (x, {x})

    @flow
    async def pairs():  # type: ignore[no-untyped-def]
        return await pair(1)

    runner = Runner(journal=journal)
    result = await runner.run_async(pairs)
    assert (await runner.replay(pairs, result.id)).output == (1, {1})


async def test_a_sync_tool_does_not_block_the_loop() -> None:
    started = anyio.Event()

    @tool
    def wait_for_sibling() -> str:
        """Wait until the async sibling has run: only possible from another thread."""
        anyio.from_thread.run(started.wait)
        return "seen"

    @tool
    async def sibling() -> str:
        """Let the other one go on."""
        started.set()
        return "ran"

    @flow
    async def both() -> list[str]:
        return await parallel(wait_for_sibling(), sibling())

    assert (await memory.run_async(both)).output == ["seen", "ran"]


async def test_a_tool_that_raises_keeps_type_and_message() -> None:
    @tool
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    @flow
    async def divides() -> float:
        return await divide(1, 0)

    with pytest.raises(ToolError) as caught:
        await memory.run_async(divides)
    assert (caught.value.tool, caught.value.name) == ("divide", "ZeroDivisionError")


def test_a_tool_shows_a_model_its_schema() -> None:
    @tool
    def search(query: str, limit: int = 3) -> list[str]:
        """Search the notes."""
        return [query] * limit

    spec = search.spec
    assert (spec.name, spec.description) == ("search", "Search the notes.")
    assert spec.parameters["required"] == ["query"]
    assert set(spec.parameters["properties"]) == {"query", "limit"}


@flow
async def extract(text: str) -> Section:
    return await generate(f"Extract from: {text}", output=Section)


async def test_a_typed_reply_is_validated() -> None:
    model = Scripted(lambda _prompt: '{"title": "Tea", "words": 3}')
    result = await Runner(journal=":memory:", model=model).run_async(extract, "three words on tea")
    assert result.output == Section(title="Tea", words=3)


async def test_a_reply_that_does_not_fit_is_sent_back_with_the_reason() -> None:
    replies = iter(['{"title": "Tea"}', '{"title": "Tea", "words": 3}'])
    model = Scripted(lambda _prompt: next(replies))
    result = await Runner(journal=":memory:", model=model).run_async(extract, "tea")
    assert result.output.words == 3
    assert "does not fit: words: Field required" in model.asked[1]


async def test_a_reply_that_was_cut_off_is_asked_for_shorter_and_not_shown_whole() -> None:
    replies = iter(['{"title": "' + "Tea " * 1_000, '{"title": "Tea", "words": 3}'])
    model = Scripted(lambda _prompt: next(replies), longest=3_000)
    done = await Runner(journal=":memory:", model=model).run_async(extract, "tea")
    assert done.output.words == 3
    assert "much shorter" in model.asked[1]
    second = max((step for step in done.record.steps.values()), key=lambda step: step.number)
    assert len(second.input) < 1_000


async def test_replies_that_never_fit_are_a_typed_error() -> None:
    model = Scripted(lambda _prompt: "I would rather not")
    with pytest.raises(MalformedReplyError, match="3 replies did not fit"):
        await Runner(journal=":memory:", model=model).run_async(extract, "tea")


@flow
async def chat() -> str:
    return (await generate("hello", system="be brief")).text


async def collected(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


async def test_events_stream_to_the_caller_while_the_run_goes_on() -> None:
    runner = Runner(journal=":memory:", model=Scripted(lambda _prompt: "hi there"))
    async with runner.stream(chat) as stream:
        events = await collected(stream)
    assert [event.name for event in events if isinstance(event, StepStarted)] == [
        "chat",
        "generate",
    ]
    assert [event.text for event in events if isinstance(event, TextStreamed)] == ["hi there"]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert end.output == b'"hi there"'


async def test_a_failing_run_raises_when_its_stream_ends() -> None:
    runner = Runner(journal=":memory:", model=Scripted(lambda _prompt: "not json"))
    with pytest.raises(MalformedReplyError):
        async with runner.stream(extract, "x") as stream:
            await collected(stream)


async def test_leaving_a_stream_early_cancels_the_run(journal: str) -> None:
    stopped: list[str] = []

    @tool
    async def hang() -> None:
        """Never return."""
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append("hang")

    @flow
    async def hangs() -> None:
        await hang()

    async with Runner(journal=journal).stream(hangs) as stream:
        async for event in stream:
            if isinstance(event, StepStarted) and event.name == "hang":
                break
    assert stopped == ["hang"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import agentflow, json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    heavy = {
        "pydantic",
        "sqlalchemy",
        "networkx",
        "openai",
        "anthropic",
        "rich",
        "langgraph",
        "httpx2",
    }
    assert heavy.isdisjoint(json.loads(loaded.stdout))


def test_every_public_name_can_be_imported_whatever_was_imported_before() -> None:
    code = (
        "import agentflow, agentflow.runner, agentflow.solving\n"
        "for name in agentflow.__all__: assert type(getattr(agentflow, name)).__name__ != 'module', name\n"
        "assert set(agentflow.__all__) == set(agentflow._HOMES)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@tool
def leaving() -> None:
    """End the process."""
    sys.exit("enough")


@flow
async def leaves(how: str) -> None:
    """End the process in one of three ways."""

    async def part() -> None:
        sys.exit(3)

    if how == "flow":
        sys.exit(3)
    elif how == "branch":
        await parallel(part())
    else:
        await leaving()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("flow", r"leaves: called sys.exit\(3\)"),
        ("branch", r"a branch: called sys.exit\(3\)"),
        ("tool", "tool leaving: SystemExit: enough"),
    ],
)
def test_what_would_end_the_process_is_an_error_of_the_run(how: str, said: str) -> None:
    with pytest.raises(AgentflowError, match=said):
        Runner(journal=":memory:").run(leaves, how)
