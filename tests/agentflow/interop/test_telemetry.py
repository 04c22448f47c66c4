"""Runs as traces: the real SDK, real runs, live and from the journal."""

import json
import subprocess
import sys
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from agentflow import Budget, Journal, Message, Runner, flow, generate, note, parallel, tool
from agentflow.engine.lineage import Branches
from agentflow.errors import BudgetExceededError, RateLimitedError
from agentflow.interop.telemetry import SpanListener, export_run, trace_id_of
from agentflow.journal.events import StepStarted
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import ModelSpec, OnText, Price, Reply, Request, ToolCall, Usage
from tests.parts import Scripted

pytestmark = pytest.mark.anyio


class Collected:
    """A provider whose spans can be looked at."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> dict[int, ReadableSpan]:
        ended = self._exporter.get_finished_spans()
        found = {number(span): span for span in ended}
        assert len(found) == len(ended)
        return dict(sorted(found.items()))

    def __getitem__(self, step: int) -> ReadableSpan:
        return self.spans[step]


class Hosted:
    """A real `Model` that says it is of a well-known provider and gives one prepared reply."""

    concurrency: int | None = None
    price: Price | None = None

    def __init__(self, reply: Reply, *, provider: str = "openai", retries: int = 0) -> None:
        self.spec = ModelSpec(provider=provider, name="gpt-5-mini", retries=retries)
        self._reply = reply

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        assert request.messages
        on_text(self._reply.text)
        return self._reply

    async def aclose(self) -> None:
        """Nothing to close."""


class Busy(Hosted):
    """Refuses the first call with a 429 that asks for no wait."""

    refused = False

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        if not self.refused:
            self.refused = True
            raise RateLimitedError(model="openai:gpt-5-mini", problem="slow", retry_after_s=0.001)
        return await super().complete(request, on_text)


def number(span: ReadableSpan) -> int:
    found = attributes(span)["agentflow.step.number"]
    assert isinstance(found, int)
    return found


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def everything(spans: Collected) -> list[str]:
    """Return all that a backend gets to see, apart from the resource."""
    return [json.dumps(json.loads(span.to_json()), sort_keys=True) for span in spans.spans.values()]


def exported(record: RunRecord, *, content: bool = False) -> Collected:
    collected = Collected()
    export_run(record, collected.provider, content=content)
    return collected


@tool
def upper(text: str) -> str:
    """Shout."""
    return text.upper()


@flow
async def shout(text: str) -> str:
    reply = await generate(f"say {text}", temperature=0.5, max_tokens=9, seed=7, stop=("END",))
    return await upper(reply.text)


@flow
async def report(topic: str) -> list[str]:
    note("secret remark", secret="detail")
    return await parallel(shout(f"{topic} {part}") for part in ("one", "two"))


@flow
async def asks(question: str) -> str:
    return (await generate(question, tools=[upper])).text


def echo(price: Price | None = None) -> Scripted:
    return Scripted(lambda prompt: prompt.removeprefix("say "), price=price)


async def test_spans_form_the_tree_of_the_steps_with_its_times() -> None:
    result = await Runner(model=echo(), journal=":memory:").run_async(report, "tea")
    spans = exported(result.record)
    assert len(spans.spans) == len(result.record.steps) == 7
    for step in result.record.steps.values():
        span = spans[step.number]
        parent = None if step.parent is None else spans[step.parent].context
        assert span.parent == parent
        assert f"{span.context.trace_id:032x}" == trace_id_of(result.id)
        assert span.start_time == round(step.started_at * 1e9)
        assert step.ended_at is not None
        assert span.end_time == round(step.ended_at * 1e9)
        assert span.status.status_code is StatusCode.UNSET


async def test_names_and_kinds_are_those_of_the_conventions() -> None:
    reply = Reply(text="hi", model="gpt-5-mini-2025")
    result = await Runner(model=Hosted(reply), journal=":memory:").run_async(shout, "tea")
    spans = exported(result.record).spans
    assert [(span.name, span.kind) for span in spans.values()] == [
        ("invoke_workflow shout", SpanKind.INTERNAL),
        ("chat gpt-5-mini", SpanKind.CLIENT),
        ("execute_tool upper", SpanKind.INTERNAL),
    ]


async def test_a_model_step_says_what_was_asked_and_what_it_took() -> None:
    usage = Usage(input_tokens=100, output_tokens=5, cached_tokens=60)
    reply = Reply(text="hi", usage=usage, finish="length", model="gpt-5-mini-2025", cost_usd=0.25)
    result = await Runner(model=Hosted(reply), journal=":memory:").run_async(shout, "tea")
    found = attributes(exported(result.record)[2])
    assert found == found | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": "gpt-5-mini-2025",
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "agentflow.cost_usd": 0.25,
        "agentflow.run.id": result.id,
        "agentflow.step.key": result.record.steps[2].key.hex(),
        "agentflow.step.kind": "model",
        "agentflow.step.attempts": 1,
    }


async def test_a_model_in_this_process_is_no_remote_call() -> None:
    model = Hosted(Reply(text="hi"), provider="gguf")
    result = await Runner(model=model, journal=":memory:").run_async(asks, "why")
    assert exported(result.record)[2].kind is SpanKind.INTERNAL


async def test_an_unknown_price_is_left_out() -> None:
    result = await Runner(model=echo(), journal=":memory:").run_async(asks, "why")
    assert "agentflow.cost_usd" not in attributes(exported(result.record)[2])


async def test_a_live_run_gives_the_spans_that_the_journal_gives_later(journal: str) -> None:
    live = Collected()
    runner = Runner(model=echo(), journal=journal, on_event=SpanListener(live.provider))
    result = await runner.run_async(report, "tea")
    with Journal(journal) as opened:
        later = exported(opened.run(result.id))
    assert everything(live) == everything(later)


async def test_one_listener_tells_runs_at_the_same_time_apart() -> None:
    live = Collected()
    runner = Runner(model=echo(), journal=":memory:", on_event=SpanListener(live.provider))
    ids: list[str] = []

    async def one(topic: str) -> None:
        ids.append((await runner.run_async(asks, topic)).id)

    async with anyio.create_task_group() as group:
        group.start_soon(one, "tea")
        group.start_soon(one, "rice")
    ended = live._exporter.get_finished_spans()
    traces = {f"{span.context.trace_id:032x}" for span in ended}
    assert traces == {trace_id_of(run) for run in ids}
    assert len(ended) == 4


async def test_exporting_twice_repeats_the_same_ids() -> None:
    result = await Runner(model=echo(), journal=":memory:").run_async(report, "tea")
    assert everything(exported(result.record)) == everything(exported(result.record))


async def test_two_runs_of_one_flow_share_no_id() -> None:
    runner = Runner(model=echo(), journal=":memory:")
    first, second = [exported((await runner.run_async(asks, "why")).record) for _ in range(2)]
    assert first[1].context.trace_id != second[1].context.trace_id
    assert first[1].context.span_id != second[1].context.span_id


async def test_a_resumed_run_is_one_trace_in_which_reused_results_cost_nothing(
    journal: str,
) -> None:
    healthy = False

    @flow
    async def fragile(question: str) -> str:
        reply = await generate(question)
        if not healthy:
            raise RuntimeError("not yet")
        return reply.text

    live = Collected()
    runner = Runner(model=echo(), journal=journal, on_event=SpanListener(live.provider))
    with pytest.raises(RuntimeError):
        await runner.run_as("abcd", fragile, "why")
    healthy = True
    result = await runner.resume(fragile, "abcd")
    later = exported(result.record)
    assert everything(live) == everything(later)
    assert {f"{span.context.trace_id:032x}" for span in later.spans.values()} == {
        trace_id_of("abcd")
    }
    first, again = attributes(later[2]), attributes(later[4])
    assert first["agentflow.step.key"] == again["agentflow.step.key"]
    assert again["agentflow.step.origin"] == {"run": "abcd", "step": 2}
    assert "gen_ai.usage.input_tokens" in first
    assert "gen_ai.usage.input_tokens" not in again


async def test_steps_that_feed_a_step_are_its_links() -> None:
    @flow
    async def fed(text: str) -> str:
        branches = Branches()
        with branches.enter("a"):
            first = await upper(text)
        with branches.enter("b", fed_by=("a",)):
            return await upper(first)

    result = await Runner(journal=":memory:").run_async(fed, "x")
    spans = exported(result.record)
    assert result.record.steps[3].links == (2,)
    assert [link.context for link in spans[3].links] == [spans[2].context]


async def test_retries_are_span_events() -> None:
    model = Busy(Reply(text="hi"), retries=1)
    result = await Runner(model=model, journal=":memory:").run_async(asks, "why")
    span = exported(result.record)[2]
    (retry,) = span.events
    assert retry.name == "agentflow.retry"
    assert dict(retry.attributes or {})["agentflow.retry.attempt"] == 1
    assert attributes(span)["agentflow.step.attempts"] == 2


async def test_a_failed_step_has_its_error_and_so_have_those_above_it(journal: str) -> None:
    @tool
    def broken(text: str) -> str:
        """Fail."""
        raise ValueError(f"secret {text}")

    @flow
    async def outer(text: str) -> str:
        return await broken(text)

    with pytest.raises(Exception, match="secret"):
        await Runner(journal=journal).run_async(outer, "x")
    with Journal(journal) as opened:
        record = opened.run("last")
    for span in exported(record).spans.values():
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"] == record.steps[number(span)].failure.name  # type: ignore[union-attr]
        assert "secret" not in span.to_json()
    told = exported(record, content=True)[2]
    assert "secret x" in str(told.status.description)
    assert [event.name for event in told.events] == ["exception"]


async def test_a_step_the_budget_refused_was_never_asked(journal: str) -> None:
    runner = Runner(model=echo(), journal=journal, budget=Budget(steps=1))
    with pytest.raises(BudgetExceededError):
        await runner.run_async(asks, "why")
    with Journal(journal) as opened:
        found = attributes(exported(opened.run("last"))[2])
    assert found["error.type"] == "BudgetExceededError"
    assert found["agentflow.step.status"] == "refused"
    assert "gen_ai.response.finish_reasons" not in found


async def test_a_step_cut_by_its_sibling_is_an_error_that_says_so(journal: str) -> None:
    started = anyio.Event()

    @flow
    async def waits() -> str:
        started.set()
        await anyio.sleep_forever()
        return ""

    @flow
    async def fails() -> str:
        await started.wait()
        raise RuntimeError("no")

    @flow
    async def both() -> list[str]:
        return await parallel([waits(), fails()])

    with pytest.raises(RuntimeError):
        await Runner(journal=journal).run_async(both)
    with Journal(journal) as opened:
        spans = exported(opened.run("last")).spans.values()
    (cut,) = [span for span in spans if attributes(span)["agentflow.step.status"] == "cancelled"]
    assert cut.status.status_code is StatusCode.ERROR
    assert "sibling" in str(cut.status.description)


async def test_steps_under_way_when_the_process_died_end_as_cut_short(journal: str) -> None:
    live = Collected()
    runner = Runner(model=echo(), journal=journal, on_event=SpanListener(live.provider))
    await runner.run_async(shout, "tea")
    with Journal(journal) as opened:
        run, events = opened.run("last").id, opened.events("last")
    died = next(i for i, event in enumerate(events) if getattr(event, "step", None) == 3)
    assert isinstance(events[died], StepStarted)
    spans = exported(RunRecord.of(run, events[: died + 1]))
    for step in (1, 3):
        assert attributes(spans[step])["error.type"] == "interrupted"
        assert spans[step].status.status_code is StatusCode.ERROR
        assert "cut short" in str(spans[step].status.description)
        assert spans[step].end_time == round(events[died].at * 1e9)
        assert spans[step].context == live[step].context
    assert spans[2].status.status_code is StatusCode.UNSET


async def test_content_stays_home_unless_asked_for() -> None:
    model = Scripted(lambda _prompt: "secret reply")
    result = await Runner(model=model, journal=":memory:").run_async(report, "secret topic")
    quiet, told = exported(result.record), exported(result.record, content=True)
    assert not any("secret" in span for span in everything(quiet))
    assert all("secret" in span.lower() for span in everything(told))


async def test_content_follows_the_schemas_of_the_conventions() -> None:
    @flow
    async def talk() -> str:
        history = (
            Message(role="user", text="shout hi"),
            Message(
                role="assistant",
                tool_calls=(ToolCall(id="c1", name="upper", arguments={"text": "hi"}),),
            ),
            Message(role="tool", text="HI", tool_call_id="c1"),
        )
        return (await generate(history, system="be brief", tools=[upper])).text

    reply = Reply(
        tool_calls=(ToolCall(id="c2", name="upper", arguments={"text": "x"}),), finish="tool_calls"
    )
    result = await Runner(model=Hosted(reply), journal=":memory:").run_async(talk)
    sent = json.loads(exported(result.record, content=True)[2].to_json())["attributes"]
    assert sent["gen_ai.input.messages"] == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "shout hi"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "c1", "name": "upper", "arguments": {"text": "hi"}}
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "HI"}]},
    ]
    assert sent["gen_ai.tool.definitions"] == [{"type": "function", "name": "upper"}]
    assert sent["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "c2", "name": "upper", "arguments": {"text": "x"}}
            ],
            "finish_reason": "tool_call",
        }
    ]


async def test_a_run_sampled_out_gives_no_span() -> None:
    live = Collected(sampler=ALWAYS_OFF)
    runner = Runner(model=echo(), journal=":memory:", on_event=SpanListener(live.provider))
    await runner.run_async(report, "tea")
    assert live.spans == {}


async def test_other_spans_of_the_same_provider_keep_ids_of_their_own() -> None:
    live = Collected()
    runner = Runner(model=echo(), journal=":memory:", on_event=SpanListener(live.provider))
    result = await runner.run_async(asks, "why")
    spans = [live.provider.get_tracer(scope).start_span("mine") for scope in ("agentflow", "x")]
    ids = {f"{span.get_span_context().trace_id:032x}" for span in spans}
    assert len(ids | {trace_id_of(result.id)}) == 3


async def test_a_listener_outside_a_run_says_what_it_needs() -> None:
    event = StepStarted(
        number=2, at=1.0, step=1, key=b"k", parent=None, name="f", kind="flow", input=b"{}"
    )
    with pytest.raises(ValueError, match=r"SpanListener\(provider, run=\.\.\.\)"):
        SpanListener(Collected().provider)(event)
    SpanListener(Collected().provider, run="abcd")(event)


def test_without_the_packages_the_error_names_the_command() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from agentflow.errors import MissingExtraError\n"
        "try:\n    import agentflow.interop.telemetry\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'agentflow[otel]'" in done.stdout
