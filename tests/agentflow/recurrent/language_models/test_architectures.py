"""Every architecture: what is read from a state equals what is read from the beginning.

What is right is said by transformers itself, in one reading of the whole text, without our repairs.
"""

from collections.abc import Callable

import pytest
import torch

from agentflow.recurrent.language_models.protocol import Batch, LanguageModel, State
from agentflow.recurrent.states import walk
from tests.agentflow.recurrent.folders import ARCHITECTURES
from tests.agentflow.recurrent.language_models.conftest import Loaded, error, texts

Load = Callable[[str], Loaded]
TOLERANCE = 5e-3
"""Measured: up to 2e-3, for the largest of all logits (Zamba2); a lost state is off by one and more."""

of_every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def read(model: LanguageModel, text: list[int]) -> State:
    return model.extend(text, None)[1]


@of_every_architecture
def test_two_branches_of_one_state_say_what_two_whole_texts_say(
    architecture: str, loaded: Load
) -> None:
    it = loaded(architecture)
    start, first, second = (text[:n] for text, n in zip(texts(3, 37), (37, 5, 6), strict=True))
    state = read(it.model, start)
    for more in (first, second, first):
        branch, got = walk.clone(state), []
        for token in more:
            logits, branch = it.model.extend([token], branch)
            got.append(logits)
        assert error(torch.stack(got), it.whole(start + more)[-len(more) :]) < TOLERANCE
    assert state.length == 37


@of_every_architecture
def test_pieces_of_any_length_say_what_the_whole_text_says(architecture: str, loaded: Load) -> None:
    it = loaded(architecture)
    (text,) = texts(1, 40)
    state, got, ends = None, [], []
    for start, end in ((0, 1), (1, 4), (4, 30), (30, 31), (31, 40)):
        logits, state = it.model.extend(text[start:end], state)
        got.append(logits)
        ends.append(end - 1)
    assert error(torch.stack(got), it.whole(text)[ends]) < TOLERANCE
    assert it.model.abilities.continues is (architecture != "minimax")


@pytest.mark.parametrize("architecture", ["qwen3_next", "olmo_hybrid", "kimi_linear", "xlstm"])
def test_pieces_longer_than_a_kernels_chunk_say_the_same(architecture: str, loaded: Load) -> None:
    it = loaded(architecture)
    (text,) = texts(1, 230)
    logits, state = it.model.extend(text[:100], None)
    assert error(logits, it.whole(text[:100])[-1]) < TOLERANCE
    logits, state = it.model.extend(text[100:], state)
    assert error(logits, it.whole(text)[-1]) < TOLERANCE


class Rows:
    """A batch, what each of its rows has read, and what is still to be compared."""

    def __init__(self, it: Loaded, batch: Batch) -> None:
        self.it, self.batch = it, batch
        self.texts: list[list[int]] = []
        self.errors: list[float] = []

    def join(self, text: list[int]) -> None:
        self.batch.add(read(self.it.model, text))
        self.texts.append(text)

    def leave(self, *rows: int) -> None:
        self.batch.remove(rows)
        self.texts = [text for row, text in enumerate(self.texts) if row not in rows]

    def step(self, *tokens: int) -> None:
        got = self.batch.step(tokens)
        self.texts = [[*text, token] for text, token in zip(self.texts, tokens, strict=True)]
        for logits, text in zip(got, self.texts, strict=True):
            self.errors.append(error(logits, self.it.whole(text)[-1]))


def join_and_leave(it: Loaded, batch: Batch) -> float:
    """Let rows of different lengths join and leave between steps; return the largest error."""
    rows = Rows(it, batch)
    long, short, middle, last = (
        text[:n] for text, n in zip(texts(4, 30), (30, 3, 12, 20), strict=True)
    )
    rows.join(long)
    rows.step(11)
    rows.join(short)
    rows.join(middle)
    rows.step(21, 22, 23)
    rows.step(31, 32, 33)
    rows.leave(0)
    rows.step(41, 42)
    rows.join(last)
    rows.leave(0)
    rows.step(51, 52)
    state = batch.state(0)
    rows.step(61, 62)  # must not change the state that was taken
    logits, _ = it.model.extend([71, 72], state)
    rows.errors.append(error(logits, it.whole([*rows.texts[0][:-1], 71, 72])[-1]))
    assert len(batch) == 2
    rows.leave(0, 1)
    rows.join(short)
    rows.step(81)
    return max(rows.errors)


@of_every_architecture
def test_rows_that_join_and_leave_say_what_each_text_alone_says(
    architecture: str, loaded: Load
) -> None:
    it = loaded(architecture)
    assert join_and_leave(it, it.model.batch()) < TOLERANCE
    assert it.model.abilities.stacks is (architecture != "minimax")
