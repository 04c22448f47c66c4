"""Open a journal's database and read it.

Owns the connection, the schema's version and the queries. SQLite runs in WAL mode, so that readers
never block the writer.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.events import Stored
from agentflow.journal.rows import from_row

LOCK_WAIT_S = 30


def default_journal() -> Path:
    """Return where runs are kept unless a path or URL is given."""
    return platformdirs.user_data_path("agentflow") / "journal.db"


def store_url(journal: str | Path | None) -> str:
    """Return the database URL of `journal`: a URL, a file path, `:memory:`, or None for the default."""
    if journal is None:
        journal = default_journal()
    text = str(journal)
    if text == ":memory:":
        return "sqlite://"
    return text if "://" in text else f"sqlite:///{Path(text).expanduser().resolve()}"


class Store:
    """One journal database.

    Raises:
        JournalError: It cannot be opened, is no journal, or was written by a newer version.
    """

    def __init__(self, journal: str | Path | None = None, *, create: bool = True) -> None:
        url = store_url(journal)
        self.name = make_url(url).render_as_string(hide_password=True).removeprefix("sqlite:///")
        with self.errors():
            self.engine = _engine(url, create=create)
            self._prepare()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the database raises into a `JournalError` that names the store."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise JournalError(store=getattr(self, "name", "?"), problem=_advice(cause)) from error

    def new_run(self, run: str) -> int:
        """Register a run and return its number.

        Raises:
            JournalError: The id is taken, or the store cannot be written.
        """
        row = {"id": run, "created_at": time.time()}
        try:
            with self.errors(), self.engine.begin() as connection:
                result = connection.execute(insert(tables.runs).values(row))
                (number,) = result.inserted_primary_key or (0,)
                return int(number)
        except JournalError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise JournalError(
                    store=self.name, problem=f"there is a run {run} already"
                ) from error
            raise

    def find_run(self, run: str) -> tuple[str, int]:
        """Return the full id and number of the run whose id starts with `run`; `last` is the newest.

        Raises:
            UnknownRunError: There is none, or more than one.
        """
        query = select(tables.runs.c.id, tables.runs.c.number).order_by(tables.runs.c.number.desc())
        if run != "last":
            query = query.where(tables.runs.c.id.startswith(run, autoescape=True))
        with self.errors(), self.engine.connect() as connection:
            found = connection.execute(query.limit(2)).all()
        exact = [row for row in found if row.id == run] or found
        if not exact:
            raise UnknownRunError(
                store=self.name, problem=f"no run {run}; `agentflow runs` lists them"
            )
        if len(exact) > 1 and run != "last":
            raise UnknownRunError(store=self.name, problem=f"more than one run starts with {run}")
        return str(exact[0].id), int(exact[0].number)

    def run_ids(self, limit: int | None = None) -> list[str]:
        """Return the ids of the runs, newest first."""
        query = select(tables.runs.c.id).order_by(tables.runs.c.number.desc()).limit(limit)
        with self.errors(), self.engine.connect() as connection:
            return [str(name) for name in connection.execute(query).scalars()]

    def events(self, run: str, after: int = 0) -> list[Stored]:
        """Return the events of a run with numbers above `after`, in order.

        Raises:
            UnknownRunError: There is no such run.
            JournalError: The store cannot be read, or a payload is missing or unreadable.
        """
        _id, number = self.find_run(run)
        columns = tables.events.c
        query = select(tables.events).where(columns.run == number, columns.number > after)
        with self.errors(), self.engine.connect() as connection:
            payloads = _Payloads(connection, self.name)
            rows = connection.execute(query.order_by(columns.number)).all()
            payloads.prefetch(number)
            return [from_row(row, payloads.get) for row in rows]

    def last_event(self, number: int) -> int:
        """Return the number of the newest event of run number `number`; 0 when it has none."""
        query = select(func.max(tables.events.c.number)).where(tables.events.c.run == number)
        with self.errors(), self.engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def _prepare(self) -> None:
        query = select(tables.meta.c.value).where(tables.meta.c.name == "schema")
        with self.engine.begin() as connection:
            if not inspect(connection).has_table(tables.meta.name):
                _create_tables(connection)
            found = connection.execute(query).scalar_one()
        if int(found) > tables.SCHEMA_VERSION:
            problem = f"written by a newer agentflow (schema {found}); upgrade agentflow to read it"
            raise JournalError(store=self.name, problem=problem)


class _Payloads:
    """Content by hash, each read once."""

    def __init__(self, connection: Connection, store: str) -> None:
        self._connection, self._store = connection, store
        self._known: dict[bytes, bytes] = {}

    def prefetch(self, run: int) -> None:
        """Read every payload of a run in one query."""
        wanted = select(tables.events.c.payload).where(tables.events.c.run == run)
        query = select(tables.payloads).where(tables.payloads.c.hash.in_(wanted))
        for row in self._connection.execute(query):
            self._known[row.hash] = row.data

    def get(self, name: bytes) -> bytes:
        data = self._known.get(name)
        if data is None:
            problem = f"payload {name.hex()} is missing: the file is damaged"
            raise JournalError(store=self._store, problem=problem)
        return data


def _engine(url: str, *, create: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise JournalError(store=url, problem="not a path or database URL") from error
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed)
    memory = parsed.database in (None, "", ":memory:")
    if not memory:
        path = Path(str(parsed.database))
        if not create and not path.exists():
            raise JournalError(store=str(path), problem="no such journal; run something first")
        path.parent.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {"timeout": LOCK_WAIT_S, "check_same_thread": False}
    options: dict[str, Any] = {"poolclass": StaticPool} if memory else {}
    engine = create_engine(parsed, connect_args=arguments, **options)
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _create_tables(connection: Connection) -> None:
    """Create the schema; when two processes come to a new file at once, the second waits and finds it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if not inspect(connection).has_table(tables.meta.name):
        tables.metadata.create_all(connection)
        row = {"name": "schema", "value": str(tables.SCHEMA_VERSION)}
        connection.execute(insert(tables.meta).values(row))


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")  # the writer asks for FULL where it must
    cursor.close()


def _advice(error: BaseException | None) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    hints = {
        "readonly": "make the file writable or choose another with --journal",
        "unable to open": "check that the folder exists and is writable, or use --journal",
        "disk is full": "free some space; what was committed is intact",
        "locked": "another process holds it; wait, or choose another with --journal",
        "not a database": "the file is no journal; choose another with --journal",
        "malformed": "the file is damaged; restore a copy",
        "Permission denied": "make the folder writable or choose another with --journal",
    }
    hint = next((advice for sign, advice in hints.items() if sign in text), None)
    return f"{text}: {hint}" if hint else text
