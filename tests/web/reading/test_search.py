"""Words are found where they were recorded, however JSON spells them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.search import search, split_words
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from agentflow.data import canonical
from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.content import Parts
from agentflow.journal.events import (
    Expanded,
    Failure,
    Noted,
    RunFinished,
    StepFailed,
    StepFinished,
    Stored,
)
from agentflow.journal.store import Store
from tests.web.reading.flows import runner, talk
from tests.web.reading.parts import Log, opened
from tests.web.reading.test_pages import begun
from tests.web.reading.test_step import started

LONG = "x" * 600


@pytest.fixture
def store(sqlite_journal: str) -> Iterator[Store]:
    with opened(sqlite_journal, create=True) as store:
        yield store


def found(store: Store, query: str, **how: Any) -> list[int]:
    steps: list[int] = search(RunIndex(store, "r1"), split_words(query), **how)["steps"]
    return steps


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("one two", ["one", "two"]),
        ('"one two" three', ["one two", "three"]),
        ('"one', ['"one']),
        ('say"so"', ['say"so"']),
        ('"he said "so" today"', ['he said "so', 'today"']),  # both are there if the whole is
        ("a a", ["a"]),
        ('""', ['""']),
    ],
)
def test_a_query_is_split_into_words_and_phrases(query: str, words: list[str]) -> None:
    assert split_words(query) == words


@pytest.mark.parametrize("query", ["", "  ", " ".join(str(number) for number in range(33))])
def test_a_query_for_nothing_or_too_much_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="to look for"):
        split_words(query)


@pytest.mark.parametrize("padding", ["", LONG])
@pytest.mark.parametrize("spell", [canonical, lambda text: json.dumps(text).encode()])
@pytest.mark.parametrize(
    "query",
    [
        "größe",
        "GRÖSSER",
        '"zwei Wörter"',
        'say"hi"',
        "back\\slash",
        '"tab\tand\nline"',
        "😀smile",
        "ПРИВЕТ",
    ],
)
def test_a_word_is_found_however_json_spells_it(
    store: Store, query: str, spell: Any, padding: str
) -> None:
    text = f'{padding} Größe grösser zwei wörter say"hi" back\\slash tab\tand\nline 😀Smile привет'
    Log(store).write(begun(1), started(2, 1, spell(text)), started(3, 2, spell("none of these")))
    assert found(store, query) == [1]


def everywhere() -> list[Stored]:
    failure = Failure(name="ToolError", message="needle broke", trace="the needle's trace")
    return [
        begun(1),
        started(2, 1, b'"needle"'),
        started(3, 2, b'"hay"'),
        StepFinished(number=4, at=3.0, step=2, output=b'"Needle and thread"'),
        started(5, 3, b'"hay"'),
        StepFailed(number=6, at=3.0, step=3, failure=failure),
        started(7, 4, b'"hay"'),
        Noted(number=8, at=3.0, step=4, text="a NEEDLE"),
        started(9, 5, b'"hay"'),
        Expanded(number=10, at=3.0, step=5, kind="program", content=b"needle()"),
        Noted(number=11, at=3.0, step=None, text="needle of the run"),
        RunFinished(number=12, at=3.0, status="succeeded", output=b'"needle"'),
    ]


@pytest.mark.parametrize("journal_kind", ["sqlite_journal", "postgres_journal"])
def test_each_part_is_looked_at_only_when_asked_for(
    request: pytest.FixtureRequest, journal_kind: str
) -> None:
    with opened(request.getfixturevalue(journal_kind), create=True) as store:
        Log(store).write(*everywhere())
        assert found(store, "needle") == [1, 2, 3, 4, 5]
        assert found(store, "needle", parts=["input"]) == [1]
        assert found(store, "needle", parts=["output"]) == [2, 5]
        assert found(store, "needle", parts=["error"]) == [3]
        assert found(store, "trace", parts=["error"]) == [3]
        assert found(store, "needle", parts=["note"]) == [4]
        assert found(store, "needle", parts=["note", "input"]) == [1, 4]
        with pytest.raises(ValueError, match="'name'"):
            found(store, "needle", parts=["name"])


def test_every_word_has_to_be_there_if_not_in_one_place(store: Store) -> None:
    Log(store).write(*everywhere())
    assert found(store, "needle thread") == [2]
    assert found(store, "hay needle") == [2, 3, 4, 5]
    assert found(store, '"needle thread"') == []
    assert found(store, '"needle and thread"') == [2]


def test_words_add_up_over_all_events_of_a_step(store: Store) -> None:
    notes = [Noted(number=3 + n, at=3.0, step=1, text=text) for n, text in enumerate(("two", "3"))]
    Log(store).write(begun(1), started(2, 1, b'"one"'), *notes)
    assert found(store, "one two 3") == [1]
    assert found(store, "one two 3 four") == []


def test_more_says_that_there_may_be_others(store: Store) -> None:
    Log(store).write(*everywhere())
    words, index = ["needle"], RunIndex(store, "r1")
    assert search(index, words, limit=4)["more"]
    assert len(search(index, words, limit=4)["steps"]) == 4
    assert not search(index, words, limit=5)["more"]


class GivenUpError(Exception):
    """The one who asked has gone."""


def test_a_search_can_be_given_up_between_two_chunks(store: Store) -> None:
    Log(store).write(*everywhere())

    def give_up() -> None:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        search(RunIndex(store, "r1"), ["needle"], between=give_up)


def test_a_conversation_in_parts_is_searched_and_each_part_once(store: Store) -> None:
    turns = [canonical({"text": f"turn {number} {LONG}"}) for number in range(4)]
    log = Log(store)
    log.write(begun(1))
    for step in range(1, 5):
        log.write(started(step + 1, step, Parts.joined(turns[:step])))
    assert found(store, '"turn 2"') == [3, 4]


@pytest.mark.anyio
async def test_a_real_conversation_is_found(journal: str) -> None:
    result = await runner(journal).run_async(talk, "ships")
    calls = [step.number for step in result.record.steps.values() if step.kind == "model"]
    with opened(journal) as store:
        index = RunIndex(store, result.id)
        assert search(index, ["grüße", "ships"], parts=["input"])["steps"] == calls


def test_a_missing_payload_is_an_error_that_names_the_store(store: Store) -> None:
    Log(store).write(begun(1), started(2, 1, canonical(LONG)))
    with store.writing() as connection:
        connection.execute(delete(tables.payloads))
    with pytest.raises(JournalError, match="missing") as caught:
        found(store, "x")
    assert store.name in str(caught.value)


TEXTS = st.text(alphabet='aBcß"\\\n\té€😀 ', max_size=8)


@given(texts=st.lists(TEXTS, min_size=1, max_size=6), word=TEXTS.filter(lambda text: text.strip()))
@settings(deadline=None, max_examples=60)
def test_what_is_in_a_text_is_found_in_its_record(texts: list[str], word: str) -> None:
    with opened(":memory:", create=True) as store:
        log = Log(store)
        log.write(begun(1))
        for step, text in enumerate(texts, 1):
            log.write(started(step + 1, step, canonical({"text": text})))
        told = search(RunIndex(store, "r1"), [word])["steps"]
    holding = {step for step, text in enumerate(texts, 1) if word.lower() in text.lower()}
    assert holding <= set(told)
