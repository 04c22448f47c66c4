"""Pages of events: whatever way a run is cut into them, they tell what its record tells."""

import gzip
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentflow_web.reading import index as index_module
from agentflow_web.reading.columns import ERROR_CHARS
from agentflow_web.reading.index import Indexes, RunIndex
from agentflow_web.reading.pages import Pages, page
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.events import (
    Expanded,
    Noted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Stored,
)
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.store import Store
from tests.web.big_run import write_big_run
from tests.web.reading.logs import batches, logs
from tests.web.reading.parts import Client, Log, Step, followed, opened

SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=5)


@pytest.fixture
def store(sqlite_journal: str) -> Iterator[Store]:
    with opened(sqlite_journal, create=True) as store:
        yield store


def in_short(step: StepRecord) -> str:
    if step.failure is None:
        return ""
    lines = step.failure.message.strip().splitlines()
    text = f"{step.failure.name}: {lines[0]}" if lines else step.failure.name
    return text if len(text) <= ERROR_CHARS else text[: ERROR_CHARS - 1] + "…"


def near(at: float | None) -> Any:
    return None if at is None else pytest.approx(at, abs=6e-5)


def expected(step: StepRecord, start_event: int) -> Step:
    cost = step.cost_usd
    return Step(
        parent=step.parent,
        name=step.name,
        kind=step.kind,
        started_at=near(step.started_at),
        start_event=start_event,
        status=step.status,
        ended_at=near(step.ended_at),
        end_event=step.finished_event,
        tokens=(step.usage.input_tokens, step.usage.output_tokens),
        cost=-1 if cost is None else round(cost * 1e6),
        model=step.details.get("model"),
        error=in_short(step),
        attempts=step.details.get("attempts", 1),
        taken="origin" in step.details,
        effect=bool(step.details.get("effect")),
        links=step.links,
    )


def assert_tells(client: Client, events: list[Stored]) -> None:
    record = RunRecord.of("r1", events)
    starts = {event.step: event.number for event in events if isinstance(event, StepStarted)}
    assert client.steps == {n: expected(step, starts[n]) for n, step in record.steps.items()}
    assert client.last == record.last_event
    remarks = [event for event in events if isinstance(event, Expanded | Noted)]
    assert [(number, step) for _, number, step in client.remarks] == [
        (event.number, event.step or 0) for event in remarks
    ]


@given(events=logs(), sizes=SIZES, limit=st.integers(1, 60))
@settings(deadline=None, max_examples=60)
def test_all_pages_together_tell_what_the_record_tells(
    events: list[Stored], sizes: list[int], limit: int
) -> None:
    with opened(":memory:", create=True) as store:
        log = Log(store)
        for batch in batches(events, sizes):
            log.write(*batch)
        assert_tells(followed(RunIndex(store, "r1"), limit), events)


@given(events=logs(), sizes=SIZES, limits=st.lists(st.integers(1, 9), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_a_client_that_follows_a_growing_run_misses_nothing(
    events: list[Stored], sizes: list[int], limits: list[int]
) -> None:
    with opened(":memory:", create=True) as store:
        log, client, written = Log(store), Client(), 0
        index = RunIndex(store, "r1")
        for place, batch in enumerate(batches(events, sizes)):
            log.write(*batch)
            written += len(batch)
            followed(index, limits[place % len(limits)], client)
            assert client.last == written
        assert_tells(client, events)
        once = RunIndex(store, "r1")
        for after in range(len(events) + 1):
            assert page(index, after, 7) == page(once, after, 7)


def test_a_step_whose_row_is_not_read_yet_holds_back_what_follows_its_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "CHUNK_ROWS", 1)
    monkeypatch.setattr(index_module, "_MORE", index_module._MORE.limit(1))
    log = Log(store)
    log.write(begun(1), step_begun(2, 1), step_begun(3, 2), step_ended(4, 2), step_ended(5, 1))
    index = RunIndex(store, "r1")
    index.catch_up(1)
    assert (index.known.complete, index.known.last) == (1, 5)
    index.catch_up(2)
    assert index.known.complete == 5  # the row of event 4 tells of 3, that of event 5 of 2


def test_a_cursor_beyond_the_log_asks_for_a_fresh_start(store: Store) -> None:
    Log(store).write(begun(1))
    index = RunIndex(store, "r1")
    assert page(index, 1, 10)["types"] == ""
    assert page(index, 2, 10) == {"run": "r1", "reset": True}


@pytest.mark.parametrize(("after", "limit"), [(-1, 10), (0, 0), (0, 10**9)])
def test_a_page_out_of_bounds_is_refused(store: Store, after: int, limit: int) -> None:
    Log(store)
    with pytest.raises(ValueError, match="out of bounds"):
        page(RunIndex(store, "r1"), after, limit)


def test_a_full_page_is_kept_and_the_newest_is_not(store: Store) -> None:
    log, pages = Log(store), Pages()
    log.write(begun(1), step_begun(2, 1), step_begun(3, 2))
    index = RunIndex(store, "r1")
    assert not pages.encoded(index, 0, 3).is_final  # the newest says how the run stands
    log.write(step_ended(4, 2))
    full = pages.encoded(index, 0, 3)
    assert full.is_final
    log.write(step_ended(5, 1))
    assert pages.encoded(index, 0, 3) is full
    told = json.loads(gzip.decompress(full.body))
    assert told == {"v": 1, **page(index, 0, 3), "last": 4}


def test_a_run_that_was_rewritten_is_read_anew(store: Store) -> None:
    log, pages = Log(store), Pages()
    log.write(begun(1), step_begun(2, 1), step_ended(3, 1), begun(4))
    index = RunIndex(store, "r1")
    assert json.loads(gzip.decompress(pages.encoded(index, 0, 3).body))["types"] == "BSE"
    log.close()
    with store.writing() as connection:
        connection.execute(delete(tables.events))
        connection.execute(delete(tables.runs))
    with pytest.raises(UnknownRunError):
        page(index, 4, 10)
    Log(store).write(begun(1), step_begun(2, 1))
    assert page(index, 4, 10)["reset"]
    assert json.loads(gzip.decompress(pages.encoded(index, 0, 3).body))["types"] == "BS"


def test_a_run_without_events_has_an_empty_page(store: Store) -> None:
    Log(store)
    found = page(RunIndex(store, "r1"), 0, 10)
    assert (found["types"], found["to"], found["last"], found["status"]) == ("", 0, 0, "running")


def test_an_end_in_the_log_counts_before_the_list_of_runs_knows_it(store: Store) -> None:
    log = Log(store)
    log.write(begun(1), RunFinished(number=2, at=2.0, status="paused"))
    index = RunIndex(store, "r1")
    assert page(index, 0, 10)["status"] == "paused"
    log.write(begun(3))
    assert page(index, 2, 10)["status"] == "running"


DAMAGE: list[Any] = [
    delete(tables.events).where(tables.events.c.number == 3),
    update(tables.events).where(tables.events.c.number == 3).values(details="{"),
    update(tables.events).where(tables.events.c.number == 3).values(details="[1]"),
    update(tables.events).where(tables.events.c.number == 3).values(kind=77),
    update(tables.events).where(tables.events.c.number == 3).values(type=55),
    update(tables.events).where(tables.events.c.number == 3).values(step=1),
    update(tables.events).where(tables.events.c.number == 3).values(step=2**40),
    update(tables.events).where(tables.events.c.number == 4).values(number=2**60),
    update(tables.events).where(tables.events.c.number == 3).values(at_us=b"when"),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_event_is_an_error_that_names_the_store_after_what_is_sound(
    store: Store, damage: Any
) -> None:
    log = Log(store)
    for event in (begun(1), step_begun(2, 1), step_begun(3, 2, {"links": [1]}), step_begun(4, 3)):
        log.write(event)
    with store.writing() as connection:
        connection.execute(damage)
    index = RunIndex(store, "r1")
    sound = page(index, 0, 10)
    assert sound["types"] in ("BS", "BSS")
    with pytest.raises(JournalError, match="damaged") as caught:
        page(index, sound["to"], 10)
    assert store.name in str(caught.value)


def test_there_is_no_index_of_a_run_by_the_beginning_of_its_id(store: Store) -> None:
    Log(store, "r12")
    with pytest.raises(UnknownRunError):
        Indexes(store).of("r1")
    with pytest.raises(UnknownRunError):
        Indexes(store).of("last")


def test_many_threads_that_ask_at_once_get_the_same_pages(sqlite_journal: str) -> None:
    run = write_big_run(sqlite_journal, 3000)
    with opened(sqlite_journal) as store:
        index, found = RunIndex(store, run), []

        def follow() -> None:
            found.append(followed(index, 500).steps)

        threads = [threading.Thread(target=follow) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [found[0]] * 4


def test_a_large_run_is_the_same_in_every_store(any_journal: str) -> None:
    run = write_big_run(any_journal, 1500)
    with opened(any_journal) as store:
        index = RunIndex(store, run)
        client = followed(index, 1000)
        assert_tells(client, store.events(index.number))
        assert set(client.letters) == set("BSEFRCXNZ")
        assert client.status == "succeeded"


PROGRAM = """
    import sys
    import anyio
    from agentflow import Runner, flow, parallel, tool

    @tool
    async def work(x: int) -> int:
        await anyio.sleep(0.0005)
        return x

    @flow
    async def branch(start: int) -> int:
        return sum([await work(start + step) for step in range(20)])

    @flow
    async def whole() -> int:
        return sum(await parallel(branch(start) for start in range(0, 100, 10)))

    anyio.run(Runner(journal=sys.argv[1]).run_as, "live", whole)
"""


@pytest.mark.slow
def test_a_run_can_be_followed_while_another_process_writes_it(
    any_journal: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    with opened(any_journal, create=True) as store:
        process = subprocess.Popen([sys.executable, program, any_journal])
        client, pages, indexes = Client(), 0, Indexes(store)
        while process.poll() is None:
            try:
                index = indexes.of("live")
            except UnknownRunError:
                continue
            before = client.last
            followed(index, 60, client)
            pages += client.last > before
        assert process.returncode == 0
        followed(indexes.of("live"), 60, client)
        assert client.status == "succeeded"
        assert pages > 1
        assert_tells(client, store.events(indexes.of("live").number))


def begun(number: int) -> Stored:
    at = 1.0 + number
    return RunStarted(number=number, at=at, flow="f", target="m:f", input=b"{}", settings={})


def step_begun(number: int, step: int, details: dict[str, Any] | None = None) -> Stored:
    return StepStarted(
        number=number,
        at=1.0 + number,
        step=step,
        key=bytes(16),
        parent=step - 1 or None,
        name="a",
        kind="flow",
        input=b"{}",
        details=details or {},
    )


def step_ended(number: int, step: int) -> Stored:
    return StepFinished(number=number, at=1.0 + number, step=step, output=b"1")
