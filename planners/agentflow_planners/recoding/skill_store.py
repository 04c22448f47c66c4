"""The file in which skills live between runs.

Owns its tables and its queries, in SQLite. Knows nothing of models or planners: a skill is text here.
A write carries the idempotency key of its step, so a step that is repeated after a crash counts once.
A dropped skill stays in the file with the reason, and is found no more until a better one replaces it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from agentflow.errors import InputError

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4146534B  # in the header of the file: what tells it from other databases
LOCK_WAIT_S = 30
MAX_LISTED = 500

metadata = MetaData()

skills = Table(
    "skills",
    metadata,
    Column("key", String(64), primary_key=True),  # the content key of the unwritten function
    Column("name", Text, nullable=False),
    Column("parameters", Text, nullable=False),  # JSON: names in order
    Column("returns", Text, nullable=False),  # its return annotation; empty for none
    Column("doc", Text, nullable=False),
    Column("tools", Text, nullable=False),  # JSON: names of the tools that its body calls
    Column("node", Text, nullable=False),  # JSON: the written function
    Column("used", Integer, nullable=False, server_default="0"),
    Column("dropped", Text),  # why it is found no more
)

examples = Table(
    "examples",
    metadata,
    Column("skill", String(64), ForeignKey("skills.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", Text, nullable=False),  # JSON: arguments, value, and the calls on the way
)

writes = Table("writes", metadata, Column("key", String(64), primary_key=True))


class SkillStore:
    """One file of skills, made when it is first opened; each use has a connection of its own.

    Raises:
        InputError: The path holds something else, or cannot be read or written.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def heads(self) -> list[dict[str, Any]]:
        """Return what there is to know of each skill but its body: the most used first."""
        columns = [column for column in skills.c if column.name not in ("node", "dropped")]
        query = select(*columns).where(skills.c.dropped.is_(None))
        ordered = query.order_by(skills.c.used.desc(), skills.c.key).limit(MAX_LISTED)
        with self._connected() as connection:
            return [
                {**row, **{name: json.loads(row[name]) for name in ("parameters", "tools")}}
                for row in connection.execute(ordered).mappings()
            ]

    def read(self, key: str) -> tuple[str, list[str], list[str]] | None:
        """Return function (JSON), tools and examples (JSON); None when it is not there (any more)."""
        columns = (skills.c.node, skills.c.tools)
        wanted = select(*columns).where(skills.c.key == key, skills.c.dropped.is_(None))
        seen = select(examples.c.data).where(examples.c.skill == key).order_by(examples.c.number)
        with self._connected() as connection:
            found = connection.execute(wanted).first()
            if found is None:
                return None
            return found.node, json.loads(found.tools), list(connection.execute(seen).scalars())

    def keep(self, head: dict[str, Any], node: str, seen: Sequence[str], *, write: str) -> None:
        """Store one skill in the place of an older one of the same key; `write` names the write."""
        row = head | {name: json.dumps(head[name]) for name in ("parameters", "tools")}
        with self._writing(write) as connection:
            if connection is None:
                return
            connection.execute(delete(examples).where(examples.c.skill == head["key"]))
            connection.execute(delete(skills).where(skills.c.key == head["key"]))
            connection.execute(insert(skills).values(row | {"node": node}))
            rows = [
                {"skill": head["key"], "number": number, "data": data}
                for number, data in enumerate(seen, 1)
            ]
            connection.execute(insert(examples), rows)

    def count(self, key: str, used: int, *, write: str) -> None:
        """Add to the count of a skill's uses; `write` names the write."""
        more = update(skills).where(skills.c.key == key).values(used=skills.c.used + used)
        with self._writing(write) as connection:
            if connection is not None:
                connection.execute(more)

    def drop(self, key: str, reason: str) -> None:
        """Let a skill be found no more."""
        with self._connected() as connection, connection.begin():
            connection.execute(update(skills).where(skills.c.key == key).values(dropped=reason))

    @contextmanager
    def _writing(self, write: str) -> Iterator[Connection | None]:
        """Give a connection in a transaction; None when the write of that name has happened."""
        with self._connected() as connection, connection.begin():
            if connection.execute(select(writes).where(writes.c.key == write)).first():
                yield None
                return
            connection.execute(insert(writes).values(key=write))
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        file = Path(self._path).expanduser()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(
                f"sqlite:///{file}", poolclass=NullPool, connect_args={"timeout": LOCK_WAIT_S}
            )
            event.listen(engine, "connect", _begin_ourselves)
            event.listen(engine, "begin", _begin_at_once)
            with engine.connect() as connection:
                self._prepare(connection)
                yield connection
        except (SQLAlchemyError, OSError) as error:
            said = str(getattr(error, "orig", None) or error)
            raise self._refused(said) from error

    def _prepare(self, connection: Connection) -> None:
        """Make the tables in a new file; refuse what is no library of ours."""
        with connection.begin():
            kind = connection.execute(text("PRAGMA application_id")).scalar()
            version = connection.execute(text("PRAGMA user_version")).scalar() or 0
            if kind == APPLICATION_ID:
                if version > SCHEMA_VERSION:
                    raise self._refused("a newer version of agentflow wrote it: upgrade agentflow")
                return
            if inspect(connection).get_table_names():
                raise self._refused("a database of something else: give another path")
            metadata.create_all(connection)
            connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))

    def _refused(self, problem: str) -> InputError:
        return InputError(step="skills", problem=f"{self._path}: {problem}")


def _begin_ourselves(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # or the driver would begin and commit where it likes


def _begin_at_once(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # two that read first would lock each other out
