"""Workers for every test of this folder, confined in each way that this machine has."""

from collections.abc import AsyncIterator

import pytest

from agentflow.errors import SandboxUnavailableError
from agentflow.sandbox.workers.launchers import LauncherName
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for a module, so that its tests can share the jails."""
    return "asyncio"


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def launcher(request: pytest.FixtureRequest) -> LauncherName:
    name: LauncherName = request.param
    return name


@pytest.fixture(scope="module")
async def workers(launcher: LauncherName) -> AsyncIterator[TrialWorkers]:
    try:
        opened = await open_workers(launcher=launcher)
    except SandboxUnavailableError as error:
        pytest.skip(f"{launcher} is not available here: {error}")
    yield opened
    await opened.aclose()
