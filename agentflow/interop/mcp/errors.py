"""What can go wrong with a server of tools, before and between calls.

Owns the one error that is not a call's. What goes wrong in a call is a `ToolError`, so that planners tell
their model and programs may catch it.
"""

from agentflow.errors import AgentflowError


class McpServerError(AgentflowError):
    """An MCP server cannot be reached, or does not keep to the protocol; a resume may go on."""

    def __init__(self, *, server: str, problem: str) -> None:
        self.server, self.problem = server, problem
        super().__init__(f"MCP server {server}: {problem}")
