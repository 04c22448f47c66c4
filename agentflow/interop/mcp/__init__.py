"""The Model Context Protocol, both ways: tools of servers for us, flows of ours for clients.

The extra `mcp` has what it needs; importing this package loads none of it.
"""

from agentflow.errors import McpServerError
from agentflow.interop.mcp.tools import Mcp, McpEnvironment, McpTool, mcp_tools

__all__ = ["Mcp", "McpEnvironment", "McpServerError", "McpTool", "mcp_tools"]
