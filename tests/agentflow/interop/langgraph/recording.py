"""What nodes do, written down the same way under both engines; and states without what differs."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.config import get_config
from pydantic import BaseModel

Effect = tuple[str, str]
_EFFECTS: ContextVar[list[Effect]] = ContextVar("effects")


def did(what: str) -> None:
    """Record an effect of the node that runs, under its superstep and those of the graphs above it."""
    metadata = get_config()["metadata"]
    graphs = metadata["langgraph_checkpoint_ns"].split("|")[:-1]
    above = "/".join(part.split(":")[0] for part in graphs)
    _EFFECTS.get().append((f"{above}@{metadata['langgraph_step']}", what))


def happened(what: str) -> None:
    """Record an effect of code that knows nothing of LangGraph."""
    _EFFECTS.get().append(("", what))


@contextmanager
def effects() -> Iterator[list[Effect]]:
    """Collect the effects of the body."""
    found: list[Effect] = []
    token = _EFFECTS.set(found)
    try:
        yield found
    finally:
        _EFFECTS.reset(token)


def in_supersteps(found: list[Effect]) -> list[tuple[str, list[str]]]:
    """Group effects by superstep, in order; within one, nodes run side by side in any order."""
    groups: list[tuple[str, list[str]]] = []
    for step, what in found:
        at = next((group for group in groups if group[0] == step), None)
        if at is None:
            groups.append((step, [what]))
        else:
            at[1].append(what)
    return sorted((step, sorted(whats)) for step, whats in groups)


def settled(value: Any) -> Any:
    """Return a state with messages as kind and content: their ids are random in LangGraph."""
    if isinstance(value, BaseMessage):
        calls = [call["name"] for call in getattr(value, "tool_calls", ())]
        return (value.type, value.content, calls)
    if isinstance(value, BaseModel):
        return type(value), settled(
            {name: getattr(value, name) for name in type(value).model_fields}
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), settled(vars(value))
    if isinstance(value, dict):
        return {name: settled(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(settled(item) for item in value)
    return value
