"""Send one recorded run to an OTLP/HTTP collector.

Owns the meeting with the collector: every span is accepted, or a `CollectorError` says why not.
Settings that are not given follow the standard environment variables OTEL_EXPORTER_OTLP_*; the
time that one request may take with its repetitions is OTEL_EXPORTER_OTLP_TIMEOUT, 10 s by default.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from agentflow.errors import CollectorError, MissingExtraError
from agentflow.interop.telemetry.spans import export_run
from agentflow.journal.records import RunRecord

try:
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from requests.adapters import HTTPAdapter
except ModuleNotFoundError as error:
    raise MissingExtraError(feature="OpenTelemetry", extra="otel") from error

TRACES_PATH = "/v1/traces"
BATCH_SPANS = 64  # collectors take 4 to 20 MiB a request, and spans may carry whole prompts


def send_run(record: RunRecord, *, endpoint: str | None = None, content: bool = False) -> int:
    """Send the spans of a run and return how many there were; it sends them whatever is sampled.

    `endpoint` is the collector's address, such as http://localhost:4318. With `content`, prompts,
    replies, arguments, results and error messages go along.

    Raises:
        ValueError: `endpoint` is no http(s) address.
        CollectorError: It could not be reached or refused; what it took before stays there.
    """
    wire = _Wire(endpoint or "of OTEL_EXPORTER_OTLP_ENDPOINT")
    url = None if endpoint is None else traces_url(endpoint)
    spans = _spans_of(record, content=content)
    if record.steps and not spans:
        raise CollectorError(
            endpoint=wire.endpoint, problem="OTEL_SDK_DISABLED is set, so nothing was sent"
        )
    with wire.session() as session:
        exporter = OTLPSpanExporter(url, session=session)
        _send(exporter, spans, wire)
    return len(spans)


def _send(exporter: OTLPSpanExporter, spans: list[ReadableSpan], wire: "_Wire") -> None:
    with _exporter_log() as said:
        for first in range(0, len(spans), BATCH_SPANS):
            sent = exporter.export(spans[first : first + BATCH_SPANS])
            if sent is not SpanExportResult.SUCCESS:
                problem = wire.problem or "; ".join(said[-1:])
                raise CollectorError(endpoint=wire.endpoint, problem=problem)


def traces_url(endpoint: str) -> str:
    """Return the address that takes traces; a collector's bare address stands for its usual path.

    Raises:
        ValueError: It is no http(s) address.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{endpoint!r} is no address such as http://localhost:4318")
    if parts.path in ("", "/"):
        return parts._replace(path=TRACES_PATH).geturl()
    return endpoint


def _spans_of(record: RunRecord, *, content: bool) -> list[ReadableSpan]:
    spans = _Gathered()
    provider = TracerProvider(resource=_resource(), sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(spans)
    export_run(record, provider, content=content)
    return spans.ended


class _Gathered(SpanProcessor):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep one more."""
        self.ended.append(span)


class _Wire(HTTPAdapter):
    """Remembers why the last request failed: the exporter only says that one did."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.endpoint, self.problem = _without_secrets(endpoint), ""

    def session(self) -> requests.Session:
        """Return an HTTP session whose requests pass here."""
        session = requests.Session()
        session.mount("http://", self)
        session.mount("https://", self)
        return session

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send one request and note how it went."""
        self.endpoint, self.problem = _without_secrets(request.url or ""), ""
        try:
            response = super().send(request, **options)
        except requests.RequestException as error:
            self.problem = _reason(error)
            raise
        if not response.ok:
            self.problem = f"answers {response.status_code} {response.reason or ''}".rstrip()
        return response


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time; OTEL_EXPORTER_OTLP_TIMEOUT sets the seconds to wait"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted; OTEL_EXPORTER_OTLP_CERTIFICATE names one that is"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached; is it running?"
    return type(error).__name__


def _resource() -> Resource:
    """Return what the environment says of this process; without a name it is called after us."""
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return found.merge(Resource({SERVICE_NAME: "agentflow"}))
    return found


def _without_secrets(url: str) -> str:
    """Return an address without its user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


class _Said(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one more."""
        self.lines.append(record.getMessage())


@contextmanager
def _exporter_log() -> Iterator[list[str]]:
    """Collect what the exporter logs about a request: it goes into one error, not line by line onto the screen."""
    said = _Said()
    log = logging.getLogger("opentelemetry.exporter")
    log.addHandler(said)
    try:
        yield said.lines
    finally:
        log.removeHandler(said)
