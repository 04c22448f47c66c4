"""A sandbox for every test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from agentflow.sandbox.monty import MontySandbox, open_sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[MontySandbox]:
    opened = await open_sandbox()
    yield opened
    await opened.aclose()
