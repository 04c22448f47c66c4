"""A state is all that is kept of a prefix: it can be gone on from, forked and stacked."""

import random

import pytest
import torch
from torch import Tensor

from agentflow.recurrent.mixers.config import MixerName
from agentflow.recurrent.mixers.model import Caches, MixerLM
from tests.agentflow.recurrent.mixers.small import NAMES, distance, model

pytestmark = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def tokens() -> Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 29, (2, 90))


@torch.no_grad()
def read(made: MixerLM, tokens: Tensor, sizes: list[int], caches: Caches | None = None) -> Tensor:
    parts = []
    for piece in tokens.split(sizes, 1):  # type: ignore[no-untyped-call]
        logits, caches = made(piece, caches)
        parts.append(logits)
    return torch.cat(parts, 1)


def random_sizes(total: int, seed: int) -> list[int]:
    chance, sizes = random.Random(seed), []
    while total:
        sizes.append(chance.randint(1, min(total, chance.choice((1, 5, 70)))))
        total -= sizes[-1]
    return sizes


def cloned(caches: Caches) -> Caches:
    return [{key: tensor.clone() for key, tensor in state.items()} for state in caches]


def stacked(*rows: Caches) -> Caches:
    return [
        {key: torch.cat([s[key] for s in states]) for key in states[0]}
        for states in zip(*rows, strict=True)
    ]


def test_reading_in_pieces_is_reading_at_once(name: MixerName, tokens: Tensor) -> None:
    made = model(name, name)
    whole = read(made, tokens, [90])
    for seed in range(3):
        assert distance(read(made, tokens, random_sizes(90, seed)), whole) < 1e-4
    assert distance(read(made, tokens, [1] * 90), whole) < 1e-4
    assert distance(read(made, tokens, [90], made.empty(2)), whole) == 0


def test_a_forgotten_state_would_be_noticed(name: MixerName, tokens: Tensor) -> None:
    made = model(name, name)
    assert distance(read(made, tokens[:, 40:], [50]), read(made, tokens, [90])[:, 40:]) > 0.05


@torch.no_grad()
def test_a_fork_goes_on_like_its_parent(name: MixerName, tokens: Tensor) -> None:
    made = model(name, name)
    prefix, ends = tokens[:1, :40], (tokens[:1, 40:60], tokens[1:, 40:73])
    _, caches = made(prefix)
    kept = cloned(caches)
    for end in ends:
        found = read(made, end, [3, 1, end.shape[1] - 4], caches)
        whole = torch.cat([prefix, end], 1)
        assert distance(found, read(made, whole, [whole.shape[1]])[:, 40:]) < 1e-4
    for state, before in zip(caches, kept, strict=True):
        assert all(torch.equal(state[key], before[key]) for key in state)


@torch.no_grad()
def test_sequences_at_different_positions_are_decoded_together(
    name: MixerName, tokens: Tensor
) -> None:
    made = model(name, name)
    starts, ends = (5, 37, 18), tokens[:, 40:48]
    alone = [made(tokens[:1, :start])[1] for start in starts]
    next_tokens = torch.stack([ends[0], ends[1], ends[0].flip(0)])
    together = read(made, next_tokens, [1] * 4 + [4], stacked(*alone))
    for row, start in enumerate(starts):
        whole = torch.cat([tokens[:1, :start], next_tokens[row : row + 1]], 1)
        right = read(made, whole, [whole.shape[1]])[:, start:]
        assert distance(together[row : row + 1], right) < 1e-4


@torch.no_grad()
def test_states_are_float32_of_the_declared_shapes_even_in_bfloat16(
    name: MixerName, tokens: Tensor
) -> None:
    made = model(name).to(torch.bfloat16)
    empty, (logits, caches) = made.empty(2), made(tokens)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    for state, first in zip(caches, empty, strict=True):
        assert {k: (t.shape, t.dtype) for k, t in state.items()} == {
            k: (t.shape, torch.float32) for k, t in first.items()
        }
        assert all(t.untyped_storage().nbytes() == t.nbytes for t in state.values())


@torch.no_grad()
def test_in_bfloat16_pieces_agree_as_well_as_rounding_allows(
    name: MixerName, tokens: Tensor
) -> None:
    made = model(name, name).to(torch.bfloat16)
    assert distance(read(made, tokens, [37, 1, 52]), read(made, tokens, [90])) < 0.1
