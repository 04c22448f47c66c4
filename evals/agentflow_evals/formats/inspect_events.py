"""What happened in one run, as the events and messages of an Inspect sample.

Owns the mapping from steps to events: a flow is a span, a model call a `model` event, a tool, a program and
a question to a person are `tool` events. What a step recorded is taken as it is: the journal has redacted it.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from agentflow.data import to_json
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.models.protocol import Message, Reply, Request, ToolSpec, Usage

Json = dict[str, Any]
STOPS = {
    "stop": "stop",
    "length": "max_tokens",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
}


def events_of(record: RunRecord) -> list[Json]:
    """Return the events of a run in the order of time."""
    found = sorted(_events(record), key=lambda item: item[0])  # stable: a parent before its child
    return [event for _, event in found]


def conversation(record: RunRecord | None, task: str, answer: str) -> list[Json]:
    """Return the messages of the longest exchange with a model, or task and answer if there was none."""
    chosen: list[Json] = []
    for step in record.steps.values() if record is not None else ():
        if step.kind == "model" and step.output is not None and not _in_check(record, step):
            request, reply = _request(step), Reply.model_validate_json(step.output)
            turns = [*(message(turn) for turn in request.messages), assistant(reply)]
            chosen = turns if len(turns) >= len(chosen) else chosen
    return chosen or [
        {"role": "user", "content": task},
        {"role": "assistant", "content": answer},
    ]


def model_output(model: str, reply: Reply) -> Json:
    """Return a reply in Inspect's form."""
    choice = {"message": assistant(reply), "stop_reason": STOPS[reply.finish]}
    return {
        "model": model,
        "choices": [choice],
        "completion": reply.text,
        "usage": usage_of(reply.usage, reply.cost_usd),
    }


def usage_of(usage: Usage, cost_usd: float | None) -> Json:
    """Return tokens in Inspect's form: what came from a cache is not among the input."""
    found: Json = {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_cache_read": usage.cached_tokens,
    }
    return found if cost_usd is None else {**found, "total_cost": cost_usd}


def message(turn: Message) -> Json:
    """Return one turn in Inspect's form."""
    found: Json = {"role": turn.role, "content": turn.text}
    if turn.tool_calls:
        found["tool_calls"] = _calls(turn)
    if turn.tool_call_id is not None:
        found["tool_call_id"] = turn.tool_call_id
    return found


def assistant(reply: Reply) -> Json:
    """Return a reply as a turn in Inspect's form."""
    turn = Message(role="assistant", text=reply.text, tool_calls=reply.tool_calls)
    return {**message(turn), "source": "generate"}


def moment(at: float) -> str:
    """Return a time, given in Unix seconds, as Inspect writes it."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat()


def _events(record: RunRecord) -> Iterator[tuple[float, Json]]:
    pending: list[tuple[StepRecord, bool]] = [
        (step, False) for step in reversed(record.steps.values()) if step.parent is None
    ]
    while pending:  # not recursive: how deep a run goes is the model's choice
        step, is_over = pending.pop()
        if step.kind != "flow":
            yield step.started_at, _leaf(record, step)
        elif is_over:
            at = step.started_at if step.ended_at is None else step.ended_at
            yield at, _event(record, step, at, {"event": "span_end", "id": _span(step)})
            continue
        else:
            yield step.started_at, _begin(record, step)
            pending.append((step, True))
        pending.extend((child, False) for child in reversed(step.children))


def _begin(record: RunRecord, step: StepRecord) -> Json:
    begin = {"event": "span_begin", "id": _span(step), "name": step.name, "type": "flow"}
    if step.parent is not None:
        begin["parent_id"] = str(step.parent)
    return _event(record, step, step.started_at, begin)


def _leaf(record: RunRecord, step: StepRecord) -> Json:
    body = _model_call(step) if step.kind == "model" else _tool_call(step)
    if step.ended_at is not None:
        body["completed"] = moment(step.ended_at)
        body["working_time"] = max(step.ended_at - step.started_at, 0.0)
    event = _event(record, step, step.started_at, body)
    return event if step.parent is None else {**event, "span_id": str(step.parent)}


def _event(record: RunRecord, step: StepRecord, at: float, body: Json) -> Json:
    return {
        "uuid": f"{record.id}.{step.number}.{body['event']}",
        "span_id": _span(step),
        "timestamp": moment(at),
        "working_start": max(at - record.started_at, 0.0),
        **body,
    }


def _span(step: StepRecord) -> str:
    return str(step.number)


def _model_call(step: StepRecord) -> Json:
    request = _request(step)
    model = str(step.details.get("model", "")).replace(":", "/", 1)
    found: Json = {
        "event": "model",
        "model": model,
        "input": [message(turn) for turn in request.messages],
        "tools": [_tool(tool) for tool in request.tools],
        "tool_choice": "auto",
        "config": _config(request),
        "output": {"model": model, "choices": [], "completion": ""},
    }
    if step.output is not None:
        found["output"] = model_output(model, Reply.model_validate_json(step.output))
    if step.failure is not None:
        found["error"] = f"{step.failure.name}: {step.failure.message}"
    if "origin" in step.details:
        found["cache"] = "read"
    return found


def _tool_call(step: StepRecord) -> Json:
    given = json.loads(step.input)
    output = "" if step.output is None else step.output.decode("utf-8", "replace")
    found: Json = {
        "event": "tool",
        "id": f"step-{step.number}",
        "function": step.name,
        "arguments": given if isinstance(given, dict) else {"input": given},
        "result": output,
    }
    if step.failure is not None:
        text = f"{step.failure.name}: {step.failure.message}"
        found["error"] = {"type": "unknown", "message": text}
    return found


def _request(step: StepRecord) -> Request:
    return Request.model_validate(json.loads(step.input)["request"])


def _config(request: Request) -> Json:
    found = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "stop_seqs": list(request.stop) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _tool(tool: ToolSpec) -> Json:
    """Return a tool in Inspect's form, which knows less of JSON schemas: type and description."""
    kept: Json = {}
    for name, schema in (tool.parameters.get("properties") or {}).items():
        known = schema if isinstance(schema, dict) else {}
        text = {key: known[key] for key in ("type", "description") if type(known.get(key)) is str}
        kept[name] = text
    required = [str(name) for name in tool.parameters.get("required") or () if name in kept]
    parameters = {"type": "object", "properties": kept, "required": required}
    return {"name": tool.name, "description": tool.description, "parameters": parameters}


def _calls(turn: Message) -> list[Json]:
    return [
        {
            "id": call.id,
            "function": call.name,
            "arguments": json.loads(to_json(call.arguments)),
            "type": "function",
        }
        for call in turn.tool_calls
    ]


def _in_check(record: RunRecord | None, step: StepRecord) -> bool:
    """Return whether a step belongs to a check: a judge's words are not the planner's."""
    parent = step.parent
    while record is not None and parent is not None:
        above = record.steps[parent]
        if above.name == "check" and above.parent is not None and _is_root(record, above.parent):
            return True
        parent = above.parent
    return False


def _is_root(record: RunRecord, number: int) -> bool:
    return record.steps[number].parent is None
