"""Spans of real runs, received by a real collector, follow the conventions for generative AI."""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic import BaseModel

from agentflow import Budget, Journal, Message, Runner, flow, generate, note, parallel, tool
from agentflow.errors import AgentflowError
from agentflow.interop.telemetry import SpanListener, send_run
from agentflow.interop.telemetry.otlp import traces_url
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import ModelSpec, ToolCall
from tests.agentflow.interop.conventions import KNOWN, OPERATIONS, misfits
from tests.agentflow.interop.test_otlp import Collector, attributes
from tests.parts import Scripted as Local
from tests.wire import WireServer, calls, fails, gives_json, says

pytestmark = pytest.mark.anyio

state = {"healthy": True}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    state["healthy"] = True
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


class City(BaseModel):
    name: str
    people: int


@tool
def weigh(item: str) -> dict[str, Any]:
    """Weigh an item, if the scales work."""
    if not state["healthy"]:
        raise ConnectionError("the scales are broken")
    return {"item": item, "grams": [1, 2.5], "none": None}


@flow
async def plain() -> str:
    """Call a model with everything it can be asked for."""
    note("before", why={"a": [1, None]})
    reply = await generate("hi", temperature=1, max_tokens=9, seed=7, stop=("END",), system="s")
    return reply.text


@flow
async def typed() -> City:
    return await generate("Rome?", output=City)


@flow
async def acting() -> str:
    """Let the model call a tool, and tell it what came of it."""
    asked = await generate("weigh tea", tools=[weigh])
    (call,) = asked.tool_calls
    weighed = await weigh(**call.arguments)
    turns = [
        Message(role="user", text="weigh tea"),
        Message(role="assistant", tool_calls=(ToolCall(**call.model_dump()),)),
        Message(role="tool", text=str(weighed), tool_call_id=call.id),
    ]
    return (await generate(turns, tools=[weigh])).text


@flow
async def waits(name: str) -> str:
    return (await generate(name)).text


@flow
async def breaks() -> str:
    while len(SERVERS[-1].requests) < 1:
        await anyio.sleep(0.001)
    raise ConnectionError("cut")


@flow
async def racing() -> list[str]:
    """Cancel a model call that is under way."""
    return await parallel([waits("slow"), breaks()])


@flow
async def spending() -> list[str]:
    """Ask more than the budget allows, side by side."""
    found = await parallel((waits(name) for name in "abc"), collect=True)
    return [str(each) for each in found]


SERVERS: list[WireServer] = []
SPEC: dict[str, Any] = {"name": "m", "retries": 2}
RUNS: dict[str, tuple[Any, list[Any], dict[str, Any]]] = {
    "everything asked for": (plain, [says("hel", "lo", usage=None)], {}),
    "a cache and a state": (plain, [says("hello", state="s1")], {}),
    "typed, after a misfit": (typed, [says("no"), gives_json({"name": "Rome", "people": 3})], {}),
    "tools": (acting, [calls(("weigh", {"item": "tea"})), says("done")], {}),
    "retried": (waits, [fails(429, retry_after="0.001"), says("at last")], {}),
    "cut off": (waits, [says("half", finish="length")], {}),
    "refused by the server": (waits, [fails(400, "bad")], {}),
    "refused by the model": (waits, [says(refusal="no")], {}),
    "cancelled": (racing, [says("late", hold=True)], {}),
    "over the budget": (spending, [says("a"), says("b")], {"budget": Budget(steps=5)}),
}


def spec(server: WireServer, provider: str = "openai") -> ModelSpec:
    url = server.openai_url if provider == "openai" else server.anthropic_url
    return ModelSpec(provider=provider, base_url=url, max_tokens=50, **SPEC)


async def recorded(name: str, journal: str, provider: str, **rest: Any) -> RunRecord:
    """Run one of `RUNS`, whatever comes of it, and return its record."""
    root, answers, settings = RUNS[name]
    script = (
        [each.but(finish="max_tokens") for each in answers] if _cuts(name, provider) else answers
    )
    with WireServer(script) as server:
        SERVERS.append(server)
        runner = Runner(model=spec(server, provider), journal=journal, **settings, **rest)
        arguments = ["x"] if root is waits else []
        with suppress(AgentflowError, ConnectionError):
            await runner.run_as("r", root, *arguments)
    with Journal(journal) as opened:
        return opened.run("r")


def _cuts(name: str, provider: str) -> bool:
    return name == "cut off" and provider == "anthropic"


def received(collector: Collector) -> list[Span]:
    """Return the spans that came, and check that they are one tree."""
    spans = collector.spans
    ids = {span.span_id for span in spans}
    assert len(ids) == len(spans) > 0
    assert len({span.trace_id for span in spans}) == 1
    assert all(span.parent_span_id in ids for span in spans if span.parent_span_id)
    return spans


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("name", RUNS)
async def test_a_recorded_run_is_sent_as_the_conventions_say(
    name: str, provider: str, journal: str
) -> None:
    record = await recorded(name, journal, provider)
    for content in (False, True):
        with Collector() as collector:
            send_run(record, endpoint=collector.url, content=content)
        spans = received(collector)
        assert [problem for span in spans for problem in misfits(span)] == []
        said = [key for span in spans for key in attributes(span) if key in OPT_IN]
        assert content or said == []


OPT_IN = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
}


@pytest.mark.parametrize("name", RUNS)
async def test_a_live_run_is_sent_as_the_conventions_say(name: str, journal: str) -> None:
    with Collector() as collector:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(traces_url(collector.url))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        listener = SpanListener(provider, content=True)
        record = await recorded(name, journal, "openai", on_event=listener)
        await anyio.to_thread.run_sync(provider.shutdown)
    spans = received(collector)
    assert len(spans) == len(record.steps)
    assert [problem for span in spans for problem in misfits(span)] == []


async def test_a_resumed_run_counts_no_token_twice(journal: str) -> None:
    state["healthy"] = False
    await recorded("tools", journal, "openai")
    state["healthy"] = True
    with WireServer([says("done")]) as server:
        await Runner(model=spec(server), journal=journal).resume(acting, "r")
    with Journal(journal) as opened, Collector() as collector:
        send_run(opened.run("r"), endpoint=collector.url, content=True)
    spans = received(collector)
    assert [problem for span in spans for problem in misfits(span)] == []
    chats = [attributes(span) for span in spans if span.name == "chat m"]
    assert ["agentflow.step.origin" in told for told in chats] == [False, True, False]
    assert sum(told.get("gen_ai.usage.input_tokens", 0) for told in chats) == 24


async def test_a_run_that_was_cut_short_is_sent_as_the_conventions_say(journal: str) -> None:
    record = await recorded("tools", journal, "openai")
    finished = {number for number, step in record.steps.items() if step.kind == "flow"}
    for number in finished:  # as the journal of a killed process has it
        record.steps[number].status, record.steps[number].ended_at = "running", None
    with Collector() as collector:
        send_run(record, endpoint=collector.url)
    spans = received(collector)
    assert [problem for span in spans for problem in misfits(span)] == []
    assert {attributes(span).get("error.type") for span in spans} == {None, "interrupted"}


async def test_a_model_in_this_process_is_an_internal_span(journal: str) -> None:
    model = Local(lambda prompt: prompt.upper())
    model.spec = ModelSpec(provider="gguf", name="small")
    record = (await Runner(model=model, journal=journal).run_async(plain)).record
    with Collector() as collector:
        send_run(record, endpoint=collector.url, content=True)
    spans = received(collector)
    assert [problem for span in spans for problem in misfits(span)] == []
    (chat,) = [span for span in spans if span.name == "chat small"]
    assert chat.kind == Span.SPAN_KIND_INTERNAL
    assert "gen_ai.request.stream" not in attributes(chat)


def renamed(span: Span, old: str, new: str) -> None:
    for item in span.attributes:
        if item.key == old:
            item.key = new


def dropped(span: Span, key: str) -> None:
    kept = [copy.deepcopy(item) for item in span.attributes if item.key != key]
    del span.attributes[:]
    span.attributes.extend(kept)


def flattened(span: Span, key: str) -> None:
    for item in span.attributes:
        if item.key == key:
            item.value.string_value = "1"


def unfinished(span: Span) -> None:
    for item in span.attributes:
        if item.key == "gen_ai.response.finish_reasons":
            item.value.array_value.values[0].string_value = "tool_calls"


def failed(span: Span) -> None:
    span.status.code = Status.STATUS_CODE_ERROR


def server(span: Span) -> None:
    span.kind = Span.SPAN_KIND_SERVER


BREAKS: dict[str, Callable[[Span], None]] = {
    "gen_ai.system is no attribute": lambda span: renamed(
        span, "gen_ai.provider.name", "gen_ai.system"
    ),
    "gen_ai.usage.prompt_tokens is no attribute": lambda span: renamed(
        span, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"
    ),
    "gen_ai.provider.name is missing": lambda span: dropped(span, "gen_ai.provider.name"),
    "without an operation": lambda span: dropped(span, "gen_ai.operation.name"),
    "was streamed": lambda span: dropped(span, "gen_ai.request.stream"),
    "gen_ai.usage.input_tokens is a string_value": lambda span: flattened(
        span, "gen_ai.usage.input_tokens"
    ),
    "finish_reasons is a string_value": lambda span: flattened(
        span, "gen_ai.response.finish_reasons"
    ),
    "finish reasons": unfinished,
    "with error.type None": failed,
    "kind 2": server,
}


@pytest.mark.parametrize("problem", BREAKS)
async def test_the_judge_sees_what_is_wrong(problem: str, journal: str) -> None:
    record = await recorded("retried", journal, "openai")
    with Collector() as collector:
        send_run(record, endpoint=collector.url)
    (chat,) = [span for span in received(collector) if span.name == "chat m"]
    assert misfits(chat) == []
    BREAKS[problem](chat)
    assert problem in "\n".join(misfits(chat))


def test_the_package_still_lists_what_is_judged_by() -> None:
    assert {"gen_ai.provider.name", "gen_ai.workflow.name", "gen_ai.request.stream"} <= KNOWN
    assert {"gen_ai.system", "gen_ai.prompt", "gen_ai.completion"}.isdisjoint(KNOWN)
    assert {"chat", "execute_tool", "invoke_workflow"} <= OPERATIONS
