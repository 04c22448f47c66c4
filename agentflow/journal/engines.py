"""Open the database of a journal.

Owns URLs and connections, for SQLite files, memory and PostgreSQL. The engines of lasting stores are kept
for the life of the process, because compiling their statements anew costs more than opening a file; their
connections are closed when nobody uses the store any more.
"""

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from agentflow.errors import JournalError

LOCK_WAIT_S = 30
BUSY_PAUSE_S = 0.01


def default_journal() -> Path:
    """Return where runs are kept unless a path or URL is given."""
    return platformdirs.user_data_path("agentflow") / "journal.db"


def store_url(journal: str | Path | None) -> str:
    """Return the database URL of `journal`: a URL, a file path, `:memory:`, or None for the default."""
    if journal is None:
        journal = default_journal()
    name = str(journal)
    if name == ":memory:":
        return "sqlite://"
    if name.startswith(("postgres://", "postgresql://")):  # the driver that our extra installs
        return "postgresql+psycopg://" + name.partition("://")[2]
    return name if "://" in name else f"sqlite:///{Path(name).expanduser().resolve()}"


def shown_url(url: str) -> str:
    """Return how to call a store in a message: a path, or a URL without its password.

    Raises:
        JournalError: It is no URL.
    """
    try:
        return make_url(url).render_as_string(hide_password=True).removeprefix("sqlite:///")
    except ArgumentError as error:
        raise JournalError(store=url, problem="not a path or database URL") from error


def open_engine(url: str, name: str, *, create: bool) -> Engine:
    """Return the engine of a store, to be given back with `let_go`.

    Raises:
        JournalError: The database is of another kind, its driver is missing, or there is no such file.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise JournalError(store=name, problem="only SQLite and PostgreSQL can hold a journal")
    if parsed.get_backend_name() == "postgresql":
        try:
            return _kept_engine(url)
        except (ImportError, NoSuchModuleError) as error:
            problem = "PostgreSQL needs its driver: pip install 'agentflow[postgres]'"
            raise JournalError(store=name, problem=problem) from error
    if parsed.database in (None, "", ":memory:"):
        return _engine(url)
    path = Path(str(parsed.database))
    if not create and not path.exists():
        raise JournalError(store=str(path), problem="no such journal; run something first")
    path.parent.mkdir(parents=True, exist_ok=True)
    return _kept_engine(url)


def _engine(url: str) -> Engine:
    # Every run holds a connection while it goes on: a limit would have the runs wait for each other.
    unlimited: dict[str, Any] = {"max_overflow": -1}
    if not url.startswith("sqlite"):
        return create_engine(url, **unlimited)
    arguments: dict[str, Any] = {"timeout": LOCK_WAIT_S, "check_same_thread": False}
    options = {"poolclass": StaticPool} if url == "sqlite://" else unlimited
    engine = create_engine(url, connect_args=arguments, **options)
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _kept_engine(url: str) -> Engine:
    """Return the engine of a lasting store; its connections live as long as somebody uses the store."""
    with _lock:
        if url not in _engines:
            _engines[url] = _engine(url)
        engine = _engines[url]
        _users[engine] = _users.get(engine, 0) + 1
        return engine


# By URL, kept for their compiled statements: compiling costs more than opening a file.
_engines: dict[str, Engine] = {}
_users: dict[Engine, int] = {}
_inherited: set[Engine] = set()
_lock = threading.Lock()


def let_go(engine: Engine) -> None:
    """Close an engine's connections if nobody else in this process uses it."""
    with _lock:
        if engine in _inherited:
            return
        _users[engine] = _users.get(engine, 1) - 1
        if _users[engine] <= 0:
            engine.dispose()
            del _users[engine]


def _forget_engines() -> None:
    """In a forked child: neither use the parent's connections nor close them."""
    global _lock
    _lock = threading.Lock()
    _inherited.update(_engines.values())
    _engines.clear()
    _users.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_engines)


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, see `Store.writing`
    cursor = connection.cursor()
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")  # the writer asks for FULL where it must
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Turn the write-ahead log on. Of processes that do so at once to a new file SQLite refuses some unasked."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_PAUSE_S)
        else:
            return
