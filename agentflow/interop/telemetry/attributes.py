"""What a step is called and says in a trace.

Owns the words: names, kinds and attributes of spans by OpenTelemetry's semantic conventions for
generative AI, and our own under `agentflow.`. Knows no SDK. Prompts, replies, arguments, results
and error messages, which quote them, are content: they are left out unless asked for.

Source: github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai: gen-ai-spans.md,
gen-ai-agent-spans.md, client-inference.md (status: development).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agentflow.interop.telemetry.messages import FINISH, input_messages, output_messages
from agentflow.interop.telemetry.plain import Attribute, decoded, fields, name, parsed, plain
from agentflow.journal.records import StepRecord
from agentflow.models.prices import LOCAL_PROVIDERS

Attributes = dict[str, Attribute]
REQUEST_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
}
STREAMED = frozenset({"anthropic", "openai"})  # our clients of these always read a stream
CUT = "interrupted"
CUT_PROBLEM = "the run was cut short while this step was under way"
CANCELLED = "cancelled"
CANCELLED_PROBLEM = "cut short because a sibling failed or a deadline passed"


def operation(step: StepRecord) -> str | None:
    """Return the convention's name of what a step does; None where it has none that is true.

    The root flow is the workflow; a flow below it may be an agent or a plain function, and the
    record cannot tell.
    """
    if step.kind == "flow":
        return "invoke_workflow" if step.parent is None else None
    return {"model": "chat", "tool": "execute_tool"}.get(step.kind)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What is known of a span when it starts; `remote`: the work is done in another process."""

    name: str
    remote: bool
    attributes: Attributes


def opening(run: str, step: StepRecord, *, content: bool) -> Opening:
    """Return how the span of `step` begins; nothing in it depends on how the step ends."""
    common: Attributes = {
        "agentflow.run.id": run,
        "agentflow.step.number": step.number,
        "agentflow.step.key": step.key.hex(),
        "agentflow.step.kind": step.kind,
        "agentflow.flow.version": plain(step.details.get("version")),
        "gen_ai.operation.name": operation(step),
    }
    subject = _model(step) if step.kind == "model" else _subject(step)
    given = _input(step) if content else {}
    asked = str(subject.get("gen_ai.request.model", "")) if step.kind == "model" else step.name
    return Opening(
        name=f"{operation(step) or ''} {name(asked)}".strip() or step.kind,
        remote=step.kind == "model" and subject["gen_ai.provider.name"] not in LOCAL_PROVIDERS,
        attributes=_present(common | subject | given),
    )


def end_attributes(step: StepRecord, *, content: bool) -> Attributes:
    """Return what is known of a step when it has ended, or when its run was cut short."""
    origin = step.details.get("origin")
    found: Attributes = {
        "agentflow.step.status": CUT if step.status == "running" else step.status,
        "agentflow.step.origin": plain(origin),
        "agentflow.step.attempts": plain(step.details.get("attempts")),
        "error.type": error_type(step),
    }
    if step.kind == "model":
        found |= _reply(step)
        found |= {} if origin else _spent(step)  # a reused result cost nothing this time
    return _present(found | (_output(step) if content else {}))


def error_type(step: StepRecord) -> str | None:
    """Return the class of what went wrong: an error's type name, `cancelled` or `interrupted`."""
    match step.status:
        case "succeeded":
            return None
        case "running":
            return CUT
        case "cancelled":
            return CANCELLED
    return "_OTHER" if step.failure is None else name(step.failure.name)


def problem(step: StepRecord, *, content: bool) -> str | None:
    """Return what went wrong in words; the words of an error are content."""
    if step.status in ("running", "cancelled"):
        return CUT_PROBLEM if step.status == "running" else CANCELLED_PROBLEM
    return str(plain(step.failure.message)) if content and step.failure is not None else None


def moments(step: StepRecord, *, content: bool) -> Iterator[tuple[str, float, Attributes]]:
    """Yield what happened on the way: name, Unix seconds, attributes of each span event."""
    for expansion in step.expansions:
        found: Attributes = {"agentflow.expansion.kind": expansion.kind}
        if content:
            found["agentflow.expansion.content"] = decoded(expansion.content)
        yield "agentflow.expanded", expansion.at, found
    for note in step.notes:
        retry = "retry" in note.details
        found = {
            "agentflow.retry.attempt": plain(note.details.get("retry")),
            "agentflow.retry.wait_s": plain(note.details.get("wait_s")) if retry else None,
        }
        if content:
            found["agentflow.note.text"] = plain(note.text)
            found["agentflow.note.details"] = plain(note.details) if note.details else None
        yield "agentflow.retry" if retry else "agentflow.note", note.at, _present(found)
    if content and step.failure is not None and step.ended_at is not None:
        found = {
            "exception.type": name(step.failure.name),
            "exception.message": plain(step.failure.message),
            "exception.stacktrace": plain(step.failure.trace),
        }
        yield "exception", step.ended_at, found


def _subject(step: StepRecord) -> Attributes:
    """Return the convention's attributes of a step that calls no model."""
    if operation(step) == "invoke_workflow":
        return {"gen_ai.workflow.name": name(step.name)}
    if step.kind == "tool":
        return {
            "gen_ai.tool.name": name(step.name),
            "gen_ai.tool.type": "function",
            "agentflow.tool.effect": plain(step.details.get("effect")),
        }
    return {}


def _model(step: StepRecord) -> Attributes:
    """Return what was asked of a model; the step's details name the model that answered."""
    asked = fields(step.input)
    request = asked.get("request")
    provider, _, model = str(asked.get("model", "")).partition(":")
    wants_json = isinstance(request, dict) and "output_schema" in request
    found: Attributes = {
        "gen_ai.provider.name": name(provider),
        "gen_ai.request.model": name(model),
        "gen_ai.output.type": "json" if wants_json else None,
        "gen_ai.request.stream": True if provider in STREAMED else None,
    }
    parameters = step.details.get("parameters", {})
    for ours, theirs in REQUEST_PARAMETERS.items():
        found[theirs] = None if parameters.get(ours) == [] else plain(parameters.get(ours))
    return found


def _reply(step: StepRecord) -> Attributes:
    if step.status == "refused":
        return {}  # never asked
    if step.status != "succeeded":
        return {"gen_ai.response.finish_reasons": ["error"]}
    reply = fields(step.output)
    finish = str(reply.get("finish", "stop"))
    return {
        "gen_ai.response.model": reply.get("model"),
        "gen_ai.response.finish_reasons": [FINISH.get(finish, finish)],
    }


def _spent(step: StepRecord) -> Attributes:
    if "usage" not in step.details:
        return {}
    usage = step.usage
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
        "agentflow.cost_usd": plain(step.details.get("cost_usd")),
    }


def _input(step: StepRecord) -> Attributes:
    match step.kind:
        case "model":
            return input_messages(step.input)
        case "tool":
            return {"gen_ai.tool.call.arguments": parsed(step.input)}
    return {"agentflow.step.input": decoded(step.input)}


def _output(step: StepRecord) -> Attributes:
    if step.output is None:
        return {}
    match step.kind:
        case "model":
            return output_messages(step.output)
        case "tool":
            return {"gen_ai.tool.call.result": parsed(step.output)}
    return {"agentflow.step.output": decoded(step.output)}


def _present(found: Attributes) -> Attributes:
    return {key: value for key, value in found.items() if value is not None}
