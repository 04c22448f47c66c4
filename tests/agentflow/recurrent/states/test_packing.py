"""Kept states: copies that nothing else writes to, exact or rounded."""

from pathlib import Path

import pytest
import torch

from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.states.packing import Packed


class Layer:
    """Like a layer of a cache: tensors and flags."""

    def __init__(self) -> None:
        self.recurrent = torch.randn(1, 4, 8, 16)
        self.conv = torch.randn(1, 32, 4, dtype=torch.bfloat16)
        self.has_state = True
        self.positions = torch.arange(5)


def state() -> State:
    return State([Layer(), Layer()], 5)


def layers(found: State) -> list[Layer]:
    assert isinstance(found.cache, list)
    return found.cache


@pytest.mark.parametrize("place", ["memory", "host", "file"])
def test_a_state_comes_back_exactly_however_often(place: str, tmp_path: Path) -> None:
    given = state()
    packed = Packed(given, "exact")
    if place == "host":
        packed.to_host()
    if place == "file":
        packed.to_file(tmp_path / "state.safetensors")
    for _again in range(2):
        back = packed.unpack()
        assert back.length == 5
        for one, other in zip(layers(back), layers(given), strict=True):
            assert torch.equal(one.recurrent, other.recurrent)
            assert torch.equal(one.conv, other.conv)
            assert torch.equal(one.positions, other.positions)
            assert one.has_state
        # What a model does with a state of its own must not reach the kept one.
        layers(back)[0].recurrent.zero_()
        layers(back)[0].has_state = False


def test_writing_on_to_what_was_packed_changes_nothing() -> None:
    given = state()
    packed = Packed(given, "exact")
    before = layers(given)[1].recurrent.clone()
    layers(given)[1].recurrent.add_(1)
    assert torch.equal(layers(packed.unpack())[1].recurrent, before)


@pytest.mark.parametrize("is_in_file", [False, True])
def test_rounded_states_take_about_a_quarter_and_are_about_right(
    is_in_file: bool, tmp_path: Path
) -> None:
    given = State({"recurrent": torch.randn(1, 8, 64, 64), "count": torch.arange(3)}, 9)
    exact, rounded = Packed(given, "exact"), Packed(given, "int8")
    assert rounded.nbytes < 0.3 * exact.nbytes
    if is_in_file:
        rounded.to_file(tmp_path / "state.safetensors")
    back = rounded.unpack().cache
    worst = given.cache["recurrent"].abs().amax(-1, keepdim=True) / 127
    assert ((back["recurrent"] - given.cache["recurrent"]).abs() <= worst).all()
    assert torch.equal(back["count"], given.cache["count"])


def test_a_discarded_state_leaves_no_file(tmp_path: Path) -> None:
    packed = Packed(state(), "exact")
    packed.to_file(tmp_path / "state.safetensors")
    assert list(tmp_path.iterdir())
    packed.discard()
    assert not list(tmp_path.iterdir())
