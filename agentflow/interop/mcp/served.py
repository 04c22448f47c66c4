"""A flow as clients of ours see it: a tool with a name, words and a schema.

Owns what is told of a flow and how its answer is told. Knows neither the protocol nor the journal.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentflow.data import encode
from agentflow.flows import Flow
from agentflow.runner import Runner

KEY_ARGUMENT = "idempotency_key"
MAX_KEY_CHARS = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_KEY_SCHEMA = {
    "type": "string",
    "maxLength": MAX_KEY_CHARS,
    "description": "Calls with one key are one run: sent again, it goes on or gives its answer.",
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """A flow to serve.

    `schema` is of an object. `bind` gives the flow's arguments for a call's; it raises `InputError`.
    `answer` gives a flow's result as data of an object and as text.
    """

    name: str
    description: str
    schema: dict[str, Any]
    flow: Flow[..., Any]
    runner: Runner
    bind: Callable[[Mapping[str, Any]], dict[str, Any]]
    answer: Callable[[Any], tuple[dict[str, Any], str]] = field(default=lambda value: told(value))

    @property
    def takes_key(self) -> bool:
        """Whether the key of a call is an argument; not where the flow has one of that name."""
        return KEY_ARGUMENT not in self.schema.get("properties", {})

    def whole_schema(self) -> dict[str, Any]:
        """Return the schema with the key."""
        if not self.takes_key:
            return self.schema
        properties = {**self.schema.get("properties", {}), KEY_ARGUMENT: _KEY_SCHEMA}
        return {**self.schema, "properties": properties}


def served_flow(flow: Flow[..., Any], runner: Runner) -> Served:
    """Return a flow to serve, under its own name and docstring."""
    return Served(
        name=tool_name(flow.name),
        description=flow.__doc__ or f"Run the flow {flow.name}.",
        schema=flow.signature.json_schema(),
        flow=flow,
        runner=runner,
        bind=lambda arguments: flow.signature.bind((), dict(arguments)),
    )


def tool_name(name: str) -> str:
    """Return a name as clients take it."""
    return _NOT_IN_NAMES.sub("_", name)[:64]


def told(value: Any) -> tuple[dict[str, Any], str]:
    """Return a result as an object and as text."""
    data = encode(value)
    text = data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False)
    return data if isinstance(data, dict) else {"result": data}, text


def with_listener(runner: Runner, hear: Callable[[Any], None]) -> Runner:
    """Return the same settings with somebody who hears every event."""
    return replace(runner, on_event=hear)
