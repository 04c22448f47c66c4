"""What every test may use: one event loop backend, a journal of its own."""

from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The engine's lineage follows asyncio tasks, so asyncio is the backend."""
    return "asyncio"


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """A path for a journal that does not exist yet."""
    return str(tmp_path / "journal.db")


@pytest.fixture(autouse=True)
def no_default_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's own journal and keys."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "OPENAI_BASE_URL",
        "ANTHROPIC_BASE_URL",
        "AGENTFLOW_JOURNAL",
    ):
        monkeypatch.delenv(name, raising=False)
