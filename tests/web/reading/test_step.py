"""Single steps with their contents."""

import json
from collections.abc import Iterator

import pytest
from agentflow_web.reading.contents import SHOWN_BYTES
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.step import Part, part_of, steps
from sqlalchemy import delete

from agentflow import Change
from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.annotations import Annotation
from agentflow.journal.content import Parts
from agentflow.journal.events import (
    Expanded,
    Failure,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
)
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store
from tests.web.big_run import write_big_run
from tests.web.reading.flows import fails, runner, talk
from tests.web.reading.parts import Log, opened
from tests.web.reading.test_pages import begun

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(sqlite_journal: str) -> Iterator[Store]:
    with opened(sqlite_journal, create=True) as store:
        yield store


def started(number: int, step: int, input_: bytes) -> StepStarted:
    key = step.to_bytes(16, "big")
    return StepStarted(
        number=number, at=2.0, step=step, key=key, parent=None, name="a", kind="tool", input=input_
    )


def test_steps_are_told_as_the_record_has_them(any_journal: str) -> None:
    run = write_big_run(any_journal, 600)
    with opened(any_journal) as store:
        index = RunIndex(store, run)
        record = RunRecord.of(run, store.events(index.number))
        numbers = list(record.steps)
        told = [
            one
            for start in range(0, len(numbers), 200)
            for one in steps(index, numbers[start : start + 200])
        ]
    assert [one["number"] for one in told] == numbers
    for one, step in zip(told, record.steps.values(), strict=True):
        for name in ("parent", "name", "kind", "status", "started_at", "ended_at", "cost_usd"):
            assert one[name] == getattr(step, name), name
        assert one["key"] == step.key.hex()
        assert one["input"]["text"].encode() == step.input
        assert (one["output"] and one["output"]["text"].encode()) == step.output
        assert one["end_event"] == step.finished_event
        assert one["links"] == list(step.links)
        assert one["effect"] == ("effect" in step.details)
        assert [note["text"] for note in one["notes"]] == [note.text for note in step.notes]
        assert [item["event"] for item in one["expansions"]] == [e.number for e in step.expansions]
        failure = step.failure
        assert (one["error"] or {}).get("trace") == (failure and failure.trace)


async def test_a_model_call_tells_what_it_cost_and_took(any_journal: str) -> None:
    result = await runner(any_journal).run_async(talk, "ships")
    calls = [step for step in result.record.steps.values() if step.kind == "model"]
    with opened(any_journal) as store:
        told = steps(RunIndex(store, result.id), [step.number for step in calls])
    for one, step in zip(told, calls, strict=True):
        assert one["model"] == "scripted:scripted-1"
        assert one["usage"] == step.details["usage"]
        assert one["cost_usd"] == step.cost_usd
        assert one["attempts"] == 1
        assert one["attempt_s"] == step.details["attempt_s"]
        assert not set(one["details"]) & {"usage", "model", "parameters", "cost_usd"}
        assert json.loads(one["input"]["text"])  # a conversation in parts, whole again


async def test_a_result_taken_over_says_from_where(journal: str) -> None:
    first = await runner(journal).run_async(talk, "ships")
    forked = await runner(journal).fork(talk, first.id, at=4, change=Change(output="given"))
    with opened(journal) as store:
        told = steps(RunIndex(store, forked.id), [2, 4])
    assert told[0]["origin"] == {"run": first.id, "step": 2, "cache": False}
    assert (told[0]["usage"], told[0]["cost_usd"]) == (None, 0.0)
    assert told[1]["origin"] == {"given": True}


@pytest.mark.parametrize("before", range(4))
def test_long_content_is_cut_on_a_character_and_kept_whole_for_those_who_ask(
    store: Store, before: int
) -> None:
    text = "x" * before + "€" * SHOWN_BYTES
    data = json.dumps(text, ensure_ascii=False).encode()
    log = Log(store)
    parts = Parts.joined([data[:700], data[700:90_001], data[90_001:]])
    log.write(begun(1), started(2, 1, data), StepFinished(number=3, at=3.0, step=1, output=parts))
    index = RunIndex(store, "r1")
    (told,) = steps(index, [1])
    both: tuple[Part, ...] = ("input", "output")
    for part in both:
        shown = told[part]
        assert (shown["bytes"], shown["cut"]) == (len(data), True)
        assert data.decode().startswith(shown["text"])
        assert SHOWN_BYTES - 4 < len(shown["text"].encode()) <= SHOWN_BYTES
        assert part_of(index, 1, part) == data.decode()


def test_content_of_the_very_length_shown_is_not_cut(store: Store) -> None:
    data = b'"' + b"x" * (SHOWN_BYTES - 2) + b'"'
    Log(store).write(begun(1), started(2, 1, data))
    (told,) = steps(RunIndex(store, "r1"), [1])
    assert told["input"] == {
        "text": data.decode(), "bytes": SHOWN_BYTES, "cut": False, "is_json": True,
    }  # fmt: skip
    assert (told["output"], told["error"], told["ended_at"], told["end_event"]) == (
        None,
        None,
        None,
        0,
    )


def test_half_a_surrogate_pair_in_a_models_text_can_still_be_shown(store: Store) -> None:
    data = '"\ud83d"'.encode("utf-8", "surrogatepass")
    Log(store).write(begun(1), started(2, 1, data))
    (told,) = steps(RunIndex(store, "r1"), [1])
    assert json.dumps(told).isascii()
    assert "\ufffd" in told["input"]["text"]
    told["input"]["text"].encode()


def test_parts_of_a_step_that_are_not_there_are_none(store: Store) -> None:
    failure = Failure(name="ToolError", message="no", trace="€" * 30_001)
    Log(store).write(
        begun(1),
        started(2, 1, b"1"),
        Expanded(number=3, at=3.0, step=1, kind="program", content=b"x = 1"),
        Expanded(number=4, at=3.0, step=1, kind="plan", content=b"{}"),
        StepFailed(number=5, at=4.0, step=1, failure=failure),
        started(6, 2, b"2"),
        StepCancelled(number=7, at=5.0, step=2),
    )
    index = RunIndex(store, "r1")
    assert part_of(index, 1, "expansion", 1) == "{}"
    assert part_of(index, 1, "expansion", 2) is None
    assert part_of(index, 1, "expansion", -1) is None
    assert part_of(index, 1, "trace") == failure.trace
    assert part_of(index, 1, "output") is None
    assert part_of(index, 2, "trace") is None
    assert part_of(index, 3, "input") is None
    one, two = steps(index, [1, 2])
    assert [item["content"]["is_json"] for item in one["expansions"]] == [False, True]
    assert len(one["error"]["trace"]) < len(failure.trace)
    assert two["status"] == "cancelled"


async def test_annotations_go_to_their_steps(journal: str) -> None:
    with pytest.raises(Exception, match="nothing"):
        await runner(journal).run_as("r1", fails, "")
    written = [
        Annotation(id=number, step=step, text="why?", tag="", at=1.0)
        for number, step in enumerate((None, 2, 1, 2))
    ]
    with opened(journal) as store:
        told = steps(RunIndex(store, "r1"), [2, 1, 2, 99, 0, -1], written)
    assert [one["number"] for one in told] == [2, 1]
    assert [[note["id"] for note in one["annotations"]] for one in told] == [[1, 3], [2]]
    assert told[0]["annotations"][0] == {"id": 1, "step": 2, "text": "why?", "tag": "", "at": 1.0}


def test_too_many_steps_at_once_are_refused(store: Store) -> None:
    Log(store)
    with pytest.raises(ValueError, match="at most 200"):
        steps(RunIndex(store, "r1"), range(1, 202))


def test_a_missing_payload_is_an_error_that_names_the_store(store: Store) -> None:
    Log(store).write(begun(1), started(2, 1, b"1" * 600), started(3, 2, b"2"))
    with store.writing() as connection:
        connection.execute(delete(tables.payloads))
    index = RunIndex(store, "r1")
    assert len(steps(index, [2])) == 1  # what is sound can still be read
    with pytest.raises(JournalError, match="missing: the file is damaged") as caught:
        steps(index, [1])
    assert store.name in str(caught.value)
