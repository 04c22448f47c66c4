"""Functions nobody has written, as ReCode meets them: at a call, with the arguments at hand.

Owns `Unit` (the call) and `Job` (what is the same all over one tree), and the way from a paused call to
a function node. All calls of a function in one program are calls of one node: its parameters and its
description are read off the program, not off the values of whichever call comes first.
"""

from collections.abc import Collection
from keyword import iskeyword
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agentflow import Placeholder, Unwritten, placeholders
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recoding.replies import assigned_at, comment_above, is_used_at

Stage = Literal["split", "free", "whole"]
Verify = Literal["run", "consensus"]

MAX_SELF_CALLS = 100


class Job(BaseModel):
    """What stays the same all over one tree; see the options of `recode`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: str
    tools: tuple[str, ...]
    repairs: int
    levels: int
    width: int = 20
    verify: Verify = "run"
    samples: int = 5


class Unit(BaseModel):
    """A function nobody has written, and the arguments of one call of it.

    `result` is the JSON schema of what it returns, empty when nothing is known; `is_field` says that
    it gives one field of its caller's result. `origin` is the program that calls it, `held_back` what
    that program was given and did not pass on. `is_used` says that its caller wants a value of it.
    `purpose` is what it is for: its caller's words, else the goal or what its caller is for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: FunctionNode
    arguments: dict[str, Data] = {}
    result: dict[str, Data] = {}
    held_back: dict[str, Data] = {}
    origin: str = ""
    purpose: str = ""
    is_field: bool = False
    is_used: bool = True
    self_calls: int = 0

    @property
    def name(self) -> str:
        """The function's name."""
        return self.node.name

    @property
    def about(self) -> str:
        """What the caller says it returns."""
        return self.node.doc

    @property
    def signature(self) -> str:
        """Name and parameters as a call."""
        return f"{self.name}({', '.join(self.arguments)})"

    @property
    def fields(self) -> dict[str, Any]:
        """The schemas of the result's fields; empty unless it is an object with named ones."""
        found: dict[str, Any] = self.result.get("properties") or {}
        return found


class Failure(BaseModel):
    """A version of a function that did not work, and why, as the model is told."""

    code: str
    report: str


def root_unit(goal: str, inputs: dict[str, Any], schema: dict[str, Any] | None) -> Unit:
    """Return the call that a task is.

    Raises:
        ExpansionError: An input has a name that Python does not accept.
    """
    result = schema or {}
    node = unwritten("solve", tuple(inputs), "", result)
    return Unit(node=node, arguments=inputs, result=result, purpose=goal)


def unit_of(call: Unwritten, caller: Unit, tools: Collection[str]) -> Unit:
    """Return the call of an unwritten function in the program of `caller`.

    Raises:
        ExpansionError: It is the caller itself once more, with nothing changed or too often.
    """
    if call.name == caller.name:
        return _once_more(call, caller)
    sites = _sites_like(call, tools)
    names = _parameters(sites[0].parameters if sites else call.parameters, call.kwargs)
    arguments = dict(zip(names, call.args, strict=False)) | call.kwargs
    target = assigned_at(call.program, call.line_number)
    is_field = target in caller.fields
    result = caller.fields[target] if target and is_field else {}
    lines = [site.line for site in sites] or [call.line_number]
    said = (comment_above(call.program, line) for line in lines)
    about = next(filter(None, said), "")
    return Unit(
        node=unwritten(call.name, tuple(arguments), about, result),
        arguments=arguments,
        held_back=_without(caller.arguments, arguments) if is_field else {},
        result=result,
        origin=call.program,
        purpose=about or f"{caller.purpose}\n{call.program}",
        is_field=is_field,
        is_used=is_used_at(call.program, call.line_number, call.name, at_end=caller.is_used),
    )


def unwritten(
    name: str, parameters: tuple[str, ...], doc: str, result: dict[str, Any]
) -> FunctionNode:
    """Return the node of a function known by its calls.

    Its types come from what its caller wants of it, never from the values of one call: the function is
    the same for `half(1)` and `half(0.5)`.

    Raises:
        ExpansionError: A parameter has a name that Python does not accept.
    """
    returns = words_for(result).partition(" ")[0]  # without what is inside of a list or dict
    untyped = dict.fromkeys(parameters, ...)
    return FunctionNode.of_call(name, untyped, doc, returns if returns != "value" else None)


def words_for(schema: Any) -> str:
    """Return the type that a JSON schema describes, in the words of Python."""
    if not isinstance(schema, dict) or not schema:
        return "value"
    kind = schema.get("type")
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict of str to {words_for(schema['additionalProperties'])}"
    if kind == "array" and schema.get("items"):
        return f"list of {words_for(schema['items'])}"
    names = {"number": "float", "integer": "int", "string": "str", "boolean": "bool"}
    names |= {"object": "dict", "array": "list"}
    return names.get(str(kind), "value")


def _without(given: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def _once_more(call: Unwritten, own: Unit) -> Unit:
    if call.arguments() == own.arguments or own.self_calls >= MAX_SELF_CALLS:
        raise ExpansionError(step=own.name, problem="it calls itself without end; do the work")
    arguments = dict(zip(own.arguments, call.args, strict=False)) | call.kwargs
    return own.model_copy(update={"arguments": arguments, "self_calls": own.self_calls + 1})


def _sites_like(call: Unwritten, tools: Collection[str]) -> list[Placeholder]:
    """Return the places of the program that call the function with as many arguments."""
    shape = (call.name, len(call.args), set(call.kwargs))
    return [
        site
        for site in placeholders(call.program, tools)
        if (site.name, len(site.parameters), set(site.keywords)) == shape
    ]


def _parameters(names: tuple[str, ...], taken: Collection[str]) -> list[str]:
    """Return names for positional arguments that Python accepts and no keyword has taken."""
    return [
        f"argument_{index}" if iskeyword(name) or name in taken else name
        for index, name in enumerate(names, 1)
    ]
