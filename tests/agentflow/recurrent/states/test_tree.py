"""The tree of states, against a dictionary of everything that was put into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.sequences import shared
from agentflow.recurrent.states.packing import Packed
from agentflow.recurrent.states.tiers import Tiers
from agentflow.recurrent.states.tree import Snapshot, StateTree, Tokens

CPU = torch.device("cpu")
LARGE = 1 << 30
FLOATS = 64
NBYTES = FLOATS * 4 + 4
sequences = st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple)


def tree(state_bytes: int = LARGE, most_handles: int = 100, **options: object) -> StateTree:
    given = EngineOptions(state_bytes=state_bytes, **options)
    return StateTree(Tiers(given, CPU), most_handles=most_handles)


def snapshot(tokens: Tokens) -> Snapshot:
    """Return a state that says which tokens it is of."""
    marks = torch.full((1, FLOATS), float(hash(tokens) % 10_000))
    return Snapshot(Packed(State({"layer": [marks]}, len(tokens)), "exact"), torch.zeros(1))


def is_of(kept: Snapshot, tokens: Tokens) -> bool:
    state = kept.packed.unpack()
    return state.length == len(tokens) and bool(
        (state.cache["layer"][0] == hash(tokens) % 10_000).all()
    )


def prefixes(tokens: Tokens) -> Iterator[Tokens]:
    return (tokens[:count] for count in range(1, len(tokens) + 1))


@given(st.lists(sequences, max_size=20), sequences)
def test_the_longest_kept_prefix_is_found(put: list[Tokens], wanted: Tokens) -> None:
    kept = tree()
    for tokens in put:
        kept.put(tokens, snapshot(tokens))
    found = kept.find(wanted)
    longest = max((one for one in prefixes(wanted) if one in put), key=len, default=None)
    assert (found.tokens() if found else None) == longest
    if found:
        assert found.snapshot is not None
        assert is_of(found.snapshot, found.tokens())
    assert kept.common(wanted) == max((shared(wanted, one) for one in put), default=0)


@given(st.lists(sequences, min_size=1, max_size=30), st.integers(0, 6), st.data())
def test_the_budget_holds_and_what_is_kept_stays_right(
    put: list[Tokens], room: int, data: st.DataObject
) -> None:
    kept = tree(state_bytes=room * NBYTES)
    for tokens in put:
        kept.put(tokens, snapshot(tokens))
        if data.draw(st.booleans()):
            kept.find(data.draw(st.sampled_from(put)))
        assert kept.nbytes == kept.snapshots * NBYTES <= room * NBYTES
    for tokens in put:
        found = kept.find(tokens)
        assert found is None or (found.snapshot and is_of(found.snapshot, found.tokens()))
    assert kept.snapshots == min(room, len(set(put)))


@given(st.lists(sequences, min_size=1, max_size=20), st.integers(1, 5))
def test_handles_name_their_tokens_until_they_are_forgotten(names: list[Tokens], most: int) -> None:
    kept = tree(state_bytes=2 * NBYTES, most_handles=most)
    handles: dict[str, Tokens] = {}
    for tokens in names:
        handles[kept.name(tokens)] = tokens
        kept.put(tokens, snapshot(tokens))
    known = {handle for handle in handles if kept.node_of(handle)}
    assert len(known) == min(most, len(handles))
    for handle in known:
        node = kept.node_of(handle)
        assert node is not None
        assert node.tokens() == handles[handle]


def test_nothing_is_left_in_the_tree_of_what_was_given_up() -> None:
    kept = tree(state_bytes=NBYTES)
    for last in range(50):
        kept.put((1, 2, 3, last), snapshot((1, 2, 3, last)))
    assert kept.snapshots == 1
    assert kept.evicted == 49
    assert len(kept.root.children) == 1
    (only,) = kept.root.children.values()
    assert not only.children


def test_what_is_cheap_to_compute_again_goes_before_what_is_dear() -> None:
    kept = tree(state_bytes=2 * NBYTES)
    long = tuple(range(1000))
    kept.put(long, snapshot(long))
    for last in range(5):
        kept.put((7, last), snapshot((7, last)))
    assert kept.has(long)


def test_age_counts_in_the_end() -> None:
    kept = tree(state_bytes=2 * NBYTES)
    long = tuple(range(20))
    kept.put(long, snapshot(long))
    for last in range(100):
        kept.put((7, last), snapshot((7, last)))
    assert not kept.has(long)


def test_a_state_below_one_that_goes_is_worth_more() -> None:
    kept = tree(state_bytes=3 * NBYTES)
    kept.put((1,) * 40, snapshot((1,) * 40))
    kept.put((1,) * 50, snapshot((1,) * 50))
    above = kept.find((1,) * 40)
    assert above
    kept.forget(above)
    kept.put((2,) * 30, snapshot((2,) * 30))
    kept.put((3,) * 30, snapshot((3,) * 30))
    kept.put((4,) * 30, snapshot((4,) * 30))
    assert kept.has((1,) * 50)


def test_pinned_states_go_last_and_unpinned_ones_like_others() -> None:
    kept = tree(state_bytes=2 * NBYTES)
    kept.put((1, 1), snapshot((1, 1)))
    handle = kept.name((1, 1), pins=True)
    assert kept.pinned == 1
    for last in range(20):
        kept.put((2,) * (last + 3), snapshot((2,) * (last + 3)))
    assert kept.has((1, 1))
    assert kept.unpin(handle)
    assert not kept.unpin(handle)
    for last in range(20):
        kept.put((3,) * (last + 3), snapshot((3,) * (last + 3)))
    assert not kept.has((1, 1))
    assert not kept.pin("st_unknown")


def test_more_pins_than_room_are_given_up_too() -> None:
    kept = tree(state_bytes=3 * NBYTES)
    for first in range(10):
        kept.put((first,), snapshot((first,)))
        kept.name((first,), pins=True)
    assert kept.snapshots == 3


def test_what_has_no_room_in_memory_comes_back_from_its_file(tmp_path: Path) -> None:
    kept = tree(state_bytes=NBYTES, spill_folder=tmp_path, spill_bytes=3 * NBYTES)
    for first in range(6):
        kept.put((first, first), snapshot((first, first)))
    assert kept.snapshots == 4
    assert kept.spilled == 5
    assert kept.evicted == 2
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == 3
    found = [kept.find((first, first)) for first in range(6)]
    assert [node is None for node in found] == [True, True, False, False, False, False]
    for node in found[2:]:
        assert node
        assert node.snapshot
        assert is_of(node.snapshot, node.tokens())
    kept.close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_gone_is_an_error_and_not_a_wrong_state(tmp_path: Path) -> None:
    kept = tree(state_bytes=0, spill_folder=tmp_path)
    kept.put((1, 2), snapshot((1, 2)))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(b"\0" * 40)
    node = kept.find((1, 2))
    assert node
    assert node.snapshot
    with pytest.raises(OSError, match="cannot be read"):
        node.snapshot.packed.unpack()
    kept.forget(node)
    assert kept.find((1, 2)) is None
    assert kept.nbytes == 0


def test_files_of_a_process_that_is_gone_are_taken_away(tmp_path: Path) -> None:
    left = tmp_path / "agentflow-states-999999999-x"
    left.mkdir()
    (left / "0.safetensors").write_bytes(b"x")
    other = tmp_path / "mine"
    other.mkdir()
    kept = tree(state_bytes=0, spill_folder=tmp_path)
    kept.put((1,), snapshot((1,)))
    assert not left.exists()
    assert other.exists()
    kept.close()
