"""A journal with one small run, served."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from agentflow import Runner, flow
from tests.web.server.site import Site, site

RUN = "first-run_1"


@flow
async def greet(name: str) -> str:
    """Greet."""
    return f"Hello {name}"


@pytest.fixture(scope="module")
def greeted(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("greeted") / "journal.db"
    anyio.run(partial(Runner(journal=str(path)).run_as, RUN, greet, "Ada"))
    return str(path)


@pytest.fixture(scope="module")
def served(greeted: str) -> Iterator[Site]:
    """For tests that change nothing."""
    with site(greeted) as found:
        yield found
