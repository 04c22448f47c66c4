"""Scoped and archived memory: its bounds, its scopes, what is found, and edits as steps."""

import pytest
from agentflow_planners.shared.memory import Edit, Memory, Note, edit_memory, given_memory
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Runner, flow
from agentflow.errors import InputError
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

EDITS = st.builds(
    Edit,
    action=st.sampled_from(["write", "remove", "put_away"]),
    part=st.sampled_from(["working", "archive"]),
    scope=st.sampled_from(["", "a", "a/b"]),
    name=st.one_of(st.sampled_from(["x", "y", ""]), st.text(max_size=300)),
    text=st.one_of(st.text(max_size=20), st.integers(0, 2_000).map(lambda size: "w" * size)),
)


def size(notes: tuple[Note, ...]) -> int:
    return sum(len(note.scope) + len(note.name) + len(note.text) for note in notes)


@given(st.lists(EDITS, max_size=25))
def test_both_parts_stay_within_their_bounds_whatever_is_written(edits: list[Edit]) -> None:
    memory = Memory(room=300, shelf=900)
    for edit in edits:
        memory = memory.after([edit])
        assert size(memory.working) <= 300
        assert size(memory.archive) <= 900
        assert len(memory.working) <= 75, "notes without text take room, too"
    keys = [(note.scope, note.name) for note in memory.working]
    assert len(keys) == len(set(keys))


def test_what_leaves_the_working_part_is_archived_oldest_first() -> None:
    memory = Memory(room=200).after([Edit(name=f"n{at}", text=f"{at}" * 60) for at in range(4)])
    assert [note.name for note in memory.working] == ["n1", "n2", "n3"][-len(memory.working) :]
    assert [note.name for note in memory.archive][:1] == ["n0"]
    assert memory.found("0" * 60, 1)[0].name == "n0"


def test_a_note_longer_than_the_room_is_cut_there_and_whole_in_the_archive() -> None:
    memory = Memory(room=200).after([Edit(name="long", text="w" * 500)])
    assert memory.text("long").endswith("w (cut)")
    assert memory.archive[0].text == "w" * 500


def test_names_that_are_cut_to_the_same_are_the_same_note() -> None:
    edits = [Edit(name="n" * 90 + end, text=end) for end in "ab"]
    assert [note.text for note in Memory().after(edits).working] == ["b"]


def test_a_full_archive_drops_the_oldest() -> None:
    edits = [Edit(part="archive", name=f"n{at}", text="w" * 90) for at in range(5)]
    assert [note.name for note in Memory(shelf=200).after(edits).archive] == ["n3", "n4"]


def test_a_scope_sees_itself_and_what_is_around_it_and_nothing_else() -> None:
    scopes = ("", "step 1", "step 1/draft", "step 11", "step 2")
    edits = [Edit(scope=scope, name="n", text=f"in {scope}") for scope in scopes]
    memory = Memory().after(edits)
    assert memory.seen(scope="step 1") == "n: in \nn: in step 1"
    assert memory.seen(scope="step 1/draft").count("\n") == 2
    assert memory.seen(scope="step 11") == "n: in \nn: in step 11"
    assert memory.seen() == "n: in "
    away = memory.after([edit.model_copy(update={"action": "put_away"}) for edit in edits])
    assert away.working == ()
    assert {note.scope for note in away.found("step in", 9, scope="step 2")} == {"", "step 2"}


def test_rare_words_count_more_and_texts_without_any_are_not_found() -> None:
    texts = ("the cat sat", "the dog and the dog", "the lighthouse, once", "nothing of it")
    edits = [Edit(part="archive", name=str(at), text=text) for at, text in enumerate(texts)]
    memory = Memory().after(edits)
    assert memory.found("the LIGHTHOUSE?", 9)[0].name == "2"
    assert len(memory.found("the", 9)) == 3
    assert memory.found("submarine", 9) == []
    assert len(memory.found("the", 1)) == 1


def test_an_archived_entry_is_corrected_in_its_place() -> None:
    edits = [Edit(part="archive", name=name, text="old") for name in "abc"]
    memory = Memory().after([*edits, Edit(part="archive", name="b", text="new")])
    assert [(note.name, note.text) for note in memory.archive] == [
        ("a", "old"),
        ("b", "new"),
        ("c", "old"),
    ]
    gone = memory.after([Edit(action="remove", part="archive", name="a")])
    assert [note.name for note in gone.archive] == ["b", "c"]


async def test_edits_are_a_step_of_the_run_and_replayed_from_it(journal: str) -> None:
    @flow
    async def remembering() -> str:
        memory = await edit_memory(Memory(), (Edit(name="x", text="1"),))
        return memory.text("x")

    result = await Runner(journal=journal, model=Scripted(str)).run_async(remembering)
    assert result.output == "1"
    assert "edit_memory" in {step.name for step in result.record.steps.values()}
    replayed = await Runner(journal=journal).replay(remembering, result.id)
    assert replayed.output == "1"


@pytest.mark.parametrize(
    "inputs",
    [
        {"memory": []},
        {"memory": "words"},
        {"memory": {"room": 10**12}},
        {"memory": {"working": [{"name": 1}]}},
        {"edits": [{"action": "burn", "name": "x"}]},
        {"edits": 3},
    ],
    ids=str,
)
def test_what_is_no_memory_or_no_edit_is_refused(inputs: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"inputs\.memory or inputs\.edits"):
        given_memory(inputs, step="s", room=1_000)


def test_a_memory_given_with_more_than_its_room_is_brought_within_it() -> None:
    notes = [{"name": f"n{at}", "text": "w" * 90} for at in range(9)]
    memory = given_memory({"memory": {"room": 200, "working": notes}}, step="s", room=1_000)
    assert size(memory.working) <= 200
    assert len(memory.working) + len(memory.archive) == 9
