"""Ids for chat messages that are the same on every run.

Owns the id of a message that has none. LangGraph's `add_messages` would give it a random one while it
reduces, and a resumed run would then feed its nodes another state than the recorded one.
"""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from langchain_core.messages import BaseMessage, convert_to_messages
from langgraph.channels import BinaryOperatorAggregate
from langgraph.graph.message import add_messages
from langgraph.types import Overwrite


class MessageIds:
    """The channels of one graph that hold messages."""

    def __init__(self, channels: Mapping[str, Any]) -> None:
        self._channels = {name for name, channel in channels.items() if _adds_messages(channel)}

    def settle(self, channel: str, value: Any, seed: str) -> Any:
        """Return `value`, as written to `channel`, with an id in every message; `seed` names it."""
        if channel in self._channels and value is not None:
            value = _messages(value)
        _number(value, seed)
        return value

    def settle_all(self, state: Any, seed: str) -> Any:
        """Return a whole state with an id in every message."""
        if not isinstance(state, Mapping):
            return self.settle("__root__", state, seed)
        return {name: self.settle(name, value, f"{seed} {name}") for name, value in state.items()}


def _adds_messages(channel: Any) -> bool:
    reducer = getattr(channel, "operator", None)
    if isinstance(reducer, partial):  # made by add_messages(format=...)
        reducer = reducer.func
    known = (add_messages, cast("Any", add_messages)().func)
    return isinstance(channel, BinaryOperatorAggregate) and reducer in known


def _messages(value: Any) -> Any:
    """Return what `add_messages` takes as message objects; it would make these of it itself."""
    if isinstance(value, Overwrite) or (isinstance(value, dict) and "__overwrite__" in value):
        return value
    return convert_to_messages(value if isinstance(value, list) else [value])


def _number(value: Any, seed: str) -> None:
    if isinstance(value, BaseMessage):
        if value.id is None:
            value.id = hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _number(item, f"{seed} {key}")
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            _number(item, f"{seed} {at}")
