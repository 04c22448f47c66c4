"""The tables of a journal.

Owns the schema and its version. `events` and `payloads` only ever grow; `runs` is a small index of
run names to numbers. Everything a reader wants to know of a step is a fold over its events.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 1

metadata = MetaData()

# Primary keys are INTEGER on SQLite, where only that type is the row id.
_Big = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "agentflow_meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("number", _Big, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
)

payloads = Table(
    "payloads",
    metadata,
    Column("hash", LargeBinary(16), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("run", _Big, ForeignKey("runs.number"), primary_key=True),
    Column("number", _Big, primary_key=True),
    Column("type", String(16), nullable=False),
    Column("at", Float, nullable=False),
    Column("step", _Big),
    Column("parent", _Big),
    Column("key", LargeBinary(16)),
    Column("name", Text),
    Column("kind", String(8)),
    Column("payload", LargeBinary(16)),
    Column("details", Text),
    sqlite_with_rowid=False,
)
