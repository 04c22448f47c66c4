"""Our own small models come through the same door."""

from pathlib import Path

import pytest
import torch

from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.slots import SlotBatch
from agentflow.recurrent.mixers.config import MixerConfig, MixerName
from agentflow.recurrent.mixers.folder import save
from agentflow.recurrent.mixers.model import MixerLM
from tests.agentflow.recurrent.folders import VOCABULARY
from tests.agentflow.recurrent.language_models.conftest import Loaded
from tests.agentflow.recurrent.language_models.test_architectures import TOLERANCE, join_and_leave

STACKS: tuple[tuple[MixerName, ...], ...] = (
    ("gated_delta_net", "gru"),
    ("min_gru", "min_lstm", "aaren"),
    ("lstm", "delta_product", "mamba2"),
    ("rwkv7", "gla", "delta_net"),
)


class Whole(torch.nn.Module):
    """Answers like a model of transformers: with an object that has logits."""

    def __init__(self, network: MixerLM) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: torch.Tensor) -> "Whole":
        self.logits, _ = self.network(tokens)
        return self


@pytest.mark.parametrize("layers", STACKS, ids="-".join)
def test_mixers_are_read_from_states_like_any_model(
    layers: tuple[MixerName, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = MixerLM(
        MixerConfig(vocabulary_size=VOCABULARY, d_model=32, layers=layers, heads=2)
    ).eval()
    save(network, tmp_path)
    it = Loaded(tmp_path, load(tmp_path), Whole(network))
    assert (it.model.abilities.continues, it.model.abilities.stacks) == (True, True)
    assert not it.model.abilities.attends
    assert join_and_leave(it, it.model.batch()) < TOLERANCE
    assert join_and_leave(it, SlotBatch(it.model.reader, it.model.vocabulary_size)) < TOLERANCE
