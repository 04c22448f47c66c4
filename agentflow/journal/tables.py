"""The tables of a journal.

Owns the schema and its version; how an older one becomes this one is in `migrations.py`. `events`
and `payloads` only ever grow. `runs` is an index of the runs: who writes one, and how it stands, so
that a list of runs reads no events. Everything a reader wants to know of a step is a fold over its
events.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 3

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
    # The lease: who may write this run, and which time it was claimed. See `lease.py`.
    Column("owner", Text),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("lease_until", Float),
    # How it stands, as of the last commit that said so. See `summary.py`.
    Column("flow", Text),
    Column("parent", String(64)),
    Column("status", String(16)),
    Column("ended_at", Float),
    Column("steps", Integer),
    Column("tokens", BigInteger),
    Column("cost_usd", Float),
)

# With row ids: without them SQLite keeps only the beginning of a row of over 1,002 bytes in the tree, and gives the
# rest pages of its own, so that a text of 1,100 bytes takes 4,700. Journals made before have them so, and stay.
payloads = Table(
    "payloads",
    metadata,
    Column("hash", LargeBinary(16), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

# One row an event, except that a step which began and ended within one commit is one row: `number`
# and `at_us` are those of its end, `span` and `took_us` lead back to its beginning.
events = Table(
    "events",
    metadata,
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

# Answers of people that wait for the run to take them. Anybody may write here, whoever owns the run.
inbox = Table(
    "inbox",
    metadata,
    Column("run", _Big, ForeignKey("runs.number"), primary_key=True),
    Column("key", LargeBinary(16), primary_key=True),
    Column("answer", LargeBinary, nullable=False),
    Column("at", Float, nullable=False),
)

# What people write on runs and steps, during a run or long after. No event, so it can be taken back;
# like the inbox it is open to anybody. An id is never given twice, whatever was removed.
annotations = Table(
    "annotations",
    metadata,
    Column("id", _Big, primary_key=True, autoincrement=True),
    Column("run", _Big, ForeignKey("runs.number"), nullable=False, index=True),
    Column("step", _Big),
    Column("text", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_autoincrement=True,
)

# Results that other runs may take over: by fingerprint, with where they come from.
answers = Table(
    "answers",
    metadata,
    Column("fingerprint", LargeBinary(16), primary_key=True),
    Column("run", String(64), nullable=False),
    Column("step", _Big, nullable=False),
    Column("at", Float, nullable=False),
    Column("output", LargeBinary, nullable=False),
    Column("details", Text),
    sqlite_with_rowid=False,
)
