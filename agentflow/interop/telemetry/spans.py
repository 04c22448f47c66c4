"""Runs as traces: the spans of a run, live or from the journal.

Owns the life of spans and their ids. Live and later are one way: events are folded into a
`RunRecord`, and a span is made from a `StepRecord` alone, so both give the same spans. Ids follow
from the run and the step; a run that was stopped and resumed is one trace with a root span for
each attempt, and exporting a run again repeats its spans instead of adding others.
"""

import hashlib
from contextvars import ContextVar
from importlib.metadata import version

from agentflow.engine.lineage import FRAME
from agentflow.errors import MissingExtraError
from agentflow.interop.telemetry.attributes import (
    end_attributes,
    error_type,
    moments,
    opening,
    problem,
)
from agentflow.journal.events import (
    Event,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    TextStreamed,
)
from agentflow.journal.records import RunRecord, StepRecord

try:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Tracer, TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import (
        Link,
        NonRecordingSpan,
        Span,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        set_span_in_context,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError(feature="OpenTelemetry", extra="otel") from error

SCOPE = "agentflow"


def trace_id_of(run: str) -> str:
    """Return the id of the trace of a run, 32 hexadecimal digits as trace viewers show it."""
    return f"{_trace_id(run):032x}"


def export_run(record: RunRecord, provider: TracerProvider, *, content: bool = False) -> None:
    """Give the spans of a recorded run, with their recorded times, to the processors of `provider`.

    Steps that never ended are closed as cut short. With `content`, prompts, replies, arguments,
    results and error messages go along. A batching processor drops what its queue cannot hold;
    `send_run` has no such limit.
    """
    trace = _Trace(record, provider, content=content)
    for _number, step in sorted(record.steps.items()):
        trace.begin(step)
    trace.close()


class SpanListener:
    """Starts and ends spans while runs go on: `Runner(on_event=SpanListener(provider))`.

    One listener serves any number of runs at once. `run` is only needed where events are handed
    in from outside a run, such as events read from a journal.
    """

    def __init__(
        self, provider: TracerProvider, *, run: str | None = None, content: bool = False
    ) -> None:
        self._provider, self._run, self._content = provider, run, content
        self._traces: dict[str, _Trace] = {}

    def __call__(self, event: Event) -> None:
        """Take in one more event.

        Raises:
            ValueError: It comes from outside a run, and `run` was not given.
        """
        if isinstance(event, RunStarted | TextStreamed):
            return  # a run is told apart by its first step; streamed text is in the step's output
        run = self._run or _current_run()
        if run not in self._traces:
            self._traces[run] = _Trace(RunRecord(id=run), self._provider, content=self._content)
        trace = self._traces[run]
        trace.record.apply(event)
        match event:
            case StepStarted():
                trace.begin(trace.record.steps[event.step])
            case StepFinished() | StepFailed() | StepCancelled():
                trace.end(trace.record.steps[event.step])
            case RunFinished():
                self._traces.pop(run).close()


class _Trace:
    """The spans of one run."""

    def __init__(self, record: RunRecord, provider: TracerProvider, *, content: bool) -> None:
        self.record = record
        self._tracer = provider.get_tracer(SCOPE, version("agentflow"))
        if isinstance(self._tracer, Tracer):  # it is none where OTEL_SDK_DISABLED is set
            _GivenIds.install(self._tracer)
        self._content = content
        self._open: dict[int, Span] = {}
        self._contexts: dict[int, SpanContext] = {}

    def begin(self, step: StepRecord) -> None:
        """Start the span of a step, below its parent's and linked to those that fed it."""
        start = opening(self.record.id, step, content=self._content)
        parent = None if step.parent is None else self._contexts.get(step.parent)
        above = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent))
        ids = _trace_id(self.record.id), _span_id(self.record.id, step)
        token = _IDS.set(ids)
        try:
            span = self._tracer.start_span(
                start.name,
                context=above,
                kind=SpanKind.CLIENT if start.remote else SpanKind.INTERNAL,
                attributes=start.attributes,
                links=[Link(self._contexts[n]) for n in step.links if n in self._contexts],
                start_time=_nanoseconds(step.started_at),
            )
        finally:
            _IDS.reset(token)
        self._open[step.number] = span
        self._contexts[step.number] = span.get_span_context()

    def end(self, step: StepRecord) -> None:
        """End the span of a step as the record says; one that never ended is closed as cut short."""
        span = self._open.pop(step.number)
        for name, at, attributes in moments(step, content=self._content):
            span.add_event(name, attributes, _nanoseconds(at))
        span.set_attributes(end_attributes(step, content=self._content))
        if error_type(step) is not None:
            span.set_status(Status(StatusCode.ERROR, problem(step, content=self._content)))
        last = _last_moment(step) if step.ended_at is None else step.ended_at
        span.end(_nanoseconds(max(last, step.started_at)))

    def close(self) -> None:
        """End every span that is open, children first."""
        for number in sorted(self._open, reverse=True):
            self.end(self.record.steps[number])


_IDS: ContextVar[tuple[int, int] | None] = ContextVar("agentflow_span_ids", default=None)


class _GivenIds(IdGenerator):
    """Ids that were decided beforehand; where none were, those of the provider's own generator."""

    def __init__(self, others: IdGenerator) -> None:
        self._others = others

    @classmethod
    def install(cls, tracer: Tracer) -> None:
        """Have `tracer` ask here; a provider hands out the same tracer again and again."""
        if not isinstance(tracer.id_generator, cls):
            tracer.id_generator = cls(tracer.id_generator)

    def generate_trace_id(self) -> int:
        given = _IDS.get()
        return self._others.generate_trace_id() if given is None else given[0]

    def generate_span_id(self) -> int:
        given = _IDS.get()
        return self._others.generate_span_id() if given is None else given[1]

    def is_trace_id_random(self) -> bool:
        """Return whether samplers may count on the bits; those of a hash are as good as random."""
        return _IDS.get() is not None or self._others.is_trace_id_random()


def _trace_id(run: str) -> int:
    return _hashed(b"trace", run.encode("utf-8", "replace"), size_bytes=16)


def _span_id(run: str, step: StepRecord) -> int:
    """Return the id of a step's span; a resumed run has a step's key twice, but never its number."""
    where = f"{run}\0{step.number}\0".encode("utf-8", "replace")
    return _hashed(b"span", where + step.key, size_bytes=8)


def _hashed(purpose: bytes, data: bytes, *, size_bytes: int) -> int:
    digest = hashlib.blake2b(data, digest_size=size_bytes, person=b"agentflow " + purpose)
    return int.from_bytes(digest.digest(), "big") or 1  # zero is no valid id


def _last_moment(step: StepRecord) -> float:
    """Return the last time anything is known of a step or what is below it."""
    return max(
        moment
        for below in step.walk()
        for moment in (
            below.started_at,
            below.ended_at or below.started_at,
            *(event.at for event in (*below.notes, *below.expansions)),
        )
    )


def _nanoseconds(at: float) -> int:
    return round(at * 1e9)


def _current_run() -> str:
    frame = FRAME.get(None)
    if frame is None:
        raise ValueError("this event comes from outside a run: SpanListener(provider, run=...)")
    return frame.run.id
