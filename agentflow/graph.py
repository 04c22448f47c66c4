"""Declare a DAG of flows; the graph is itself a flow.

Owns `Graph` and its checks. Everything that can be wrong is found when the graph is made, and named:
a circle, a node or input that does not exist, a parameter nobody binds, a type that does not fit.
A node starts as soon as the nodes it takes from are done; there is no barrier between layers.
"""

import inspect
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentflow.code import text_hash
from agentflow.data import Data
from agentflow.engine.branches import run_dag
from agentflow.errors import GraphError
from agentflow.expansion import find_circle
from agentflow.flows import Flow


@dataclass(frozen=True, slots=True)
class Input:
    """Take a parameter's value from the graph's input of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """Take a parameter's value from another node's result, or from one field of it."""

    node: str
    field: str | None = None


class Node:
    """A flow and where each of its parameters comes from; other values are constants."""

    def __init__(self, flow: Flow[..., Any], **bindings: Any) -> None:
        self.flow, self.bindings = flow, bindings

    @property
    def needs(self) -> tuple[str, ...]:
        """The nodes it takes from."""
        sources = [item.node for item in self.bindings.values() if isinstance(item, Output)]
        return tuple(dict.fromkeys(sources))


class Graph(Flow[..., Any]):
    """A flow made of flows.

    Args:
        name: Its name in the tree of a run.
        inputs: Type of each input, by name.
        nodes: The nodes, by name; they may refer to nodes that come later.
        output: The node whose result is the graph's, or several, for a dictionary of results.

    Raises:
        GraphError: The declaration does not hold together; the message names the nodes.
    """

    def __init__(
        self,
        name: str,
        *,
        inputs: Mapping[str, Any],
        nodes: Mapping[str, Node],
        output: str | tuple[str, ...],
    ) -> None:
        self.inputs, self.nodes, self.output = dict(inputs), dict(nodes), output
        _Check(name, self.inputs, self.nodes).run(output)
        super().__init__(self._function(name))
        # A graph has no import path of its own; the module that declares it does.
        self.target = f"{self.function.__module__}:{self.name}"
        self._code = text_hash(self._declaration())

    def _declaration(self) -> str:
        """Return the graph as text, which changes when its declaration does."""
        nodes = {
            name: (node.flow.target, {key: repr(value) for key, value in node.bindings.items()})
            for name, node in self.nodes.items()
        }
        return f"{nodes} {self.output}"

    def _function(self, name: str) -> Any:
        """Return the async function that this graph stands for, with a real signature."""

        async def run_graph(**given: Any) -> Any:
            results = await run_dag(
                {node: declared.needs for node, declared in self.nodes.items()},
                lambda node, needed: self._start(node, needed, given),
            )
            if isinstance(self.output, str):
                return results[self.output]
            return {node: results[node] for node in self.output}

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(item, keyword, annotation=kind) for item, kind in self.inputs.items()
        ]
        returns = self._returns()
        run_graph.__name__ = run_graph.__qualname__ = name
        run_graph.__annotations__ = {**self.inputs, "return": returns}
        run_graph.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            parameters, return_annotation=returns
        )
        return run_graph

    def _returns(self) -> Any:
        return (
            self.nodes[self.output].flow.signature.returns if isinstance(self.output, str) else Data
        )

    async def _start(self, name: str, needed: dict[str, Any], given: dict[str, Any]) -> Any:
        node = self.nodes[name]
        arguments = {
            parameter: _value(source, needed, given) for parameter, source in node.bindings.items()
        }
        return await node.flow.named(name)(**arguments)


def _value(source: Any, needed: dict[str, Any], given: dict[str, Any]) -> Any:
    if isinstance(source, Input):
        return given[source.name]
    if not isinstance(source, Output):
        return source
    value = needed[source.node]
    if source.field is None:
        return value
    return value[source.field] if isinstance(value, Mapping) else getattr(value, source.field)


class _Check:
    """The checks of one declaration, in the order in which a person would want to hear of them."""

    def __init__(self, name: str, inputs: dict[str, Any], nodes: dict[str, Node]) -> None:
        self.name, self.inputs, self.nodes = name, inputs, nodes

    def run(self, output: str | tuple[str, ...]) -> None:
        if not self.nodes:
            self._fail("it has no nodes")
        for wanted in (output,) if isinstance(output, str) else output:
            self._known(wanted, "output")
        for name, node in self.nodes.items():
            self._bindings(name, node)
        circle = find_circle({name: node.needs for name, node in self.nodes.items()})
        if circle:
            self._fail(f"nodes need each other in a circle: {circle}")
        for name, node in self.nodes.items():
            self._types(name, node)

    def _bindings(self, name: str, node: Node) -> None:
        signature = node.flow.signature
        unbound = [item for item in signature.required if item not in node.bindings]
        if unbound:
            self._fail(
                f"node {name!r} leaves {', '.join(map(repr, unbound))} of {node.flow.name} unbound"
            )
        for parameter, source in node.bindings.items():
            if parameter not in signature.parameters:
                self._fail(
                    f"node {name!r} binds {parameter!r}, which {node.flow.name} does not take"
                )
            if isinstance(source, Output):
                self._known(source.node, f"{name}.{parameter}")
            if isinstance(source, Input) and source.name not in self.inputs:
                self._fail(f"{name}.{parameter} takes input {source.name!r}, which is not declared")

    def _types(self, name: str, node: Node) -> None:
        for parameter, source in node.bindings.items():
            wanted = node.flow.signature.parameters[parameter]
            if isinstance(source, Input):
                given, place = self.inputs[source.name], f"input {source.name!r}"
            elif isinstance(source, Output):
                given = self._field_type(source, f"{name}.{parameter}")
                place = f"node {source.node!r}" + (
                    f" field {source.field!r}" if source.field else ""
                )
            else:
                continue
            if not fits(given, wanted):
                self._fail(
                    f"{name}.{parameter} is {_words(wanted)}, but {place} gives {_words(given)}"
                )

    def _field_type(self, source: Output, place: str) -> Any:
        whole = self.nodes[source.node].flow.signature.returns
        if source.field is None or whole is Data or not isinstance(whole, type):
            return whole if source.field is None else Data
        hints = typing.get_type_hints(whole)
        if hints and source.field not in hints:
            self._fail(f"{place} takes field {source.field!r}, which {_words(whole)} does not have")
        return hints.get(source.field, Data)

    def _known(self, node: str, place: str) -> None:
        if node not in self.nodes:
            names = ", ".join(self.nodes)
            self._fail(f"{place} refers to node {node!r}, which does not exist (nodes: {names})")

    def _fail(self, problem: str) -> typing.NoReturn:
        raise GraphError(graph=self.name, problem=problem)


def fits(given: Any, wanted: Any) -> bool:
    """Return whether a value of type `given` may be passed where `wanted` is declared.

    Only certain mismatches are refused: what cannot be decided here is left to the validation of
    the real value.
    """
    if Data in (given, wanted) or Any in (given, wanted) or given == wanted or wanted is object:
        return True
    given, wanted = _plain(given), _plain(wanted)
    if _is_union(given):
        return all(fits(part, wanted) for part in typing.get_args(given))
    if _is_union(wanted):
        return any(fits(given, part) for part in typing.get_args(wanted))
    given_class = typing.get_origin(given) or given
    wanted_class = typing.get_origin(wanted) or wanted
    if not (isinstance(given_class, type) and isinstance(wanted_class, type)):
        return True
    if given_class is int and wanted_class is float:
        return True
    if not issubclass(given_class, wanted_class):
        return False
    pairs = zip(typing.get_args(given), typing.get_args(wanted), strict=False)
    return all(left is ... or right is ... or fits(left, right) for left, right in pairs)


def _plain(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _words(kind: Any) -> str:
    if kind is Data:
        return "anything"
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
