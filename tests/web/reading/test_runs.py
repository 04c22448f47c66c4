"""The list of runs, and one run without its steps."""

from collections.abc import Iterator
from typing import Any

import pytest
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.runs import run, runs
from sqlalchemy import update

from agentflow import Change, Journal
from agentflow.errors import JournalError, RunPausedError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.store import Store
from tests.web.reading.flows import asks, fails, runner, shouts
from tests.web.reading.parts import Log, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(sqlite_journal: str) -> Iterator[Store]:
    with opened(sqlite_journal, create=True) as store:
        yield store


def ids(reply: dict[str, Any]) -> list[str]:
    return [head["id"] for head in reply["runs"]]


def test_pages_of_runs_give_every_run_once_the_newest_first(store: Store) -> None:
    names = [f"run-{number}" for number in range(7)]
    for name in names:
        Log(store, name).close()
    found, after = [], ""
    while True:
        reply = runs(store, after=after, limit=3)
        found += ids(reply)
        after = reply["next"]
        if after is None:
            break
    assert found == names[::-1]


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30, "٣"])
def test_a_page_of_runs_that_nobody_was_given_is_refused(store: Store, after: str) -> None:
    with pytest.raises(ValueError, match="no page of runs"):
        runs(store, after=after)


async def test_words_find_runs_by_id_flow_parent_and_label(any_journal: str) -> None:
    first = await runner(any_journal, labels={"suite": "Übung"}).run_async(shouts, ["a"])
    second = await runner(any_journal).fork(shouts, first.id, at=1)
    await runner(any_journal).run_as("other", fails, "x")
    with opened(any_journal) as store:
        assert ids(runs(store)) == ["other", second.id, first.id]
        assert ids(runs(store, words=["übung"])) == [first.id]
        assert ids(runs(store, words=["suite=Übung", "SHOUTS"])) == [first.id]
        assert ids(runs(store, words=["shouts"])) == [second.id, first.id]
        assert ids(runs(store, words=[first.id.upper()])) == [second.id, first.id]
        assert ids(runs(store, words=["shouts", "fails"])) == []
        assert runs(store)["runs"][2]["labels"] == {"suite": "Übung"}


async def test_heads_are_those_of_the_journal(any_journal: str) -> None:
    await runner(any_journal).run_async(shouts, ["a", "b"])
    with pytest.raises(Exception, match="nothing to shout"):
        await runner(any_journal).run_async(fails, "")
    with opened(any_journal) as store, Journal(any_journal) as journal:
        Log(store, "busy")
        Log(store, "empty").close()
        shown = runs(store)["runs"]
        for head, told in zip(journal.heads(), shown, strict=True):
            assert told == {
                name: getattr(head, name, {}) for name in ("id", "flow", "status", "labels")
            } | {
                name: getattr(head, name)
                for name in ("started_at", "ended_at", "steps", "tokens", "cost_usd", "parent")
            }
        assert [head["status"] for head in shown] == ["stopped", "running", "failed", "succeeded"]
        for head in shown:
            assert ids(runs(store, status=head["status"])) == [head["id"]]


async def test_a_run_is_told_with_its_settings_input_and_output(any_journal: str) -> None:
    result = await runner(any_journal, labels={"a": "b"}).run_async(shouts, ["x"])
    forked = await runner(any_journal).fork(shouts, result.id, at=2, change=Change(output="y"))
    with opened(any_journal) as store:
        told = run(RunIndex(store, result.id), is_live=True)
        assert told["input"] == {
            "text": '{"texts":["x"]}', "bytes": 15, "cut": False, "is_json": True,
        }  # fmt: skip
        assert told["output"]["text"] == f'["{"X" * 40}"]'
        assert (told["error"], told["parent"], told["parent_step"]) == (None, None, None)
        assert told["settings"] == result.record.settings
        assert (told["labels"], told["is_live"], told["cwd_ok"]) == ({"a": "b"}, True, False)
        assert told["last_event"] == result.record.last_event
        assert told["target"] == shouts.target
        fork = run(RunIndex(store, forked.id))
        assert (fork["parent"], fork["parent_step"]) == (result.id, 2)


async def test_a_failed_run_tells_its_error(journal: str) -> None:
    with pytest.raises(Exception, match="nothing to shout"):
        await runner(journal).run_as("r1", fails, "")
    with opened(journal) as store:
        told = run(RunIndex(store, "r1"))
    assert (told["status"], told["output"]) == ("failed", None)
    assert told["error"]["type"] == "ToolError"
    assert told["error"]["message"] == "tool shout: ValueError: nothing to shout\nat all"
    assert told["error"]["facts"]["tool"] == "shout"
    assert "Traceback" in told["error"]["trace"]


async def test_a_paused_run_tells_what_it_asks_until_it_is_answered(any_journal: str) -> None:
    for _attempt in range(2):
        with pytest.raises(RunPausedError):
            await (
                runner(any_journal).resume(asks, "r1")
                if _attempt
                else runner(any_journal).run_as("r1", asks, "shall we?")
            )
    with opened(any_journal) as store:
        index = RunIndex(store, "r1")
        told = run(index)
        assert told["status"] == "paused"
        (question,) = told["questions"]
        assert (question["text"], question["choices"]) == ("shall we?", ["yes", "no"])
        with Journal(any_journal) as journal:
            assert journal.answer("r1", "yes") == question["step"]
        await runner(any_journal).resume(asks, "r1")
        told = run(index)
        assert (told["status"], told["questions"]) == ("succeeded", [])


def test_a_run_that_wrote_nothing_yet_is_shown(store: Store) -> None:
    log = Log(store)
    told = run(RunIndex(store, "r1"))
    assert (told["status"], told["flow"], told["last_event"]) == ("running", "", 0)
    assert told["input"]["text"] == "{}"
    log.close()
    assert run(RunIndex(store, "r1"))["status"] == "stopped"


async def test_a_damaged_run_is_an_error_that_names_the_store(journal: str) -> None:
    await runner(journal).run_as("r1", shouts, ["x"])
    first = tables.events.c.number == 1
    with opened(journal) as store:
        index = RunIndex(store, "r1")
        for cell in ({"details": "{"}, {"details": "[]"}, {"input": b"#short"}):
            with store.writing() as connection:
                connection.execute(update(tables.events).where(first).values(**cell))
            with pytest.raises(JournalError, match="damaged") as caught:
                run(index)
            assert journal in str(caught.value)
        with store.writing() as connection:
            connection.execute(update(tables.runs).values(id="r2"))
        with pytest.raises(UnknownRunError):
            run(index)
