"""A graph or flow of ours as a graph of LangGraph.

Owns the translation of a declaration: a node is a node, what it takes from is its edges, a graph in a node
is a subgraph. State is plain data: the inputs under their names, every node's result as JSON under
`results`, and the result of the whole under `output`; so any checkpointer can keep it.
"""

import json
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import anyio
from langchain_core.runnables import RunnableConfig
from langgraph._internal._runnable import RunnableCallable
from langgraph.constants import START
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer
from typing_extensions import TypedDict

from agentflow.data import canonical
from agentflow.errors import UnmappableError
from agentflow.flows import Flow
from agentflow.graph import Graph, Input, Node, Output
from agentflow.interop.langgraph.hosting import hosted
from agentflow.runner import Runner

RESULTS, OUTPUT = "results", "output"
_RESERVED = (RESULTS, OUTPUT)
_SEPARATORS = (":", "|")  # in LangGraph's names of tasks

Compiled = CompiledStateGraph[Any, Any, Any, Any]
Call = Callable[[dict[str, Any], RunnableConfig], Awaitable[dict[str, Any]]]


def to_langgraph(
    flow: Flow[..., Any],
    *,
    runner: Runner | None = None,
    checkpointer: Checkpointer = None,
    name: str | None = None,
) -> Compiled:
    """Return a compiled LangGraph graph that does what `flow` does.

    Its input is the flow's inputs by name; its output is `{"output": ...}`, plain JSON data.

    Args:
        flow: A `Graph`, whose nodes become nodes and whose graphs become subgraphs; any other
            flow is one node. Plans and programs are carried out inside their node.
        runner: Models, tools, budget and journal of what runs in the nodes; `Runner()` by default.
        checkpointer: LangGraph's, as for `compile`; None where a server brings its own.
        name: Its name; by default the flow's.

    Raises:
        UnmappableError: A name in the graph cannot be one in LangGraph.
    """
    graph = flow if isinstance(flow, Graph) else _alone(flow)
    return _compiled(graph, runner or Runner(), checkpointer, name or graph.name)


def read_output(flow: Flow[..., Any], state: Mapping[str, Any]) -> Any:
    """Return the result of `flow` with its types, from the state that its LangGraph graph ended in.

    Raises:
        OutputError: The state does not hold one.
    """
    return _read(flow, state[OUTPUT])


def _alone(flow: Flow[..., Any]) -> Graph:
    signature = flow.signature
    node = f"run_{flow.name}" if flow.name in (*signature.parameters, *_RESERVED) else flow.name
    bindings: dict[str, Any] = {name: Input(name) for name in signature.required}
    inputs = {name: signature.parameters[name] for name in signature.required}
    return Graph(flow.name, inputs=inputs, nodes={node: Node(flow, **bindings)}, output=node)


def _compiled(graph: Graph, runner: Runner, checkpointer: Checkpointer, name: str) -> Compiled:
    _check_names(graph)
    outputs = (graph.output,) if isinstance(graph.output, str) else graph.output
    builder: Any = StateGraph(
        _state(graph), input_schema=_inputs(graph), output_schema=_output(graph)
    )
    for node, declared in graph.nodes.items():
        call = _node_call(graph, node, declared, runner, is_output=node in outputs)
        builder.add_node(node, call)
    for node, declared in graph.nodes.items():
        needs = declared.needs
        if len(needs) > 1:
            builder.add_edge(list(needs), node)
        else:
            builder.add_edge(needs[0] if needs else START, node)
    compiled: Compiled = builder.compile(checkpointer=checkpointer, name=name)
    return compiled


def _node_call(
    graph: Graph, name: str, node: Node, runner: Runner, *, is_output: bool
) -> RunnableCallable:
    """Return a node as LangGraph calls it: sync or async, with its subgraph where it sees it."""
    flow = node.flow
    child = _compiled(flow, runner, None, name) if isinstance(flow, Graph) else None

    def update(value: Any) -> dict[str, Any]:
        written: dict[str, Any] = {RESULTS: {name: value}}
        if is_output:
            written[OUTPUT] = value if isinstance(graph.output, str) else {name: value}
        return written

    async def run_node(state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        arguments = _arguments(graph, node, state)
        if child is not None:
            return update((await child.ainvoke(arguments, config))[OUTPUT])
        value = await hosted(runner, flow.named(name), arguments, config)
        return update(_write(flow, value))

    def run_node_now(state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        if child is not None:
            return update(child.invoke(_arguments(graph, node, state), config)[OUTPUT])
        return anyio.run(run_node, state, config)

    return RunnableCallable(run_node_now, run_node, name=name)


def _arguments(graph: Graph, node: Node, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node's arguments from the state, checked as the graph itself would."""
    given = graph.signature.bind((), {name: state[name] for name in graph.inputs if name in state})
    arguments = {}
    for parameter, source in node.bindings.items():
        if isinstance(source, Input):
            arguments[parameter] = given[source.name]
        elif isinstance(source, Output):
            value = _read(graph.nodes[source.node].flow, state[RESULTS][source.node])
            arguments[parameter] = _field(value, source.field)
        else:
            arguments[parameter] = source
    return node.flow.signature.bind((), arguments)


def _field(value: Any, name: str | None) -> Any:
    if name is None:
        return value
    return value[name] if isinstance(value, Mapping) else getattr(value, name)


def _write(flow: Flow[..., Any], value: Any) -> Any:
    return json.loads(flow.signature.write_output(value))


def _read(flow: Flow[..., Any], data: Any) -> Any:
    return flow.signature.read_output(canonical(data))


def _inputs(graph: Graph) -> Any:
    fields = {name: _plain(kind) for name, kind in graph.inputs.items()}
    return TypedDict(f"{graph.name}_input", fields)  # type: ignore[operator]


def _output(graph: Graph) -> Any:
    return TypedDict(f"{graph.name}_output", {OUTPUT: _output_type(graph)})  # type: ignore[operator]


def _state(graph: Graph) -> Any:
    fields = {name: _plain(kind) for name, kind in graph.inputs.items()}
    fields |= {RESULTS: Annotated[dict[str, Any], _merged], OUTPUT: _output_type(graph)}
    return TypedDict(f"{graph.name}_state", fields, total=False)  # type: ignore[operator]


def _output_type(graph: Graph) -> Any:
    return Any if isinstance(graph.output, str) else Annotated[dict[str, Any], _merged]


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {**left, **right}


def _plain(kind: Any) -> Any:
    """Return a type without its annotations, which LangGraph would take for a reducer."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _check_names(graph: Graph) -> None:
    for name in graph.inputs:
        if name in _RESERVED:
            _fail(graph, f"input {name!r} has the name of a part of the state: rename it")
    for name in graph.nodes:
        if name in _RESERVED or name in graph.inputs:
            _fail(graph, f"node {name!r} has the name of a part of the state: rename it")
        if name.startswith("__") or any(mark in name for mark in _SEPARATORS):
            _fail(graph, f"node {name!r} has a name that LangGraph keeps for itself: rename it")


def _fail(graph: Graph, problem: str) -> typing.NoReturn:
    raise UnmappableError(graph=graph.name, problem=problem)
