"""OpenTelemetry's conventions for generative AI as a judge of decoded spans.

Owns `misfits`. Names, operations, providers and output types are those that the package
opentelemetry-semantic-conventions lists; what it does not list (types of values, what a span must
have, the form of messages) is written down here.

Source: github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai: client-inference.md,
gen-ai-spans.md, gen-ai-agent-spans.md (status: development).
"""

import ast
import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from tests.agentflow.interop.test_otlp import attributes

GONE = ("Deprecated: Removed", "Deprecated: Replaced")


def _known() -> frozenset[str]:
    """Return every attribute that is neither removed nor replaced; the source's remarks say which."""
    body = ast.parse(inspect.getsource(gen_ai_attributes)).body
    names: dict[str, str] = {}
    last = ""
    for line in body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Constant):
            last = str(line.value.value)
            names[last] = ""
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and last:
            names[last] = str(line.value.value).strip()
            last = ""
    return frozenset(name for name, remark in names.items() if not remark.startswith(GONE))


def _values(kind: type[Enum]) -> frozenset[str]:
    return frozenset(str(member.value) for member in kind)


KNOWN = _known()
OPERATIONS = _values(gen_ai_attributes.GenAiOperationNameValues)
PROVIDERS = _values(gen_ai_attributes.GenAiProviderNameValues)
OUTPUT_TYPES = _values(gen_ai_attributes.GenAiOutputTypeValues)
TYPES = {  # of the protocol's fields; what is not here is text
    "gen_ai.request.choice.count": "int_value",
    "gen_ai.request.max_tokens": "int_value",
    "gen_ai.request.seed": "int_value",
    "gen_ai.request.top_k": "int_value",
    "gen_ai.request.frequency_penalty": "double_value",
    "gen_ai.request.presence_penalty": "double_value",
    "gen_ai.request.temperature": "double_value",
    "gen_ai.request.top_p": "double_value",
    "gen_ai.request.stream": "bool_value",
    "gen_ai.request.stop_sequences": "array_value",
    "gen_ai.response.finish_reasons": "array_value",
    "gen_ai.response.time_to_first_chunk": "double_value",
    "gen_ai.usage.cache_read.input_tokens": "int_value",
    "gen_ai.usage.cache_creation.input_tokens": "int_value",
    "gen_ai.usage.input_tokens": "int_value",
    "gen_ai.usage.output_tokens": "int_value",
    "gen_ai.usage.reasoning.output_tokens": "int_value",
    "gen_ai.input.messages": "array_value",
    "gen_ai.output.messages": "array_value",
    "gen_ai.tool.definitions": "array_value",
}
ANY = {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}
REQUIRED = {  # operation: what its span has, and what its name ends in
    "chat": (("gen_ai.provider.name", "gen_ai.request.model"), "gen_ai.request.model"),
    "execute_tool": (("gen_ai.tool.name",), "gen_ai.tool.name"),
    "invoke_workflow": (("gen_ai.workflow.name",), "gen_ai.workflow.name"),
}
KINDS = {"chat": (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)}
FINISH_REASONS = {"stop", "length", "content_filter", "tool_call", "error"}
ROLES = {"system", "user", "assistant", "tool"}
PARTS = {  # what a part of each type has
    "text": ("content",),
    "tool_call": ("name",),
    "tool_call_response": ("response",),
}
TOKENS = ("input_tokens", "cache_read.input_tokens")
OTHERS = ("agentflow.", "error.type")  # ours, and the general conventions'


def misfits(span: Span) -> list[str]:
    """Return what in a span the conventions do not allow, each with the span's name."""
    found = [*_names(span), *_operation(span), *_status(span), *_times(span)]
    told = attributes(span)
    if told.get("gen_ai.operation.name") == "chat":
        found += [*_call(span, told), *_content(told)]
    return [f"{span.name}: {problem}" for problem in found]


def _names(span: Span) -> Iterator[str]:
    keys = [item.key for item in span.attributes]
    if len(keys) != len(set(keys)):
        yield "an attribute is there twice"
    for item in span.attributes:
        if not item.key.startswith("gen_ai."):
            if not item.key.startswith(OTHERS):
                yield f"{item.key} belongs to nobody"
        elif item.key not in KNOWN:
            yield f"{item.key} is no attribute of the conventions"
        else:
            yield from _typed(item.key, item.value)


def _typed(key: str, value: AnyValue) -> Iterator[str]:
    found = value.WhichOneof("value")
    if key not in ANY and found != TYPES.get(key, "string_value"):
        yield f"{key} is a {found}"
    elif key.endswith(("finish_reasons", "stop_sequences")):
        kinds = {item.WhichOneof("value") for item in value.array_value.values}
        if not kinds <= {"string_value"}:
            yield f"{key} holds {kinds}"


def _operation(span: Span) -> Iterator[str]:
    told = attributes(span)
    operation = told.get("gen_ai.operation.name")
    if operation is None:
        strays = sorted(key for key in told if key.startswith("gen_ai."))
        yield from [f"{strays} without an operation"] if strays else []
        return
    if operation not in OPERATIONS or operation not in REQUIRED:
        yield f"operation {operation}"
        return
    required, subject = REQUIRED[operation]
    yield from [f"{key} is missing" for key in required if not told.get(key)]
    if span.name != f"{operation} {told.get(subject, '')}".strip():
        yield "its name does not follow from its operation"
    if span.kind not in KINDS.get(operation, (Span.SPAN_KIND_INTERNAL,)):
        yield f"kind {span.kind}"


def _call(span: Span, told: dict[str, Any]) -> Iterator[str]:
    provider = told.get("gen_ai.provider.name")
    if provider in PROVIDERS and span.kind != Span.SPAN_KIND_CLIENT:
        yield f"{provider} is in another process"
    if provider in ("openai", "anthropic") and told.get("gen_ai.request.stream") is not True:
        yield "the request was streamed"
    if told.get("gen_ai.output.type", "text") not in OUTPUT_TYPES:
        yield f"output type {told['gen_ai.output.type']}"
    reasons = told.get("gen_ai.response.finish_reasons")
    if reasons is None and told.get("agentflow.step.status") != "refused":
        yield "no finish reason: a reply that did not come has `error`"
    if reasons is not None and (len(reasons) != 1 or not set(reasons) <= FINISH_REASONS):
        yield f"finish reasons {reasons}"
    tokens, cached = (told.get(f"gen_ai.usage.{kind}") for kind in TOKENS)
    if isinstance(tokens, int) and isinstance(cached, int) and cached > tokens:
        yield "more tokens from a cache than tokens"
    if (told.get("agentflow.step.origin") is not None) and "gen_ai.usage.input_tokens" in told:
        yield "tokens of a call that was not made"


def _content(told: dict[str, Any]) -> Iterator[str]:
    for key in ("gen_ai.input.messages", "gen_ai.output.messages"):
        for message in told.get(key, []):
            if message.get("role") not in ROLES:
                yield f"{key}: role {message.get('role')}"
            yield from [f"{key}: {problem}" for problem in map(_part, message["parts"]) if problem]
    for tool in told.get("gen_ai.tool.definitions", []):
        if tool.get("type") != "function" or not tool.get("name"):
            yield f"tool definition {tool}"


def _part(part: dict[str, Any]) -> str:
    needed = PARTS.get(part.get("type", ""))
    if needed is None:
        return f"part {part.get('type')}"
    missing = [name for name in needed if part.get(name) is None]
    return f"{part['type']} without {missing}" if missing else ""


def _status(span: Span) -> Iterator[str]:
    told = attributes(span).get("error.type")
    is_error = span.status.code == Status.STATUS_CODE_ERROR
    if is_error != (told is not None):
        yield f"status {span.status.code} with error.type {told}"
    if span.status.code == Status.STATUS_CODE_OK:
        yield "only an application says OK"


def _times(span: Span) -> Iterator[str]:
    moments = [event.time_unix_nano for event in span.events]
    if not span.start_time_unix_nano <= span.end_time_unix_nano:
        yield "it ends before it starts"
    if any(at < span.start_time_unix_nano for at in moments):
        yield "an event before the span"
