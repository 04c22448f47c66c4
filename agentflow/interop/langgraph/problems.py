"""What is wrong with a graph that has no counterpart on the other engine."""

from agentflow.errors import GraphError


class UnmappableError(GraphError):
    """A graph uses something that the other engine has no counterpart for; `problem` names it."""
