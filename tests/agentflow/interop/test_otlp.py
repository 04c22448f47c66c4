"""`agentflow trace` against a real collector on 127.0.0.1 that decodes what it gets."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agentflow import Runner, flow, tool
from agentflow.errors import CollectorError
from agentflow.interop.telemetry import send_run, trace_id_of
from agentflow.journal.events import StepFinished, StepStarted
from agentflow.journal.records import RunRecord
from tests import warm

COMMAND = (
    "import warnings\n"
    "warnings.simplefilter('error')\n"
    "from agentflow.cli import main\n"
    "main.COMMANDS.setdefault('trace', 'Send one recorded run to an OpenTelemetry collector.')\n"
    "main.main()\n"
)


class Collector:
    """An OTLP/HTTP collector that keeps the spans it was sent, or answers with a failure."""

    def __init__(self, status: int = 200) -> None:
        self.paths: list[str] = []
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.append(self.path)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_parts: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def value(found: AnyValue) -> Any:
    """Return a decoded attribute as plain data."""
    match found.WhichOneof("value"):
        case "array_value":
            return [value(item) for item in found.array_value.values]
        case "kvlist_value":
            return {item.key: value(item.value) for item in found.kvlist_value.values}
        case None:
            return None
        case kind:
            return getattr(found, kind)


def attributes(span: Span) -> dict[str, Any]:
    return {item.key: value(item.value) for item in span.attributes}


@tool
def upper(text: str) -> str:
    """Shout."""
    return text.upper()


@flow
async def shout(texts: list[str]) -> list[str]:
    return [await upper(text) for text in texts]


@pytest.fixture
def recorded(journal: str) -> tuple[str, str]:
    """A journal with one run in it, and the run's id."""
    return journal, Runner(journal=journal).run(shout, ["secret", "tea"]).id


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def trace(journal: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    environment = inherited | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"} | environment
    return warm.run("-c", COMMAND, "trace", *arguments, "-j", journal, env=environment)


def test_the_command_sends_every_step_of_a_run(recorded: tuple[str, str]) -> None:
    journal, run = recorded
    with Collector() as collector:
        done = trace(journal, "last", "--endpoint", collector.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"run {run} sent: 3 spans, trace {trace_id_of(run)}\n"
    assert collector.paths == ["/v1/traces"]
    assert {span.trace_id.hex() for span in collector.spans} == {trace_id_of(run)}
    by_name = {span.name: span for span in collector.spans}
    root, leaf = by_name["invoke_workflow shout"], by_name["execute_tool upper"]
    assert (root.parent_span_id, leaf.parent_span_id) == (b"", root.span_id)
    assert "secret" not in str(collector.requests)
    (resource,) = collector.requests[0].resource_spans
    names = {item.key: value(item.value) for item in resource.resource.attributes}
    assert names["service.name"] == "agentflow"


def test_the_standard_environment_variables_hold_without_an_endpoint(
    recorded: tuple[str, str],
) -> None:
    with Collector() as collector:
        done = trace(
            recorded[0],
            "last",
            "--content",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"{collector.url}/base",
            OTEL_SERVICE_NAME="shop",
            OTEL_TRACES_SAMPLER="always_off",
        )
    assert done.returncode == 0, done.stderr
    assert collector.paths == ["/base/v1/traces"]
    arguments = [attributes(span).get("gen_ai.tool.call.arguments") for span in collector.spans]
    assert {"text": "secret"} in arguments
    assert "shop" in str(collector.requests[0].resource_spans[0].resource)


def test_a_collector_that_refuses_is_one_clear_line(recorded: tuple[str, str]) -> None:
    with Collector(503) as collector:
        done = trace(recorded[0], "last", "--endpoint", collector.url)
    assert done.returncode == 1
    problem = "answers 503 Service Unavailable"
    assert done.stderr == f"Error: collector {collector.url}/v1/traces: {problem}\n"
    assert done.stdout == ""


def test_a_collector_that_is_not_there_is_one_clear_line(
    recorded: tuple[str, str], nowhere: str
) -> None:
    done = trace(recorded[0], "last", "--endpoint", nowhere)
    assert done.returncode == 1
    problem = "cannot be reached; is it running?"
    assert done.stderr == f"Error: collector {nowhere}/v1/traces: {problem}\n"


def test_a_password_in_the_address_is_not_repeated(recorded: tuple[str, str], nowhere: str) -> None:
    secret = nowhere.replace("//", "//me:hunter2@") + "/v1/traces?token=hunter3"
    for done in (
        trace(recorded[0], "last", "--endpoint", secret),
        trace(recorded[0], "last", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=secret),
    ):
        assert done.returncode == 1
        assert "cannot be reached" in done.stderr
        assert "hunter" not in done.stderr


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://x", "http://", "nonsense"])
def test_what_is_no_address_is_refused_before_anything_is_sent(
    recorded: tuple[str, str], endpoint: str
) -> None:
    done = trace(recorded[0], "last", "--endpoint", endpoint)
    assert done.returncode == 2
    assert "is no address such as http://localhost:4318" in done.stderr


def test_a_useless_address_in_the_environment_is_one_clear_line(
    recorded: tuple[str, str],
) -> None:
    done = trace(recorded[0], "last", OTEL_EXPORTER_OTLP_ENDPOINT="nonsense")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: collector of OTEL_EXPORTER_OTLP_ENDPOINT: ")
    assert done.stderr.count("\n") == 1


def test_a_disabled_sdk_is_said(recorded: tuple[str, str]) -> None:
    done = trace(recorded[0], "last", OTEL_SDK_DISABLED="true")
    assert done.returncode == 1
    assert "OTEL_SDK_DISABLED is set" in done.stderr


def test_an_unknown_run_is_one_clear_line(recorded: tuple[str, str]) -> None:
    done = trace(recorded[0], "nope")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


DEEP = "[" * 150 + "]" * 150
HOSTILE = {
    "lone surrogate": (json.dumps({"a": "\ud800"}), {"a": "?"}),
    "huge number": (json.dumps({"a": 10**40}), {"a": str(10**40)}),
    "number past the reader": ("9" * 5000, "9" * 5000),
    "deep": (f'{{"a":{DEEP}}}', None),
    "too deep to read": ("[" * 100_000, "[" * 100_000),
    "empty key": (json.dumps({"": 1}), {'""': 1}),
    "control characters": (json.dumps({"a": "\x1b[2J\x00"}), {"a": "\x1b[2J\x00"}),
    "no json": ("\xff{", "\ufffd{"),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", ["tool", "model", "flow"])
def test_hostile_data_reaches_the_collector_as_data(
    text: str, expected: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    data = text.encode("latin-1")
    started = StepStarted(
        number=1,
        at=1.0,
        step=1,
        key=b"k",
        parent=None,
        name="bad\ud800\n\x1b[2Jname",
        kind=kind,
        input=data,
        details={"parameters": {"seed": 10**40}, "version": "\ud800"},
    )
    record = RunRecord.of("run", [started, StepFinished(number=2, at=2.0, step=1, output=data)])
    with Collector() as collector:
        assert send_run(record, endpoint=collector.url, content=True) == 1
    (span,) = collector.spans
    assert "\n" not in span.name
    assert "\x1b" not in span.name
    assert caplog.messages == []  # the exporter drops what it cannot encode, and logs that
    found = attributes(span)
    assert found["agentflow.flow.version"] == "?"
    if kind == "tool":
        arguments = found["gen_ai.tool.call.arguments"]
        assert arguments == found["gen_ai.tool.call.result"]
        assert expected in (None, arguments)


def test_a_long_run_goes_in_several_requests_and_arrives_whole(journal: str) -> None:
    record = Runner(journal=journal).run(shout, ["tea"] * 150).record
    with Collector() as collector:
        assert send_run(record, endpoint=collector.url) == 151
    assert len(collector.requests) > 1
    assert len({span.span_id for span in collector.spans}) == 151


def test_an_error_of_the_collector_stops_the_sending(journal: str) -> None:
    record = Runner(journal=journal).run(shout, ["tea"] * 150).record
    with Collector(400) as collector, pytest.raises(CollectorError, match="answers 400"):
        send_run(record, endpoint=collector.url)
    assert len(collector.requests) == 1
