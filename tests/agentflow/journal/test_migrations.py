"""A journal that an older version wrote opens, reads, replays and resumes."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from agentflow import Journal, Reply, Runner, flow, generate, note, parallel, tool
from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.store import Store
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

STORES = Path(__file__).parent / "stores"
doubled: list[int] = []


@tool
async def double(x: int) -> int:
    """Return twice `x`."""
    doubled.append(x)
    if x < 0:
        raise ValueError("negative")
    return 2 * x


@flow
async def totals(xs: list[int]) -> int:
    """The flow of the recorded runs."""
    note("adding")
    reply: Reply = await generate("Say how.")
    return sum(await parallel(double(x) for x in xs)) + len(reply.text)


@pytest.fixture(params=[1, 2])
def old_version(request: pytest.FixtureRequest) -> int:
    version: int = request.param
    return version


@pytest.fixture
def old_journal(old_version: int, tmp_path: Path) -> str:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript((STORES / f"schema_{old_version}.sql").read_text())
    connection.close()
    return str(path)


async def test_runs_of_an_older_store_are_read_and_listed_as_they_were(
    old_journal: str, old_version: int
) -> None:
    with Journal(old_journal) as journal:
        heads = {head.id: head for head in journal.heads()}
        finished = journal.run("00000001finished")
        failed = journal.run("00000002failed")
    broke_off = "interrupted" if old_version == 1 else "stopped"
    assert [heads[name].status for name in sorted(heads)] == ["succeeded", "failed", broke_off]
    assert heads["00000001finished"].steps == len(finished.steps) == 5
    assert heads["00000001finished"].tokens == finished.usage.total_tokens == 5
    assert heads["00000001finished"].cost_usd == finished.cost_usd
    assert finished.value() == 342
    assert finished.root is not None
    assert [remark.text for remark in finished.root.notes] == ["adding"]
    assert failed.failure is not None
    assert failed.failure.message == "tool double: ValueError: negative"
    assert failed.failure.trace.startswith("Traceback")


async def test_a_run_of_an_older_store_replays(old_journal: str) -> None:
    doubled.clear()
    replayed = await Runner(journal=old_journal).replay(totals, "00000001finished")
    assert replayed.output == 342
    assert doubled == []


async def test_a_run_of_an_older_store_resumes_without_repeating_what_is_done(
    old_journal: str,
) -> None:
    doubled.clear()
    model = Scripted(lambda _prompt: "unused")
    resumed = await Runner(journal=old_journal, model=model).resume(totals, "00000003stopped")
    assert resumed.output == 342
    assert model.asked == [], "the model had answered before the kill"
    assert sorted(doubled) == [2, 3]
    assert (await Runner(journal=old_journal).replay(totals, "00000003stopped")).output == 342


async def test_an_older_store_gets_the_tables_of_a_new_one(
    old_journal: str, tmp_path: Path
) -> None:
    with Journal(old_journal):
        pass
    Store(tmp_path / "new.db").close()

    new_journal = str(tmp_path / "new.db")
    assert layout(f"sqlite:///{old_journal}") == layout(f"sqlite:///{new_journal}")
    with sqlite3.connect(old_journal) as old, sqlite3.connect(new_journal) as new:
        query = "SELECT sql FROM sqlite_master WHERE tbl_name = 'annotations' ORDER BY name"
        assert old.execute(query).fetchall() == new.execute(query).fetchall()


def layout(url: str) -> dict[str, Any]:
    """Return the columns and indexes of each table."""
    engine = create_engine(url)
    look = inspect(engine)
    found = {
        table: (
            {(item["name"], item["nullable"]) for item in look.get_columns(table)},
            [(item["name"], item["column_names"]) for item in look.get_indexes(table)],
        )
        for table in look.get_table_names()
    }
    engine.dispose()
    return found


async def test_a_run_of_an_older_store_can_be_annotated(old_journal: str) -> None:
    with Journal(old_journal) as journal:
        assert journal.annotations("00000001finished") == []
        written = journal.annotate("00000001finished", "as in old times", step=3, tag="old")
        assert journal.annotations("00000001finished") == [written]
    with Journal(old_journal) as journal:
        assert journal.annotations("00000001finished", step=3) == [written]


async def test_an_older_store_in_postgresql_is_migrated_too(postgres_journal: str) -> None:
    store = Store(postgres_journal)
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE events, inbox, annotations, answers, payloads, runs"))
        connection.execute(text("UPDATE agentflow_meta SET value = '1'"))
        for statement in OLD_IN_POSTGRES:
            connection.execute(text(statement))
    store.close()
    with Journal(postgres_journal) as journal:
        record = journal.run("old")
        assert [head.status for head in journal.heads()] == ["succeeded"]
        journal.annotate("old", "from 1", step=1)
    assert record.value() == 4
    assert [step.name for step in record.steps.values()] == ["four"]


async def test_a_store_of_schema_2_in_postgresql_gets_the_tables_of_a_new_one(
    postgres_journal: str,
) -> None:
    url = postgres_journal.replace("postgresql://", "postgresql+psycopg://")
    store = Store(postgres_journal)
    new = layout(url)
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE annotations"))
        connection.execute(text("UPDATE agentflow_meta SET value = '2'"))
    store.close()
    doubled.clear()
    model = Scripted(lambda _prompt: "so")
    await Runner(journal=postgres_journal, model=model).run_as("run", totals, [1])
    assert layout(url) == new
    with Journal(postgres_journal) as journal:
        written = journal.annotate("run", "from 2", step=1)
        assert journal.annotations("run") == [written]


OLD_IN_POSTGRES = (
    "CREATE TABLE runs (number BIGSERIAL PRIMARY KEY, id VARCHAR(64) UNIQUE NOT NULL, created_at FLOAT NOT NULL)",
    "CREATE TABLE payloads (hash BYTEA PRIMARY KEY, data BYTEA NOT NULL)",
    """CREATE TABLE events (run BIGINT REFERENCES runs (number), number BIGINT, type VARCHAR(16) NOT NULL,
       at FLOAT NOT NULL, step BIGINT, parent BIGINT, key BYTEA, name TEXT, kind VARCHAR(8), payload BYTEA,
       details TEXT, PRIMARY KEY (run, number))""",
    "INSERT INTO runs VALUES (1, 'old', 1.5)",
    "INSERT INTO payloads VALUES ('\\x01', '{}'), ('\\x02', '4')",
    "UPDATE payloads SET hash = decode(repeat(encode(hash, 'hex'), 16), 'hex')",
    """INSERT INTO events VALUES
       (1, 1, 'run_started', 1.5, NULL, NULL, NULL, 'four', NULL, decode(repeat('01', 16), 'hex'), '{"target": "m:four", "settings": {}}'),
       (1, 2, 'started', 1.6, 1, NULL, decode(repeat('aa', 16), 'hex'), 'four', 'flow', decode(repeat('01', 16), 'hex'), NULL),
       (1, 3, 'finished', 1.7, 1, NULL, NULL, NULL, NULL, decode(repeat('02', 16), 'hex'), NULL),
       (1, 4, 'run_finished', 1.8, NULL, NULL, NULL, NULL, 'succeede', decode(repeat('02', 16), 'hex'), '{"status": "succeeded"}')""",
)


async def test_a_store_of_a_newer_version_is_refused_with_what_to_do(old_journal: str) -> None:
    with sqlite3.connect(old_journal) as connection:
        connection.execute(f"UPDATE agentflow_meta SET value = '{tables.SCHEMA_VERSION + 1}'")
    with pytest.raises(JournalError, match=r"newer agentflow .* upgrade agentflow"):
        Journal(old_journal)


async def test_a_migration_that_is_cut_short_has_not_happened(
    old_journal: str, old_version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentflow.journal import migrations

    def fails(operations: object) -> None:
        last(operations)
        raise OSError("the power went out")

    last: Any = migrations._MIGRATIONS[tables.SCHEMA_VERSION]
    with monkeypatch.context() as patch:
        patch.setitem(migrations._MIGRATIONS, tables.SCHEMA_VERSION, fails)
        with pytest.raises(JournalError, match="power went out"):
            Journal(old_journal)
    with sqlite3.connect(old_journal) as connection:
        (version,) = connection.execute("SELECT value FROM agentflow_meta").fetchone()
    assert version == str(old_version)
    with Journal(old_journal) as journal:
        assert journal.run("00000001finished").value() == 342


@pytest.mark.parametrize("version", ["two", "", None])
async def test_a_damaged_version_is_a_typed_error(old_journal: str, version: str | None) -> None:
    with sqlite3.connect(old_journal) as connection:
        connection.execute("DELETE FROM agentflow_meta")
        if version is not None:
            connection.execute("INSERT INTO agentflow_meta VALUES ('schema', ?)", (version,))
    with pytest.raises(JournalError, match=r"schema version is .*damaged"):
        Journal(old_journal)
