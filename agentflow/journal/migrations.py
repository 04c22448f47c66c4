"""Bring an older journal up to date.

Owns one function a version, in order. Each describes the tables as they were in its time, never as
they are now, and runs in the transaction that also writes the new version: a migration that is cut
short has not happened. Alembic gives the operations; it is imported only when there is work to do.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

_Big = BigInteger().with_variant(Integer, "sqlite")
CHUNK_ROWS = 1000


def migrate(connection: Connection, found: int, wanted: int) -> None:
    """Run the migrations from version `found` to `wanted` inside the caller's transaction."""
    operations = Operations(MigrationContext.configure(connection))
    for version in range(found + 1, wanted + 1):
        _MIGRATIONS[version](operations)


def _to_2(operations: Operations) -> None:
    """Short content inside the row, a step in one row, leases, summaries, inbox, answers."""
    for column in (
        Column("owner", Text),
        Column("epoch", Integer, nullable=False, server_default="0"),
        Column("lease_until", Float),
        Column("flow", Text),
        Column("parent", String(64)),
        Column("status", String(16)),
        Column("ended_at", Float),
        Column("steps", Integer),
        Column("tokens", BigInteger),
        Column("cost_usd", Float),
    ):
        operations.add_column("runs", column)
    operations.create_table(
        "inbox",
        Column("run", _Big, ForeignKey("runs.number"), primary_key=True),
        Column("key", LargeBinary(16), primary_key=True),
        Column("answer", LargeBinary, nullable=False),
        Column("at", Float, nullable=False),
    )
    operations.create_table(
        "answers",
        Column("fingerprint", LargeBinary(16), primary_key=True),
        Column("run", String(64), nullable=False),
        Column("step", _Big, nullable=False),
        Column("at", Float, nullable=False),
        Column("output", LargeBinary, nullable=False),
        Column("details", Text),
        sqlite_with_rowid=False,
    )
    new = operations.create_table(
        "events_2",
        Column("run", _Big, ForeignKey("runs.number"), primary_key=True),
        Column("number", _Big, primary_key=True),
        Column("type", SmallInteger, nullable=False),
        Column("at_us", BigInteger, nullable=False),
        Column("step", _Big),
        Column("span", _Big),
        Column("took_us", BigInteger),
        Column("parent", _Big),
        Column("key", LargeBinary(16)),
        Column("name", Text),
        Column("kind", SmallInteger),
        Column("input", LargeBinary),
        Column("output", LargeBinary),
        Column("details", Text),
        sqlite_with_rowid=False,
    )
    _copy_events_1(operations.get_bind(), new)
    operations.drop_table("events")
    operations.rename_table("events_2", "events")


def _copy_events_1(connection: Connection, new: Table) -> None:
    old = connection.execute(text("SELECT * FROM events ORDER BY run, number"))
    for chunk in old.partitions(CHUNK_ROWS):
        connection.execute(new.insert(), [_row_2(row) for row in chunk])
    for row in list(_summaries_1(connection, new)):
        columns = ", ".join(f"{name} = :{name}" for name in row if name != "number")
        connection.execute(text(f"UPDATE runs SET {columns} WHERE number = :number"), row)  # noqa: S608 - own names


_TYPES_1 = {
    "run_started": (1, "input"),
    "started": (2, "input"),
    "finished": (3, "output"),
    "failed": (4, "output"),
    "cancelled": (5, "output"),
    "expanded": (6, "output"),
    "noted": (7, "output"),
    "run_finished": (8, "output"),
}
_KINDS_1 = ("flow", "model", "tool", "code", "ask", "plan", "program")
_STATUSES_1 = ("succeeded", "failed", "interrupted")


def _row_2(old: Any) -> dict[str, Any]:
    number, column = _TYPES_1[old.type]
    details, kind = old.details, None
    if old.type == "run_finished":
        found = json.loads(details)
        kind = _STATUSES_1.index(found.pop("status"))
        details = json.dumps(found) if found else None
    elif old.kind is not None:
        kind = _KINDS_1.index(old.kind)
    content = None if old.payload is None else b"#" + bytes(old.payload)
    row = {"run": old.run, "number": old.number, "type": number, "at_us": round(old.at * 1e6)}
    row |= dict.fromkeys(("span", "took_us", "input", "output"))
    row |= {"step": old.step, "parent": old.parent, "key": old.key, "name": old.name}
    return row | {"kind": kind, "details": details, column: content}


def _summaries_1(connection: Connection, new: Table) -> Iterator[dict[str, Any]]:
    """Yield what the list of runs shows of each run."""
    columns = new.c
    starts = connection.execute(
        new.select().where(columns.type == 1).order_by(columns.run, columns.number)
    )
    for start in starts.all():
        of_run = connection.execute(new.select().where(columns.run == start.run)).all()
        ends = [row for row in of_run if row.type == 8]
        usages = [json.loads(row.details) for row in of_run if row.type == 3 and row.details]
        costs = [found.get("cost_usd") for found in usages if "usage" in found]
        spent = [found["usage"] for found in usages if "usage" in found]
        yield {
            "number": start.run,
            "flow": start.name,
            "status": _STATUSES_1[ends[-1].kind] if ends else "interrupted",
            "ended_at": ends[-1].at_us / 1e6 if ends else None,
            "steps": sum(row.type == 2 for row in of_run),
            "tokens": sum(one["input_tokens"] + one["output_tokens"] for one in spent),
            "cost_usd": None if None in costs else sum(costs),
        }


def _to_3(operations: Operations) -> None:
    """What people write on runs and steps."""
    operations.create_table(
        "annotations",
        Column("id", _Big, primary_key=True, autoincrement=True),
        Column("run", _Big, ForeignKey("runs.number"), nullable=False),
        Column("step", _Big),
        Column("text", Text, nullable=False),
        Column("tag", Text, nullable=False),
        Column("at", Float, nullable=False),
        sqlite_autoincrement=True,
    )
    operations.create_index("ix_annotations_run", "annotations", ["run"])


_MIGRATIONS: dict[int, Callable[[Operations], None]] = {2: _to_2, 3: _to_3}
