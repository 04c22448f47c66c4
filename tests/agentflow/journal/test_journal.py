"""The journal: what is written, when it is committed, and that it reads back whole."""

import signal
import textwrap
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Flow, Journal, Runner, flow, note, parallel, tool
from agentflow.errors import JournalError, PayloadError, ToolError, UnknownRunError
from agentflow.journal.content import Payloads
from agentflow.journal.events import (
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store
from agentflow.journal.writer import JournalWriter
from tests import warm
from tests.parts import shape

pytestmark = pytest.mark.anyio


def query(journal: str, statement: str) -> int:
    """Return the number that another connection finds."""
    store = Store(journal, create=False)
    with store.engine.connect() as connection:
        found = int(connection.exec_driver_sql(statement).scalar_one())
    store.close()
    return found


@tool
def double(x: int) -> int:
    """Return twice `x`."""
    if x < 0:
        raise ValueError("too small")
    return 2 * x


@flow
async def doubles(xs: list[int]) -> list[int]:
    note("doubling", count=len(xs))
    return await parallel(double(x) for x in xs)


async def test_what_is_read_back_is_what_happened(journal: str) -> None:
    result = await Runner(journal=journal).run_async(doubles, [1, 2, 3])
    with Journal(journal) as opened:
        record = opened.run(result.id)
    assert record == result.record
    assert record.value() == [2, 4, 6]
    assert record.status == "succeeded"
    root = record.root
    assert root is not None
    assert [step.parent for step in record.steps.values()] == [None, 1, 1, 1]
    assert [note.text for note in root.notes] == ["doubling"]


async def test_a_failed_run_keeps_its_error_and_where_it_happened(journal: str) -> None:
    with pytest.raises(ToolError, match="too small"):
        await Runner(journal=journal).run_async(doubles, [-1])
    with Journal(journal) as opened:
        record = opened.run("last")
    assert record.status == "failed"
    failure = record.steps[2].failure
    assert failure is not None
    assert (failure.name, failure.message) == ("ToolError", "tool double: ValueError: too small")
    assert "raise ValueError" in failure.trace


async def test_equal_payloads_are_stored_once(journal: str) -> None:
    big = "x" * 50_000

    @flow
    async def echo(text: str) -> str:
        return text

    @flow
    async def echoes() -> int:
        return len(await parallel(echo(big) for _ in range(20)))

    await Runner(journal=journal).run_async(echoes)
    assert query(journal, "SELECT sum(length(data)) FROM payloads") < 200_000


async def test_several_runs_share_a_journal_and_are_listed_newest_first(journal: str) -> None:
    runner = Runner(journal=journal)
    ids = [(await runner.run_async(doubles, [number])).id for number in range(3)]
    with Journal(journal) as opened:
        assert [record.id for record in opened.runs()] == ids[::-1]
        assert opened.run("last").id == ids[-1]
        with pytest.raises(UnknownRunError, match="agentflow runs"):
            opened.run("nothing")
        assert [event.number for event in opened.events(ids[0], after=3)] == list(range(4, 8))


async def test_a_value_the_journal_cannot_store_is_named(journal: str) -> None:
    @flow
    async def makes_a_function() -> object:
        return [1, {"inner": len}]

    with pytest.raises(
        PayloadError, match=r"makes_a_function: value\[1\]\['inner'\] is a builtin_f"
    ):
        await Runner(journal=journal).run_async(makes_a_function)


text = st.text(st.characters(codec="utf-8"), max_size=8)
details = st.dictionaries(text, st.integers() | text, max_size=3)
failures = st.builds(Failure, name=text, message=text, facts=details, trace=text)
common = {
    "number": st.integers(1, 10**9),
    "at": st.integers(0, 4 * 10**15).map(lambda us: us / 1e6),
}
steps = {**common, "step": st.integers(1, 10**6)}
any_event = st.one_of(
    st.builds(RunStarted, **common, flow=text, target=text, input=st.binary(), settings=details),
    st.builds(
        StepStarted,
        **steps,
        key=st.binary(min_size=16, max_size=16),
        parent=st.none() | st.integers(1, 9),
        name=text,
        kind=st.sampled_from(["flow", "model", "tool", "code", "ask"]),
        input=st.binary(),
        details=details,
    ),
    st.builds(StepFinished, **steps, output=st.binary(), details=details),
    st.builds(StepFailed, **steps, failure=failures, refused=st.booleans()),
    st.builds(StepCancelled, **steps),
    st.builds(Expanded, **steps, kind=st.sampled_from(["plan", "program"]), content=st.binary()),
    st.builds(Noted, **steps, text=text, details=details),
    st.builds(RunFinished, **common, status=st.just("failed"), failure=failures),
    st.builds(RunFinished, **common, status=st.just("succeeded"), output=st.binary()),
)


@given(any_event)
def test_any_event_survives_the_way_through_a_row(event: Stored) -> None:
    from types import SimpleNamespace

    from agentflow.journal.rows import COLUMNS, from_rows, to_rows

    payloads: Payloads = {}
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in to_rows(1, [event], payloads)]
    read = from_rows([SimpleNamespace(**row) for row in rows], payloads.__getitem__)
    assert read == [event]


async def test_results_are_durable_before_they_are_visible(journal: str) -> None:
    seen: list[int] = []

    @tool
    async def look() -> int:
        """Return how many results are committed, as another process would see."""
        seen.append(query(journal, "SELECT count(*) FROM events WHERE type IN (3, 9)"))
        return len(seen)

    @flow
    async def looks() -> None:
        for _ in range(3):
            await look()

    await Runner(journal=journal).run_async(looks)
    assert seen == [0, 1, 2]


async def test_the_intent_of_an_effect_is_durable_before_it_starts(journal: str) -> None:
    @tool(effect=True)
    async def pay() -> int:
        """Return how many started steps are committed."""
        return query(journal, "SELECT count(*) FROM events WHERE type = 2 AND name = 'pay'")

    @flow
    async def pays() -> int:
        found: int = await pay()
        return found

    runner = Runner(journal=journal, durability="behind")
    assert (await runner.run_async(pays)).output == 1


KILLED = """
    import os, signal, sys
    from agentflow import Runner, flow, tool

    @tool
    def count(x: int) -> int:
        with open(sys.argv[2], "a") as file:
            file.write(f"{x}\\n")
        if x == 5 and len(sys.argv) > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    @flow
    async def counts() -> int:
        return sum([await count(x) for x in range(10)])

    runner = Runner(journal=sys.argv[1])
    if len(sys.argv) > 3:
        runner.run(counts)
    else:
        import anyio
        print(anyio.run(runner.resume, counts, "last").output)
"""


def test_a_killed_run_resumes_without_repeating_what_was_finished(
    journal: str, tmp_path: Path
) -> None:
    script = tmp_path / "counts.py"
    script.write_text(textwrap.dedent(KILLED))
    calls = tmp_path / "calls"
    killed = warm.run(script, journal, calls, "die")
    assert killed.returncode == -signal.SIGKILL
    resumed = warm.run(script, journal, calls)
    assert (resumed.returncode, resumed.stdout.strip()) == (0, "45")
    assert calls.read_text().split() == ["0", "1", "2", "3", "4", "5", "5", "6", "7", "8", "9"]


async def test_an_interrupted_run_says_so_and_keeps_what_was_done(journal: str) -> None:
    reached = anyio.Event()

    @tool
    async def hang() -> None:
        """Never return."""
        reached.set()
        await anyio.sleep_forever()

    @flow
    async def does_then_hangs() -> int:
        done = await double(4)
        await hang()
        return done

    async with anyio.create_task_group() as group:
        group.start_soon(Runner(journal=journal).run_async, does_then_hangs)
        await reached.wait()
        group.cancel_scope.cancel()
    with Journal(journal) as opened:
        record = opened.run("last")
    assert record.status == "interrupted"
    assert [step.status for step in record.steps.values()] == [
        "cancelled",
        "succeeded",
        "cancelled",
    ]


def test_a_file_that_is_no_journal_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at " * 40)
    with pytest.raises(JournalError, match=r"notes.txt: file is not a database: .*--journal"):
        Store(path)


def test_a_missing_journal_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such journal; run something first"):
        Journal(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_journal_of_a_newer_version_is_refused(journal: str) -> None:
    store = Store(journal)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE agentflow_meta SET value = '99'")
    store.close()
    with pytest.raises(JournalError, match="newer agentflow"):
        Store(journal)


async def test_a_store_that_fails_stops_the_run_with_a_typed_error(journal: str) -> None:
    store = Store(journal)
    writer = JournalWriter(store, store.new_run("one"))
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE events")
    writer.append(StepCancelled(number=1, at=0.0, step=1))
    with pytest.raises(JournalError, match="events"):
        await writer.durable()
    with pytest.raises(JournalError):
        writer.append(StepCancelled(number=2, at=0.0, step=1))
    with pytest.raises(JournalError):
        await writer.aclose()
    store.close()


async def test_two_processes_write_different_runs_to_one_journal(
    journal: str, tmp_path: Path
) -> None:
    script = tmp_path / "counts.py"
    script.write_text(textwrap.dedent(KILLED).replace("x == 5", "x == 50"))
    words = [str(script), journal, str(tmp_path / "calls"), "go"]
    with ExitStack() as stack:
        running = [stack.enter_context(warm.Process(words)) for _ in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0]
    with Journal(journal) as opened:
        records = list(opened.runs())
    assert [record.value() for record in records] == [45, 45, 45]
    assert len({tuple(shape(record)) for record in records}) == 1


@flow
async def tree(depth: int) -> int:
    return 1 + sum(await parallel(tree(depth - 1), tree(depth - 1))) if depth else 1


@flow
async def fan(width: int) -> int:
    return sum(await parallel(double(x) for x in range(width)))


@pytest.mark.parametrize(("big", "size", "steps"), [(tree, 10, 2047), (fan, 1000, 1001)])
async def test_a_large_run_has_a_correct_journal(
    journal: str, big: Flow[[int], int], size: int, steps: int
) -> None:
    runner = Runner(journal=journal)
    result = await runner.run_async(big, size)
    with Journal(journal) as opened:
        events = opened.events(result.id)
    record = RunRecord.of(result.id, events)
    assert result.output == (2047 if big is tree else 999_000)
    assert len(record.steps) == steps
    assert list(record.steps) == list(range(1, steps + 1))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert all(step.status == "succeeded" for step in record.steps.values())
    assert all(step.parent is None or step.parent < step.number for step in record.steps.values())
    replayed = await runner.replay(big, result.id)
    assert shape(replayed.record) == shape(record)
