"""What is promised by accepting a run, in every kind of journal."""

from collections.abc import Iterator

import pytest

from agentflow import Runner, flow, parallel, tool
from agentflow.errors import JournalError
from agentflow.interop.serving.accepted import AcceptedRuns, digest
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store

pytest.importorskip("starlette", reason="serving flows needs the extra `view`")


@flow
async def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def store(any_journal: str) -> Iterator[Store]:
    opened = Store(any_journal)
    try:
        yield opened
    finally:
        opened.close()


def accept(runs: AcceptedRuns, journal: str, run: str, number: int = 1) -> RunRecord:
    labels = runs.labels("double", digest("double", b"%d" % number))
    return runs.accept(run, Runner(journal=journal, labels=labels), double, {"number": number})


def test_an_accepted_run_is_found_listed_and_gone_on_with(store: Store, any_journal: str) -> None:
    runs = AcceptedRuns(store, "flows")
    ids = [f"{number:018x}" for number in range(5)]
    for number, run in enumerate(ids):
        accept(runs, any_journal, run, number)
    found = runs.find(ids[3])
    assert found is not None
    assert (found.offer, found.request) == ("double", digest("double", b"3"))
    assert runs.find(ids[3][:17]) is None
    assert [run.id for run in runs.unfinished()] == ids
    page = runs.page(2, None)
    assert [run.id for run in page] == ids[:2:-1]
    assert [run.id for run in runs.page(9, page[-1].number)] == ids[2::-1]
    with Journal(any_journal) as journal:  # in our name, so that nobody else takes it
        assert {head.status for head in journal.heads()} == {"running"}


@pytest.mark.anyio
async def test_carried_out_it_is_over_and_no_longer_unfinished(
    store: Store, any_journal: str
) -> None:
    runs = AcceptedRuns(store, "flows")
    accept(runs, any_journal, "0" * 18, 21)
    result = await Runner(journal=any_journal).resume(double, "0" * 18)
    assert result.output == 42
    assert runs.unfinished() == []
    found = runs.find("0" * 18)
    assert found is not None
    assert found.status == "succeeded"
    assert runs.record(found).value() == 42


def test_an_id_is_taken_once(store: Store, any_journal: str) -> None:
    runs = AcceptedRuns(store, "flows")
    accept(runs, any_journal, "0" * 18)
    with pytest.raises(JournalError):
        accept(runs, any_journal, "0" * 18)


def test_what_was_cancelled_or_is_another_servers_is_not_gone_on_with(
    store: Store, any_journal: str
) -> None:
    runs, others = AcceptedRuns(store, "flows"), AcceptedRuns(store, "other")
    record = accept(runs, any_journal, "a" * 18)
    accept(others, any_journal, "b" * 18)
    runs.mark_cancelled("a" * 18)
    assert runs.unfinished() == []
    runs.end(record)
    with Journal(any_journal) as journal:
        assert journal.head("a" * 18).status == "interrupted"
    found = runs.find("a" * 18)
    assert found is not None
    assert found.status == "cancelled"
    assert runs.find("b" * 18) is None
    assert [run.id for run in others.unfinished()] == ["b" * 18]


def test_a_label_in_a_text_is_no_label(store: Store, any_journal: str) -> None:
    runs = AcceptedRuns(store, "flows")
    forged = {"note": '"server":"flows"', "server": "elsewhere"}
    settings = Runner(journal=any_journal, labels=forged)
    runs.accept("c" * 18, settings, double, {"number": 1})
    assert runs.find("c" * 18) is None
    assert runs.page(9, None) == []


@tool
def shout(text: str) -> str:
    return text.upper()


@flow
async def nested(count: int) -> int:
    """Take many short steps within one long step."""

    async def short(number: int) -> str:
        return await shout(str(number) * 2000)

    await parallel([short(number) for number in range(count)])
    return count


@pytest.mark.parametrize("most", [1, 2, 7, 1000])
def test_events_are_read_some_at_a_time_without_a_gap(
    store: Store, any_journal: str, most: int
) -> None:
    runs = AcceptedRuns(store, "flows")
    labels = runs.labels("nested", "request")
    done = Runner(journal=any_journal, labels=labels).run(nested, 40)
    found = runs.find(done.id)
    assert found is not None
    numbers: list[int] = []
    while events := runs.events(found, numbers[-1] if numbers else 0, most):
        numbers += [event.number for event in events]
        # A row may be a whole step, whose beginning is far from its end.
        assert len(events) <= max(2 * most, 90)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == 2 * 41 + 2
