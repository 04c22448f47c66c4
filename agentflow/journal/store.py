"""One journal database: its schema and its queries.

The same code serves SQLite and PostgreSQL; how they are opened is in `engines.py`.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, inspect, select, text
from sqlalchemy import update as update_rows
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.content import names_in
from agentflow.journal.engines import let_go, open_engine, shown_url, store_url
from agentflow.journal.events import Stored
from agentflow.journal.failures import journal_error
from agentflow.journal.lease import Lease, claim
from agentflow.journal.rows import from_rows

NAMES_A_QUERY = 500
_VERSION = select(tables.meta.c.value).where(tables.meta.c.name == "schema")


class Store:
    """One journal database.

    Raises:
        JournalError: It cannot be opened, is no journal, or was written by a newer version.
    """

    def __init__(self, journal: str | Path | None = None, *, create: bool = True) -> None:
        url = store_url(journal)
        self.name = shown_url(url)
        self.driver_errors: tuple[type[Exception], ...] = ()
        self._is_closed = False
        with self.errors():
            self.engine = open_engine(url, self.name, create=create)
            self.driver_errors = (self.engine.dialect.loaded_dbapi.Error,)
            try:
                self._prepare(create=create)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the connections that nobody else in this process uses; doing it twice changes nothing."""
        if not self._is_closed:
            self._is_closed = True
            let_go(self.engine)

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is an SQLite file or memory."""
        return self.engine.dialect.name == "sqlite"

    @property
    def is_lasting(self) -> bool:
        """Whether the store outlives the process."""
        return not self.is_sqlite or self.engine.url.database not in (None, "", ":memory:")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the database raises into a `JournalError` that names the store."""
        try:
            yield
        except Exception as error:
            if not isinstance(error, (SQLAlchemyError, OSError, *self.driver_errors)):
                raise
            raise journal_error(self.name, error) from error

    def new_run(self, run: str) -> Lease:
        """Register a run and claim it.

        Raises:
            JournalError: The id is taken, or the store cannot be written.
        """
        row = {"id": run, "created_at": time.time()}
        try:
            with self.errors(), self.writing() as connection:
                result = connection.execute(insert(tables.runs).values(row))
                (number,) = result.inserted_primary_key or (0,)
                return claim(connection, self.name, int(number))
        except JournalError as error:
            if isinstance(error.__cause__, IntegrityError):
                return self._claim_empty(run, error)
            raise

    def _claim_empty(self, run: str, error: JournalError) -> Lease:
        """Claim a run whose process died before it had written anything."""
        columns = tables.runs.c
        query = select(columns.number).where(columns.id == run)
        begun = exists().where(tables.events.c.run == columns.number)
        with self.errors(), self.writing() as connection:
            number = connection.execute(query.where(~begun)).scalar()
            if number is not None:
                return claim(connection, self.name, int(number))
        raise JournalError(store=self.name, problem=f"there is a run {run} already") from error

    def claim_run(self, run: str) -> Lease:
        """Claim an existing run, to go on with it.

        Raises:
            UnknownRunError: There is no such run.
            RunBusyError: Somebody is writing it.
        """
        number = self.find_run(run)[1]
        with self.errors(), self.writing() as connection:
            return claim(connection, self.name, number)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection inside a transaction that may write from its first statement on."""
        with self.engine.connect() as connection:
            if self.is_sqlite:  # or two readers that both want to write later fail at once
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def find_run(self, run: str) -> tuple[str, int]:
        """Return the full id and number of the run whose id starts with `run`; `last` is the newest.

        Raises:
            UnknownRunError: There is none, or more than one.
        """
        columns = tables.runs.c
        query = select(columns.id, columns.number).order_by(columns.number.desc()).limit(2)
        if run != "last":
            query = query.where(columns.id.startswith(run, autoescape=True))
        with self.errors(), self.engine.connect() as connection:
            exact = connection.execute(query.where(columns.id == run)).all()
            exact = exact or connection.execute(query).all()
        if not exact:
            raise UnknownRunError(
                store=self.name, problem=f"no run {run}; `agentflow runs` lists them"
            )
        if len(exact) > 1 and run != "last":
            raise UnknownRunError(store=self.name, problem=f"more than one run starts with {run}")
        return str(exact[0].id), int(exact[0].number)

    def run_rows(self, limit: int | None = None) -> list[Row[Any]]:
        """Return the index rows of the runs, newest first."""
        query = select(tables.runs).order_by(tables.runs.c.number.desc()).limit(limit)
        with self.errors(), self.engine.connect() as connection:
            return list(connection.execute(query).all())

    def run_row(self, number: int) -> Row[Any]:
        """Return the index row of run number `number`."""
        query = select(tables.runs).where(tables.runs.c.number == number)
        with self.errors(), self.engine.connect() as connection:
            return connection.execute(query).one()

    def events(self, number: int, after: int = 0) -> list[Stored]:
        """Return the events of run number `number` above number `after`, in order.

        Raises:
            JournalError: The store cannot be read, or a payload is missing or unreadable.
        """
        columns = tables.events.c
        query = select(tables.events).where(columns.run == number, columns.number > after)
        with self.errors(), self.engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.number)).all()
            payloads = Payloads(connection, self.name, rows)
        try:
            events = from_rows(rows, payloads.get)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            problem = f"an event of the run is unreadable ({error}): the file is damaged"
            raise JournalError(store=self.name, problem=problem) from error
        return [event for event in events if event.number > after]

    def leave_answer(self, number: int, key: bytes, answer: bytes) -> None:
        """Put a person's answer where the run will look for it; a second one replaces the first."""
        dialect: Any = sqlite if self.is_sqlite else postgresql
        row = {"run": number, "key": key, "answer": answer, "at": time.time()}
        put = dialect.insert(tables.inbox).values(row)
        put = put.on_conflict_do_update(
            index_elements=["run", "key"], set_={"answer": answer, "at": row["at"]}
        )
        with self.errors(), self.writing() as connection:
            connection.execute(put)

    def answers_left(self, number: int) -> dict[bytes, bytes]:
        """Return the answers that people left for a run, by the key of the step that asked."""
        query = select(tables.inbox.c.key, tables.inbox.c.answer).where(
            tables.inbox.c.run == number
        )
        with self.errors(), self.engine.connect() as connection:
            return {bytes(row.key): bytes(row.answer) for row in connection.execute(query)}

    def _prepare(self, *, create: bool) -> None:
        with self.engine.connect() as connection:
            found = self._known_version(connection)
            # Another process may be making the journal right now: then its tables are just there.
            names = [] if found is not None else inspect(connection).get_table_names()
            is_foreign = bool(names) and tables.meta.name not in names
        if found == tables.SCHEMA_VERSION:
            return
        if found is not None and found > tables.SCHEMA_VERSION:
            problem = f"written by a newer agentflow (schema {found}); upgrade agentflow to read it"
            raise JournalError(store=self.name, problem=problem)
        if is_foreign and not create:
            raise JournalError(store=self.name, problem="no journal in it; run something first")
        with self.writing() as connection:
            self._lock_schema(connection)
            found = self._version(connection)  # another process may have been quicker
            if found is None:
                _create_tables(connection)
            elif found < tables.SCHEMA_VERSION:
                self._migrate(connection, found)

    def _known_version(self, connection: Connection) -> int | None:
        """Return the version of the schema with one query where there is a journal."""
        try:
            return self._read_version(connection)
        except (OperationalError, ProgrammingError):  # most often because the table is not there
            connection.rollback()
            return self._version(connection)

    def _version(self, connection: Connection) -> int | None:
        if not inspect(connection).has_table(tables.meta.name):
            return None
        return self._read_version(connection)

    def _read_version(self, connection: Connection) -> int:
        found = connection.execute(_VERSION).scalar_one_or_none()
        if found is None or not str(found).isdecimal():
            problem = f"its schema version is {found!r}: the file is damaged; restore a copy"
            raise JournalError(store=self.name, problem=problem)
        return int(found)

    def _lock_schema(self, connection: Connection) -> None:
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(8207021)"))

    def _migrate(self, connection: Connection, found: int) -> None:
        from agentflow.journal.migrations import migrate  # noqa: PLC0415 - alembic is slow to import

        migrate(connection, found, tables.SCHEMA_VERSION)
        version = {"value": str(tables.SCHEMA_VERSION)}
        connection.execute(
            update_rows(tables.meta).where(tables.meta.c.name == "schema").values(version)
        )


class Payloads:
    """Long content by name, read in few queries for a set of rows."""

    def __init__(self, connection: Connection, store: str, rows: Sequence[Row[Any]]) -> None:
        self._store = store
        self._known: dict[bytes, bytes] = {}
        cells = [cell for row in rows for cell in (row.input, row.output) if cell is not None]
        wanted = list(dict.fromkeys(name for cell in cells for name in names_in(cell)))
        for start in range(0, len(wanted), NAMES_A_QUERY):
            some = wanted[start : start + NAMES_A_QUERY]
            query = select(tables.payloads).where(tables.payloads.c.hash.in_(some))
            self._known |= {bytes(row.hash): bytes(row.data) for row in connection.execute(query)}

    def get(self, name: bytes) -> bytes:
        """Return the payload of that name.

        Raises:
            JournalError: It is not there.
        """
        data = self._known.get(name)
        if data is None:
            problem = f"payload {name.hex()} is missing: the file is damaged"
            raise JournalError(store=self._store, problem=problem)
        return data


def _create_tables(connection: Connection) -> None:
    tables.metadata.create_all(connection)
    row = {"name": "schema", "value": str(tables.SCHEMA_VERSION)}
    connection.execute(insert(tables.meta).values(row))
