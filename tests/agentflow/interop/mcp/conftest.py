"""A server of ours that is reached by HTTP."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.agentflow.interop.mcp.parts import TOKEN, serving


@pytest.fixture
def address(journal: str) -> Iterator[str]:
    """Where the flows of these tests are served, to who has the token."""
    words = serving(journal, "--http", "0", "--token-env", "TEST_MCP_TOKEN")
    environment = {**os.environ, "TEST_MCP_TOKEN": TOKEN}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)
