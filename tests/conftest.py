"""What every test may use: one event loop backend, a journal of its own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import NoServerError, Server, running_server

# A busy machine is no failure: what takes too long is stopped by pytest's own limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# A shell lets what it starts with `&` ignore Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo: it takes a minute of both cores, and last it would leave one idle."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


@pytest.fixture
def anyio_backend() -> str:
    """The engine's lineage follows asyncio tasks, so asyncio is the backend."""
    return "asyncio"


@pytest.fixture
def sqlite_journal(tmp_path: Path) -> str:
    """A path for a journal that does not exist yet; for tests that look into the file."""
    return str(tmp_path / "journal.db")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when a test first asks for one."""
    try:
        with running_server() as server:
            yield server
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_journal(postgres: Server) -> Iterator[str]:
    """The URL of a database of its own, without a journal in it yet."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def journal(sqlite_journal: str) -> str:
    """A journal that does not exist yet; tests of the journal itself get one of every kind."""
    return sqlite_journal


@pytest.fixture(params=["sqlite", "postgresql"])
def any_journal(request: pytest.FixtureRequest) -> str:
    """A journal that does not exist yet: in a file, then in PostgreSQL."""
    kind = "sqlite_journal" if request.param == "sqlite" else "postgres_journal"
    found: str = request.getfixturevalue(kind)
    return found


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
