"""Runs as OpenTelemetry traces: what this package offers; the extra `otel` has what it needs."""

from agentflow.interop.telemetry.otlp import send_run, traces_url
from agentflow.interop.telemetry.spans import SpanListener, export_run, trace_id_of

__all__ = ["SpanListener", "export_run", "send_run", "trace_id_of", "traces_url"]
