"""Pruning takes what it is told to, and nothing that anybody still needs."""

import subprocess
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from agentflow import Runner
from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.content import payload_hash
from agentflow.journal.journal import Journal
from agentflow.journal.upkeep.prune import Criteria, Pruned, compact, prune
from agentflow.journal.upkeep.verify import verify
from tests import warm
from tests.agentflow.journal.upkeep.parts import LONG, asks, execute, opened, runner, shouts, talk

pytestmark = pytest.mark.anyio
DAY_S = 86_400.0


def pruned(journal: str, *, dry_run: bool = False, **criteria: Any) -> Pruned:
    with opened(journal) as store:
        return prune(store, Criteria(**criteria), dry_run=dry_run)


def left(journal: str) -> list[str]:
    with Journal(journal) as found:
        return [head.id for head in found.heads()][::-1]


def is_clean(journal: str) -> bool:
    with opened(journal) as store:
        found = verify(store)
    return (found.problems, found.orphans) == ((), 0)


async def three(journal: str) -> None:
    """Record runs `old` (40 days), `bad` (20 days) and `new`."""
    await runner(journal).run_as("old", shouts, ["a", LONG])
    with pytest.raises(Exception, match="nothing"):
        await runner(journal).run_as("bad", shouts, [LONG, ""])
    await runner(journal).run_as("new", shouts, [LONG, "c"])
    runs, events = tables.runs, tables.events
    for name, days in (("old", 40), ("bad", 20)):
        at_us = round((time.time() - days * DAY_S) * 1e6)
        number = select(runs.c.number).where(runs.c.id == name).scalar_subquery()
        times = {"created_at": at_us / 1e6, "ended_at": at_us / 1e6}
        execute(
            journal,
            update(runs).where(runs.c.id == name).values(times),
            update(events).where(events.c.run == number, events.c.type == 8).values(at_us=at_us),
        )


@pytest.mark.parametrize(
    ("criteria", "goes"),
    [
        ({"older_than_s": 30 * DAY_S}, ["old"]),
        ({"older_than_s": 10 * DAY_S}, ["bad", "old"]),
        ({"older_than_s": 10 * DAY_S, "statuses": ("failed",)}, ["bad"]),
        ({"statuses": ("succeeded", "paused")}, ["new", "old"]),
        ({"keep": 1}, ["bad", "old"]),
        ({"keep": 2, "statuses": ("failed",)}, []),
        ({"keep": 0}, ["new", "bad", "old"]),
        ({"runs": ("ol", "new")}, ["new", "old"]),
        ({"runs": ("old",), "statuses": ("failed",)}, []),
    ],
)
async def test_what_meets_all_criteria_goes_and_the_rest_still_reads_and_replays(
    journal: str, criteria: dict[str, Any], goes: list[str]
) -> None:
    await three(journal)
    would = pruned(journal, dry_run=True, **criteria)
    assert left(journal) == ["old", "bad", "new"]
    did = pruned(journal, **criteria)
    assert did == would
    assert [run.run for run in did.runs] == goes
    assert left(journal) == [name for name in ("old", "bad", "new") if name not in goes]
    with opened(journal) as store:
        found = verify(store)
    assert found.problems == ()
    assert found.orphans == 0
    for name in left(journal):
        if name != "bad":
            await runner(journal).replay(shouts, name)


async def test_the_bytes_named_are_those_that_go(journal: str) -> None:
    await three(journal)
    only_old = pruned(journal, dry_run=True, runs=("old",))
    everything = pruned(journal, dry_run=True, keep=0)
    shared = len(f'"{LONG.upper() * 40}"')
    assert 0 < only_old.payload_bytes <= everything.payload_bytes - shared
    assert only_old.content_bytes > only_old.runs[0].content_bytes > 0


async def test_nothing_given_is_refused_and_so_is_an_unknown_run(journal: str) -> None:
    await three(journal)
    with pytest.raises(ValueError, match="say which runs"):
        pruned(journal)
    with pytest.raises(UnknownRunError):
        pruned(journal, runs=("old", "none"))
    assert len(left(journal)) == 3


async def test_answers_that_people_left_go_with_their_run(journal: str) -> None:
    with pytest.raises(Exception, match="paused"):
        await runner(journal).run_as("asks", asks)
    with Journal(journal) as found:
        found.answer("asks", "so")
    pruned(journal, statuses=("paused",))
    with opened(journal) as store, store.engine.connect() as connection:
        count = select(func.count()).select_from(tables.inbox)
        assert connection.execute(count).scalar_one() == 0


async def test_annotations_go_with_their_run_and_with_no_other(journal: str) -> None:
    await three(journal)
    with Journal(journal) as found:
        found.annotate("old", "long ago", step=2)
        found.annotate("old", "and whole")
        kept = found.annotate("new", "of today", step=2)
    pruned(journal, dry_run=True, runs=("old",))
    with Journal(journal) as found:
        assert len(found.annotations("old")) == 2
    pruned(journal, runs=("old",))
    assert is_clean(journal)
    with opened(journal) as store, store.engine.connect() as connection:
        rows = connection.execute(select(tables.annotations.c.id)).scalars().all()
    assert rows == [kept.id]


async def test_a_cached_answer_outlives_the_run_it_came_from(journal: str) -> None:
    model = runner(journal).model
    cached = Runner(journal=journal, model=model, cache_models=True)
    await cached.run_as("first", talk, 2)
    asked = len(model.asked)  # type: ignore[union-attr]
    pruned(journal, keep=0)
    again = await cached.run_as("second", talk, 2)
    assert len(model.asked) == asked  # type: ignore[union-attr]
    assert "you said" in again.output or "go on" in again.output
    assert is_clean(journal)


async def test_orphans_of_earlier_days_go_too(journal: str) -> None:
    await three(journal)
    row = {"hash": payload_hash(b"y" * 300), "data": b"y" * 300}
    execute(journal, insert(tables.payloads).values(row))
    assert pruned(journal, keep=3).payloads == 1
    assert is_clean(journal)


async def test_an_unreadable_cell_stops_it_before_anything_is_removed(journal: str) -> None:
    await three(journal)
    execute(journal, update(tables.events).where(tables.events.c.number == 2).values(input=b"?"))
    with pytest.raises(JournalError, match="journal verify"):
        pruned(journal, runs=("new",))
    assert len(left(journal)) == 3


async def test_compacting_gives_the_space_back(sqlite_journal: str) -> None:
    await runner(sqlite_journal).run_async(shouts, [chr(97 + n) * 4000 for n in range(20)])
    before = Path(sqlite_journal).stat().st_size
    pruned(sqlite_journal, keep=0)
    assert Path(sqlite_journal).stat().st_size >= before
    with opened(sqlite_journal) as store:
        assert compact(store) > 500_000
    assert Path(sqlite_journal).stat().st_size < before / 10


WRITER = """
    import sys
    from agentflow import Runner, flow, tool
    from tests.agentflow.journal.upkeep.parts import LONG, shout

    @tool
    def pause() -> int:
        print("here", flush=True)
        return len(sys.stdin.readline())

    @flow
    async def writes() -> int:
        await shout(LONG, 40)
        await pause()
        await shout(LONG, 40)  # its payloads are remembered, so they are not written again
        return 1

    Runner(journal=sys.argv[1]).run(writes)
"""


@pytest.mark.parametrize("is_lease_over", [False, True])
async def test_a_run_another_process_writes_stays_with_all_it_remembers_having_written(
    journal: str, tmp_path: Path, is_lease_over: bool
) -> None:
    await runner(journal).run_as("same", shouts, [LONG])
    script = tmp_path / "writes.py"
    script.write_text(textwrap.dedent(WRITER))
    folder = Path(__file__).parents[4]
    environment = {"PYTHONPATH": str(folder)}
    words = [str(script), journal]
    with warm.Process(words, cwd=folder, env=environment, stdin=subprocess.PIPE) as writing:
        assert writing.stdout.readline() == "here\n"
        if is_lease_over:  # as after the machine has slept
            execute(journal, update(tables.runs).values(lease_until=1.0))
        found = pruned(journal, keep=0)
        assert [run.run for run in found.runs] == ["same"]
        assert left(journal) == list(found.busy)
        with opened(journal) as store, pytest.raises(JournalError):
            compact(store)
        writing.communicate("go\n", timeout=60)
    assert writing.returncode == 0
    assert is_clean(journal)
    with opened(journal) as store:
        assert verify(store).events > 8


MANY = """
    import sys
    from agentflow import Runner
    from tests.agentflow.journal.upkeep.parts import LONG, shouts
    for _ in range(12):
        Runner(journal=sys.argv[1]).run(shouts, [LONG, LONG + "b"])
"""


async def test_pruning_beside_writers_never_takes_a_payload_that_is_in_use(
    journal: str, tmp_path: Path
) -> None:
    await runner(journal).run_as("first", shouts, [LONG])
    script = tmp_path / "many.py"
    script.write_text(textwrap.dedent(MANY))
    folder = Path(__file__).parents[4]
    environment, words = {"PYTHONPATH": str(folder)}, [str(script), journal]
    with ExitStack() as stack:
        running = [
            stack.enter_context(warm.Process(words, cwd=folder, env=environment)) for _ in range(2)
        ]
        gone = 0
        while any(process.poll() is None for process in running):
            gone += len(pruned(journal, keep=0).runs)
            assert is_clean(journal)
        assert [process.returncode for process in running] == [0, 0]
    assert gone > 0
    assert gone + len(left(journal)) == 25
