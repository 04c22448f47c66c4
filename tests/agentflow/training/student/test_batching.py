"""Batches: every sequence once an epoch, like with like, and the same from any step on."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agentflow.training.student.batching import Batching
from agentflow.training.student.encoding import Encoded

LENGTHS = st.lists(st.integers(2, 30), min_size=1, max_size=12)
Batch = tuple[Tensor, Tensor]


def sequences(lengths: list[int], lessons: list[int] | None = None) -> Encoded:
    """Sequences that begin with their number; their last two tokens are learnt."""
    tokens = [
        torch.cat((torch.tensor([n]), torch.arange(1, size))) for n, size in enumerate(lengths)
    ]
    learnt = [torch.arange(size) >= size - 2 for size in lengths]
    starts = torch.tensor([0, *lengths]).cumsum(0)
    read = torch.tensor(lessons or [0] * len(lengths), dtype=torch.int32)
    return Encoded(torch.cat(tokens).int(), torch.cat(learnt), starts, read)


def batching(lengths: list[int], *, batch_tokens: int = 40, longest: int = 99) -> Batching:
    return Batching(sequences(lengths), batch_tokens=batch_tokens, longest=longest, seed=3)


def some(found: Batching, count: int, step: int = 0) -> list[Batch]:
    return list(islice(found(step), count))


def rows(batches: list[Batch]) -> list[int]:
    return [int(row[0]) for tokens, _ in batches for row in tokens]


@given(lengths=LENGTHS, step=st.integers(0, 14))
def test_a_resumed_training_sees_the_same_batches(lengths: list[int], step: int) -> None:
    whole, later = some(batching(lengths), 16)[step:], some(batching(lengths), 16 - step, step)
    assert all(
        one.equal(other)
        for batch, again in zip(whole, later, strict=True)
        for one, other in zip(batch, again, strict=True)
    )


@given(lengths=LENGTHS, size=st.integers(2, 60))
def test_an_epoch_has_every_sequence_once_and_no_batch_too_large(
    lengths: list[int], size: int
) -> None:
    found, seen = batching(lengths, batch_tokens=size)(0), list[int]()
    while len(seen) < len(lengths):
        tokens, _ = next(found)
        assert tokens.numel() <= size or len(tokens) == 1
        seen += tokens[:, 0].tolist()
    assert sorted(seen) == list(range(len(lengths)))


def test_epochs_differ() -> None:
    found = some(batching([5] * 40), 10)
    assert rows(found[:5]) != rows(found[5:])
    assert sorted(rows(found[:5])) != rows(found[:5])


def test_lessons_are_read_one_after_the_other_and_only_the_last_one_again() -> None:
    found = Batching(sequences([9] * 12, [5, 0, 2] * 4), batch_tokens=16, longest=99, seed=3)
    read = [number % 3 for number in rows(some(found, 6))]
    assert read == [1] * 4 + [2] * 4 + [0] * 4
    assert {number % 3 for number in rows(some(found, 6, step=6))} == {0}


def test_a_target_is_the_token_that_follows_if_it_is_learnt() -> None:
    ((tokens, targets),) = some(batching([4, 3]), 1)
    by_row = {
        int(row[0]): (row.tolist(), to.tolist()) for row, to in zip(tokens, targets, strict=True)
    }
    assert by_row == {0: ([0, 1, 2], [-100, 2, 3]), 1: ([1, 1, 2], [1, 2, -100])}


def test_what_is_too_long_is_cut_and_left_out_if_nothing_is_learnt_then() -> None:
    found = batching([30, 6, 8], longest=7)
    ((tokens, targets),) = some(found, 1)
    assert found.left_out == 1
    assert sorted(tokens[:, 0].tolist()) == [1, 2]
    assert tokens.shape[1] == 6
    assert (targets != -100).sum() == 3  # both of one, the first of the other


@given(lengths=LENGTHS, wanted=st.integers(1, 500))
def test_steps_for_tokens_are_the_fewest_that_read_them(lengths: list[int], wanted: int) -> None:
    found = batching(lengths)
    steps = found.steps_for(wanted, lambda step: 3 if step < 2 else None)
    sizes = [
        tokens[:, : 3 if step < 2 else None].numel()
        for step, (tokens, _) in enumerate(some(found, steps))
    ]
    assert sum(sizes) >= wanted > sum(sizes[:-1])


def test_nothing_to_learn_is_an_error_and_no_endless_search() -> None:
    with pytest.raises(ValueError, match="no sequence has a token to learn"):
        next(batching([9], longest=3)(0))
