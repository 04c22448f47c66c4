"""Two runs side by side."""

import pytest
from agentflow_web.reading.comparing import compare
from agentflow_web.reading.index import RunIndex
from sqlalchemy import insert, select, update

from agentflow import Change, Journal
from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.content import names_in, payload_hash
from agentflow.journal.diff import diff_runs
from tests.web.reading.flows import runner, shouts, talk
from tests.web.reading.parts import opened

pytestmark = pytest.mark.anyio
LETTERS = {"input": "i", "output": "o", "status": "s", "model": "m"}


async def test_a_comparison_is_the_journals_own(any_journal: str) -> None:
    first = await runner(any_journal).run_async(talk, "ships", turns=3)
    other = await runner(any_journal).run_async(talk, "boats", turns=2)
    fork = await runner(any_journal).fork(talk, first.id, at=3, change=Change(prompt="hm"))
    with opened(any_journal) as store, Journal(any_journal) as journal:
        for right in (other, fork, first):
            told = compare(RunIndex(store, first.id), RunIndex(store, right.id))
            pairs = diff_runs(journal.run(first.id), journal.run(right.id))
            assert told["left"] == [pair.left.number if pair.left else 0 for pair in pairs]
            assert told["right"] == [pair.right.number if pair.right else 0 for pair in pairs]
            assert told["changed"] == [
                "".join(LETTERS[what] for what in pair.changed) + ("r" if pair.is_reused else "")
                for pair in pairs
            ]
            assert (told["a"]["id"], told["b"]["id"]) == (first.id, right.id)
        assert not any(told["changed"])


async def test_steps_below_a_result_that_was_taken_over_are_not_in_the_second_run(
    journal: str,
) -> None:
    first = await runner(journal).run_async(shouts, ["a", "b"])
    fork = await runner(journal).fork(shouts, first.id, at=1, change=Change(output=["c"]))
    with opened(journal) as store:
        told = compare(RunIndex(store, first.id), RunIndex(store, fork.id))
    assert (told["left"], told["right"]) == ([1, 2, 3], [1, 0, 0])
    assert told["changed"] == ["o", "r", "r"]


async def test_content_that_was_cut_otherwise_is_the_same(journal: str) -> None:
    first = await runner(journal).run_async(talk, "ships", turns=3)
    second = await runner(journal).run_async(talk, "ships", turns=3)
    events, payloads = tables.events.c, tables.payloads.c
    with opened(journal) as store:
        index = RunIndex(store, second.id)
        with store.writing() as connection:
            of_run = events.run == index.number
            cells = connection.execute(select(events.number, events.input).where(of_run)).all()
            number, cell = next((n, cell) for n, cell in cells if cell and cell[:1] == b"+")
            parts = dict(connection.execute(select(payloads.hash, payloads.data)).all())
            whole = b"".join(parts[name] for name in names_in(cell))
            name = payload_hash(whole)
            connection.execute(insert(tables.payloads).values(hash=name, data=whole))
            put = update(tables.events).where(of_run, events.number == number)
            connection.execute(put.values(input=b"#" + name))
        told = compare(RunIndex(store, first.id), index)
        assert not any(told["changed"])


async def test_a_damaged_run_is_an_error_that_names_the_store(journal: str) -> None:
    first = await runner(journal).run_async(shouts, ["a"])
    with opened(journal) as store:
        with store.writing() as connection:
            damaged = update(tables.events).where(tables.events.c.number == 2)
            connection.execute(damaged.values(key=None))
        with pytest.raises(JournalError, match="damaged") as caught:
            compare(RunIndex(store, first.id), RunIndex(store, first.id))
    assert journal in str(caught.value)
