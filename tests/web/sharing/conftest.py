"""A journal to share from, and a build to share with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.journal.store import Store
from tests.web.reading.parts import opened
from tests.web.sharing.parts import make_build


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "build")


@pytest.fixture
def store(sqlite_journal: str) -> Iterator[Store]:
    """An empty journal."""
    with opened(sqlite_journal, create=True) as store:
        yield store
