"""A flow as it is offered: its name, what it takes, and how a conversation becomes that.

Owns the way from a request's input to arguments of the flow, typed by the flow's own signature or, for a task file, by
what of the task may be changed; and the way from what a run gave to an answer. Knows no HTTP and no journal.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from agentflow.budget import Budget
from agentflow.data import Data
from agentflow.errors import InputError
from agentflow.flows import Flow
from agentflow.models.protocol import Message, ModelSpec
from agentflow.solving import Named, solve_task
from agentflow.task import Task
from agentflow.tools import Tool

CONVERSATION = "conversation"  # the input of a task that holds what was said before


class TaskChanges(BaseModel):
    """What a request may say of a task; what it leaves out is the task file's."""

    model_config = ConfigDict(extra="forbid", strict=True)

    goal: str | None = Field(default=None, min_length=1)
    inputs: dict[str, Data] = {}
    context: str | None = None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One flow under the name that clients call it by, and the settings of its runs.

    `task` is given where the flow solves the task of a file, and `message_input` names what a chat's last message
    fills; empty is the task's goal, or what the flow's signature says.
    """

    name: str
    flow: Flow[..., Any]
    description: str = ""
    task: Task | None = None
    planner: Named | None = None
    checks: tuple[Named, ...] = ()
    model: ModelSpec | str | None = None
    tools: Mapping[str, Tool[..., Any]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    redact: Sequence[str] = ()
    cache_models: bool = False
    message_input: str = ""
    live: frozenset[str] = frozenset()

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the input."""
        if self.task is None:
            return self.flow.signature.json_schema()
        inputs = {
            "type": "object",
            "description": "Added to the task's own, or in their place.",
            "properties": {name: {} for name in self.task.inputs},
        }
        goal = {"type": "string", "minLength": 1, "default": self.task.goal}
        properties = {"goal": goal, "inputs": inputs, "context": {"type": "string"}}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def arguments(self, given: Any) -> dict[str, Any]:
        """Return validated arguments of the flow.

        Raises:
            InputError: The input does not fit.
        """
        if not isinstance(given, dict):
            problem = f"it must be an object, found {type(given).__name__}"
            raise InputError(step=self.name, problem=problem)
        if self.task is None:
            return self.flow.signature.bind((), given)
        try:
            changes = TaskChanges.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InputError(step=self.name, problem=f"{place}: {first['msg']}") from error
        said = {name: getattr(changes, name) for name in ("goal", "context")}
        changed = {name: value for name, value in said.items() if value is not None}
        changed["inputs"] = self.task.inputs | changes.inputs
        task = self.task.model_copy(update=changed)
        given = {"task": task, "planner": self.planner, "checks": self.checks}
        return self.flow.signature.bind((), given)

    def input_of(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Return the input that a conversation is, whose last message is a user's.

        Raises:
            InputError: The flow takes none, and the last message is no JSON object of what it takes.
        """
        last, before = messages[-1], messages[:-1]
        if self.task is not None:
            return self._as_changes(last.text, before)
        if self.message_input:
            return {self.message_input: last.text}
        for name, kind in self.flow.signature.parameters.items():
            if _holds(kind, Task):
                return {name: _as_task(last.text, before)}
            if _is_messages(kind):
                return {name: [message.model_dump(exclude_defaults=True) for message in messages]}
        text = self._text_parameter
        return self._as_json(last.text) if text is None else {text: last.text}

    def answer(self, output: Any) -> Any:
        """Return the answer in what a run gave, as plain data."""
        if self.task is not None or self.flow is solve_task:
            return output.get("output") if isinstance(output, dict) else output
        if isinstance(output, dict) and output.keys() == {"output"} and self._gives_result:
            return output["output"]
        return output

    def verdicts(self, output: Any) -> list[dict[str, Any]] | None:
        """Return what the task's checks said; None where there are none to say anything."""
        if self.task is None or not self.checks or not isinstance(output, dict):
            return None
        return list(output.get("verdicts", ()))

    @cached_property
    def _text_parameter(self) -> str | None:
        """The one parameter that must be given, or the only one, where it is text."""
        signature = self.flow.signature
        names = signature.required or tuple(signature.parameters)
        is_text = len(names) == 1 and _holds(signature.parameters[names[0]], str)
        return names[0] if is_text else None

    @property
    def _gives_result(self) -> bool:
        returns = self.flow.signature.returns
        return isinstance(returns, type) and returns.__name__ == "Result"

    def _as_changes(self, text: str, before: Sequence[Message]) -> dict[str, Any]:
        changes = _as_task(text, before)
        if not self.message_input:
            assert self.task is not None
            context = "\n\n".join(filter(None, (self.task.context, changes.get("context"))))
            return changes | ({"context": context} if context else {})
        changes.pop("goal")
        return changes | {"inputs": {**changes.get("inputs", {}), self.message_input: text}}

    def _as_json(self, text: str) -> dict[str, Any]:
        try:
            found = from_json(text, allow_inf_nan=False)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        names = ", ".join(self.flow.signature.parameters) or "nothing"
        problem = f"the flow takes {names}: send them as a JSON object in the last message"
        raise InputError(step=self.name, problem=problem)


def shown(answer: Any) -> str:
    """Return an answer as the text of a message."""
    return answer if isinstance(answer, str) else plain(answer).decode()


def plain(value: Any) -> bytes:
    """Return plain Python data as JSON that anybody reads; what JSON lacks becomes text, list or null."""
    return to_json(value, inf_nan_mode="null", bytes_mode="base64", fallback=str)


def _as_task(text: str, before: Sequence[Message]) -> dict[str, Any]:
    task: dict[str, Any] = {"goal": text}
    system = [message.text for message in before if message.role == "system"]
    spoken = [message for message in before if message.role != "system"]
    if system:
        task["context"] = "\n\n".join(system)
    if spoken:
        turns = [{"role": message.role, "text": message.text} for message in spoken]
        task["inputs"] = {CONVERSATION: turns}
    return task


def _holds(kind: Any, wanted: type) -> bool:
    """Return whether an annotation is `wanted`, or that or None, whatever else is said of it."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _holds(typing.get_args(kind)[0], wanted)
    if origin in (typing.Union, types.UnionType):
        kinds = [one for one in typing.get_args(kind) if one is not type(None)]
        return len(kinds) == 1 and _holds(kinds[0], wanted)
    return kind is wanted


def _is_messages(kind: Any) -> bool:
    arguments = typing.get_args(kind)
    is_many = typing.get_origin(kind) in (list, tuple, Sequence)
    return is_many and bool(arguments) and arguments[0] is Message
