"""Where a task of LangGraph stands, in words that are the same on every run.

Owns the way from LangGraph's task configuration to the key of a step. LangGraph's own task ids
hash a clock, so they are never used: a task is the superstep, its path in it, and which attempt it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONF, CONFIG_KEY_RUNTIME, NS_END, NS_SEP

from agentflow.engine.lineage import FRAME, Frame, child_key
from agentflow.engine.steps import current_frame


def place_of(config: RunnableConfig) -> str:
    """Return the place of a task below the step that its graph runs in."""
    metadata = config["metadata"]
    path = "/".join(str(part) for part in metadata["langgraph_path"] if not isinstance(part, bool))
    place = f"{_graph_of(metadata['langgraph_checkpoint_ns'])}{metadata['langgraph_step']}/{path}"
    attempt = _attempt(config)
    return place if attempt == 1 else f"{place}#{attempt}"


def namespace_of(config: RunnableConfig) -> str:
    """Return LangGraph's name for a task, by which a `Command` of a subgraph is addressed to it."""
    return str(config["metadata"]["langgraph_checkpoint_ns"])


def _graph_of(namespace: str) -> str:
    """Return the namespace without its own task and without task ids; a call again is numbered."""
    above = namespace.split(NS_SEP)[:-1]
    return "".join(f"{part.split(NS_END)[0]}/" for part in above)


def _attempt(config: RunnableConfig) -> int:
    runtime: Any = config[CONF].get(CONFIG_KEY_RUNTIME)
    info = getattr(runtime, "execution_info", None)
    return 1 if info is None else int(info.node_attempt)


@contextmanager
def branch(place: str) -> Iterator[None]:
    """Run the body in a lineage named by a place: LangGraph creates its tasks in an order of its own."""
    frame = current_frame(place)
    lineage = child_key(frame.step.key, "branch", place, "")
    token = FRAME.set(Frame(frame.run, frame.step, lineage))
    try:
        yield
    finally:
        FRAME.reset(token)
