"""What goes wrong with what others made: servers, frameworks, collectors."""

from agentflow.errors.base import AgentflowError
from agentflow.errors.given import GraphError


class FrameworkError(AgentflowError):
    """Something of another framework has no counterpart in a run; `problem` says what, and what to do."""

    def __init__(self, *, framework: str, what: str, problem: str) -> None:
        self.framework, self.what, self.problem = framework, what, problem
        super().__init__(f"{framework} {what}: {problem}")


class UnmappableError(GraphError):
    """A graph uses something that the other engine has no counterpart for; `problem` names it."""


class McpServerError(AgentflowError):
    """An MCP server cannot be reached, or does not keep to the protocol; a resume may go on.

    What goes wrong in a call is a `ToolError`, so that planners tell their model and programs may catch it.
    """

    def __init__(self, *, server: str, problem: str) -> None:
        self.server, self.problem = server, problem
        super().__init__(f"MCP server {server}: {problem}")


class KeyReusedError(AgentflowError):
    """A key names one call; here it came with other arguments."""

    def __init__(self, *, run: str) -> None:
        self.run = run
        super().__init__(f"this key belongs to run {run}, which was called with other arguments")


class CollectorError(AgentflowError):
    """Spans did not reach their collector; `problem` says why. The run itself is untouched."""

    def __init__(self, *, endpoint: str, problem: str) -> None:
        self.endpoint, self.problem = endpoint, problem
        super().__init__(f"collector {endpoint}: {problem}")
