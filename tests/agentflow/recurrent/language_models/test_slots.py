"""The pool of slots, as it runs on CUDA, but for the graphs."""

from collections.abc import Callable

import pytest

from agentflow.recurrent.language_models.protocol import Batch
from agentflow.recurrent.language_models.reading_model import ReadingModel
from agentflow.recurrent.language_models.slots import SlotBatch
from tests.agentflow.recurrent.language_models.conftest import Loaded, error, texts
from tests.agentflow.recurrent.language_models.test_architectures import TOLERANCE, join_and_leave

PURE = ("mamba", "falcon_mamba", "mamba2", "rwkv", "xlstm")


def slots(it: Loaded) -> Batch:
    model = ReadingModel(
        it.model.reader,
        it.model.abilities,
        vocabulary_size=it.model.vocabulary_size,
        growing=it.model.growing,
        context_tokens=None,
        uses_slots=True,
    )
    batch = model.batch()
    assert isinstance(batch, SlotBatch)
    return batch


@pytest.mark.parametrize("architecture", PURE)
def test_rows_in_slots_say_what_each_text_alone_says(
    architecture: str, loaded: Callable[[str], Loaded]
) -> None:
    it = loaded(architecture)
    assert join_and_leave(it, slots(it)) < TOLERANCE


def test_rows_keep_their_order_when_slots_are_filled_from_behind(
    loaded: Callable[[str], Loaded],
) -> None:
    it = loaded("mamba2")
    batch, read = slots(it), texts(6, 9)
    for text in read:
        batch.add(it.model.extend(text, None)[1])
    batch.step([1, 2, 3, 4, 5, 6])
    batch.remove([0, 2, 3])
    got = batch.step([7, 8, 9])
    for logits, row, token in zip(got, (1, 4, 5), (7, 8, 9), strict=True):
        assert error(logits, it.whole([*read[row], row + 1, token])[-1]) < TOLERANCE
