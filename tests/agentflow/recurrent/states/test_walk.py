"""Walks over objects that no model of ours has, as caches of other libraries might be."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.states.walk import (
    clone,
    mapped,
    moved,
    nbytes,
    rows_of,
    stacked,
    tensors,
)


class Pair(NamedTuple):
    keys: Tensor
    values: Tensor


class Config:
    model_type = "foreign"

    def __init__(self) -> None:
        self.table = torch.ones(1000)


class Layer:
    def __init__(self, rows: int, length: int) -> None:
        self.attention = Pair(torch.ones(rows, 2, length, 3), torch.ones(rows, length, 4))
        self.recurrent: dict[Any, Any] = {0: torch.zeros(rows, 5), "none": None}
        self.has_previous_state = {0: True}
        self.kernel_size = 4
        self.dtype, self.device = torch.float32, torch.device("cpu")
        self.kind = Layer


@dataclass(frozen=True)
class Frozen:
    state: Tensor


@dataclass
class Foreign:
    layers: list[Layer]
    seen: int
    config: Config = field(default_factory=Config)
    module: nn.Module = field(default_factory=lambda: nn.Linear(100, 100))
    frozen: Frozen = field(default_factory=lambda: Frozen(torch.zeros(1, 2)))
    step: Tensor = field(default_factory=lambda: torch.tensor(3))


GROWING = {".layers.0.attention.0": 2, ".layers.0.attention.1": 1}


def foreign(length: int, fill: float = 0.0) -> Foreign:
    cache = Foreign([Layer(1, length)], seen=length)
    cache.layers[0].recurrent[0] = torch.full((1, 5), fill)
    return cache


def test_every_tensor_is_found_once_and_none_of_modules_or_configurations() -> None:
    cache = foreign(7)
    cache.layers[0].recurrent["again"] = cache.layers[0].recurrent[0]
    assert [path for path, _ in tensors(cache)] == [
        ".layers.0.attention.0",
        ".layers.0.attention.1",
        ".layers.0.recurrent.0",
        ".frozen.state",
        ".step",
    ]
    assert nbytes(cache) == 4 * (2 * 7 * 3 + 7 * 4 + 5 + 2) + 8


def test_a_clone_shares_nothing_that_can_change() -> None:
    cache = foreign(7)
    other = clone(State(cache, 7)).cache
    for _, tensor in tensors(other):
        tensor.add_(1)
    other.layers[0].has_previous_state[0] = False
    other.layers[0].kernel_size = 9
    other.layers.append(Layer(1, 1))
    other.seen += 1
    assert (cache.seen, len(cache.layers)) == (7, 1)
    assert (cache.layers[0].has_previous_state, cache.layers[0].kernel_size) == ({0: True}, 4)
    assert cache.layers[0].recurrent[0].sum() == 0
    assert cache.frozen.state.sum() == 0
    assert cache.step == 3
    assert other.config is cache.config
    assert other.module is cache.module


def test_a_tensor_in_two_places_stays_one() -> None:
    tensor = torch.zeros(1, 2)
    cache: dict[str, Any] = {"a": tensor, "b": [tensor]}
    made = mapped(cache, lambda _, found: found + 1)
    assert made["a"] is made["b"][0]


def test_an_object_that_holds_itself_is_copied_too() -> None:
    cache = foreign(2)
    cache.layers[0].recurrent["self"] = cache
    made = mapped(cache, lambda _, tensor: tensor.clone())
    assert made.layers[0].recurrent["self"] is made


def test_moving_to_another_precision_leaves_whole_numbers() -> None:
    state = moved(State(foreign(2), 2), dtype=torch.bfloat16)
    kinds = {path: tensor.dtype for path, tensor in tensors(state.cache)}
    assert kinds.pop(".step") == torch.int64
    assert set(kinds.values()) == {torch.bfloat16}


def test_rows_of_different_length_are_padded_in_front_and_cut_again() -> None:
    whole = stacked([foreign(7, 1.0), foreign(2, 2.0), foreign(4, 3.0)], [7, 2, 4], GROWING)
    layer = whole.layers[0]
    assert layer.attention.keys.shape == (3, 2, 7, 3)
    assert layer.attention.values[1, :, 0].tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert whole.seen == 7
    back = rows_of(whole, [2, 1], 4, 7, GROWING)
    assert back.layers[0].attention.values.shape == (2, 4, 4)
    assert back.layers[0].recurrent[0][:, 0].tolist() == [3, 2]
    assert back.seen == 4
    assert isinstance(back.layers[0].attention, Pair)


def test_counters_that_are_not_of_tokens_are_not_stacked() -> None:
    one, other = foreign(3), foreign(3)
    other.layers[0].kernel_size = 5
    with pytest.raises(ValueError, match="kernel_size differs"):
        stacked([one, other], [3, 3], GROWING)


def test_caches_of_other_structure_are_not_stacked() -> None:
    one, other = foreign(3), foreign(3)
    other.layers.append(Layer(1, 3))
    with pytest.raises(ValueError, match="different structure"):
        stacked([one, other], [3, 3], GROWING)
