"""LangGraph both ways: our graphs and flows as graphs of LangGraph, and its graphs as flows."""

from agentflow.errors import MissingExtraError

try:
    import langgraph.graph  # noqa: F401 - all the modules below need it
except ModuleNotFoundError as error:
    raise MissingExtraError(feature="LangGraph", extra="langgraph") from error

from agentflow.errors import UnmappableError
from agentflow.interop.langgraph.incoming import from_langgraph
from agentflow.interop.langgraph.outgoing import read_output, to_langgraph

__all__ = ["UnmappableError", "from_langgraph", "read_output", "to_langgraph"]
