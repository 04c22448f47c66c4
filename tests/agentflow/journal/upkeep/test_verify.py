"""Each kind of damage is found and named with its run and event; nothing else is."""

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.events import (
    Expanded,
    Noted,
    RunStarted,
    StepCancelled,
    StepFinished,
    StepStarted,
)
from agentflow.journal.upkeep.verify import Verified, verify
from tests.agentflow.journal.upkeep.parts import (
    LONG,
    append,
    asks,
    execute,
    opened,
    runner,
    shouts,
    talk,
)

pytestmark = pytest.mark.anyio
columns, payloads, runs = tables.events.c, tables.payloads.c, tables.runs.c


def check(journal: str, run: str | None = None) -> Verified:
    with opened(journal) as store:
        return verify(store, run)


async def recorded(journal: str) -> str:
    """Return the id of run number 1: events 1 to 9, the note is 3, the tools' ends are whole rows."""
    return (await runner(journal).run_as("one", shouts, ["a", "b"])).id


async def test_runs_that_ended_in_any_way_are_clean(journal: str) -> None:
    with pytest.raises(Exception, match="nothing to shout"):
        await runner(journal).run_async(shouts, ["a", "", "c"])
    with pytest.raises(Exception, match="is paused"):
        await runner(journal).run_async(asks)
    await runner(journal).run_async(talk, 3)
    await recorded(journal)
    found = check(journal)
    assert (found.problems, found.runs, found.orphans) == ((), 4, 0)
    assert found.events > 20
    assert found.payloads > 3


async def test_a_branch_that_outlives_a_failed_flow_is_no_damage(journal: str) -> None:
    import asyncio

    from agentflow import flow, tool

    gone = asyncio.Event()

    @tool
    async def waits() -> None:
        await gone.wait()

    @flow
    async def fails() -> None:
        raise ValueError("at once")

    async def later() -> None:
        await waits()
        await waits()
        gone.clear()

    @flow
    async def gathers() -> None:
        await asyncio.gather(later(), fails())

    @flow
    async def outer() -> None:
        with pytest.raises(ValueError, match="at once"):
            await gathers()
        gone.set()
        while gone.is_set():
            await asyncio.sleep(0)

    await runner(journal).run_async(outer)
    assert check(journal).problems == ()


def added(*events: Any) -> Any:
    return events


DAMAGE: dict[str, tuple[Any, str]] = {
    "a gap": (
        delete(tables.events).where(columns.number == 3),
        "run one, event 3: events 3 to 3 are missing",
    ),
    "no beginning": (
        delete(tables.events).where(columns.number == 1),
        "run one, event 2: the first event is a StepStarted, not a RunStarted",
    ),
    "a number twice": (
        added(
            StepStarted(
                number=9,
                at=1.0,
                step=4,
                key=b"k" * 16,
                parent=None,
                name="x",
                kind="tool",
                input=b"",
            ),
            StepFinished(number=10, at=1.0, step=4, output=b""),
        ),
        "run one, event 9: there are two events 9",
    ),
    "an unknown parent": (
        update(tables.events).where(columns.step == 2).values(parent=99),
        "the start of step 2 belongs to step 99, which has not started",
    ),
    "a parent that comes later": (
        update(tables.events).where(columns.step == 2).values(parent=3),
        "the start of step 2 belongs to step 3, which has not started",
    ),
    "a second end": (
        added(StepCancelled(number=10, at=1.0, step=2)),
        "run one, event 10: step 2 ends a second time",
    ),
    "an end of nothing": (
        added(StepCancelled(number=10, at=1.0, step=77)),
        "run one, event 10: step 77 ends but has not started",
    ),
    "a note after the end": (
        added(Noted(number=10, at=1.0, step=2, text="late")),
        "run one, event 10: Noted belongs to step 2, which has ended",
    ),
    "an expansion of nothing": (
        added(Expanded(number=10, at=1.0, step=77, kind="plan", content=b"{}")),
        "run one, event 10: Expanded belongs to step 77, which has not started",
    ),
    "a child of an earlier attempt": (
        added(
            StepStarted(
                number=10,
                at=1.0,
                step=8,
                key=b"k" * 16,
                parent=None,
                name="x",
                kind="flow",
                input=b"",
            ),
            RunStarted(number=11, at=1.0, flow="shouts", target="x:y", input=b"{}", settings={}),
            StepCancelled(number=12, at=1.0, step=8),
        ),
        "run one, event 12: step 8 of an earlier attempt ends",
    ),
    "another status": (
        update(tables.runs).values(status="failed"),
        "run one: the list of runs says status failed, its events succeeded",
    ),
    "another number of steps": (
        update(tables.runs).values(steps=5),
        "run one: the list of runs says number of steps 5, its events 3",
    ),
    "another flow": (
        update(tables.runs).values(flow="shoots"),
        "run one: the list of runs says flow shoots, its events shouts",
    ),
    "an unknown type": (
        update(tables.events).where(columns.number == 3).values(type=44),
        "run one, event 3: it cannot be read: KeyError: 44",
    ),
    "details that are no JSON": (
        update(tables.events).where(columns.number == 3).values(details="{"),
        "run one, event 3: it cannot be read: JSONDecodeError",
    ),
    "a cell that is none": (
        update(tables.events).where(columns.step == 2).values(input=b"?"),
        "it cannot be read: ValueError: unreadable content",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
async def test_damage_is_named_with_run_and_event(journal: str, damage: Any, message: str) -> None:
    await recorded(journal)
    assert check(journal).problems == ()
    if isinstance(damage, tuple):
        append(journal, 1, damage)
    else:
        execute(journal, damage)
    said = [str(problem) for problem in check(journal).problems]
    assert any(message in line for line in said), said
    assert [str(problem) for problem in check(journal, "one").problems] == said


async def test_a_changed_or_missing_payload_is_named_where_it_is_used(journal: str) -> None:
    await runner(journal).run_as("other", shouts, ["x"])
    await runner(journal).run_as("one", shouts, [LONG])
    with opened(journal) as store, store.engine.connect() as connection:
        name = connection.execute(
            select(payloads.hash).where(payloads.data == f'"{LONG.upper() * 40}"'.encode())
        )
        name_of = bytes(name.scalar_one())
    execute(
        journal, update(tables.payloads).where(payloads.hash == name_of).values(data=b'"other"')
    )
    for run in (None, "one"):
        said = [str(problem) for problem in check(journal, run).problems]
        assert any("holds something else" in line for line in said)
        assert f"run one, event 5: its payload {name_of.hex()} is damaged" in said
    assert check(journal, "other").problems == ()
    execute(journal, delete(tables.payloads).where(payloads.hash == name_of))
    for run in (None, "one"):
        said = [str(problem) for problem in check(journal, run).problems]
        assert f"run one, event 5: its payload {name_of.hex()} is missing" in said


async def test_a_payload_nobody_uses_is_counted_and_no_problem(journal: str) -> None:
    await recorded(journal)
    from agentflow.journal.content import payload_hash

    row = {"hash": payload_hash(b"x" * 300), "data": b"x" * 300}
    execute(journal, insert(tables.payloads).values(row))
    found = check(journal)
    assert (found.problems, found.orphans, found.orphan_bytes) == ((), 1, 300)


async def test_a_cached_answer_without_its_payload_is_a_problem(journal: str) -> None:
    await recorded(journal)
    row = {"fingerprint": b"f" * 16, "run": "one", "step": 2, "at": 1.0, "output": b"#" + b"n" * 16}
    execute(journal, insert(tables.answers).values(row))
    assert [str(problem) for problem in check(journal).problems] == [
        f"journal: its payload {(b'n' * 16).hex()} is missing"
    ]


async def test_events_of_no_run_are_a_problem(sqlite_journal: str) -> None:
    await recorded(sqlite_journal)
    execute(sqlite_journal, delete(tables.runs))  # SQLite does not look at foreign keys
    assert [str(problem) for problem in check(sqlite_journal).problems] == [
        "journal: events of run number 1, which is not there"
    ]


async def test_a_run_that_nobody_released_may_have_an_old_index_row(journal: str) -> None:
    await recorded(journal)
    execute(
        journal, update(tables.runs).values(owner="elsewhere/|1|2", lease_until=1.0, status=None)
    )
    assert check(journal).problems == ()


async def test_an_unknown_run_is_said_to_be_unknown(journal: str) -> None:
    await recorded(journal)
    with pytest.raises(UnknownRunError, match="no run two"):
        check(journal, "two")


async def test_what_the_database_itself_finds_is_a_problem(sqlite_journal: str) -> None:
    await recorded(sqlite_journal)
    damaged = bytearray(Path(sqlite_journal).read_bytes())
    damaged[36:40] = b"\0\0\0\5"  # how many pages are free
    Path(sqlite_journal).write_bytes(damaged)
    (problem,) = check(sqlite_journal).problems
    assert "journal: the database is damaged: " in str(problem)


async def test_a_damaged_page_is_a_problem_or_a_typed_error_never_a_crash(
    sqlite_journal: str, tmp_path: Path
) -> None:
    for _ in range(3):
        await runner(sqlite_journal).run_async(shouts, [LONG, "b", LONG * 30])
    await runner(sqlite_journal).run_async(talk, 4)
    whole = Path(sqlite_journal).read_bytes()
    generator = random.Random(5)
    pages = len(whole) // 4096
    assert pages > 10
    for page in range(pages):
        for start, size in ((0, 4096), (4096 - 600, 300), (0, 8)):
            damaged = bytearray(whole)
            place = page * 4096 + start
            damaged[place : place + size] = generator.randbytes(size)
            path = tmp_path / "damaged.db"
            path.write_bytes(damaged)
            try:
                found = check(str(path))
            except JournalError:
                continue
            if size == 4096:
                assert found.problems, f"page {page}"


async def test_a_run_that_is_being_written_is_checked_as_far_as_it_is(journal: str) -> None:
    from agentflow import flow, tool

    seen: list[Verified] = []

    @tool
    def look() -> int:
        seen.append(check(journal))
        return 1

    @flow
    async def looks() -> int:
        await look()
        return await look()

    await runner(journal).run_async(looks)
    assert [found.problems for found in seen] == [(), ()]
    assert seen[1].events > seen[0].events
