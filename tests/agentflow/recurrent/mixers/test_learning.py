"""What the papers say a recurrence can and cannot learn, in seconds on one core."""

from collections.abc import Iterator
from typing import Literal

import pytest
import torch

from agentflow.recurrent.mixers.config import MixerConfig, MixerName
from agentflow.recurrent.mixers.model import MixerLM
from agentflow.recurrent.mixers.training import Batch, Training, TrainingOptions

pytestmark = pytest.mark.slow

OPTIONS = TrainingOptions(
    steps=300, learning_rate=1e-2, warmup_steps=20, lengths=((0, 4), (40, 8), (80, 16))
)


def parity(step: int) -> Iterator[Batch]:
    """Bits, and after each whether the ones so far are odd in number."""
    while True:
        bits = torch.randint(0, 2, (32, 16))
        yield bits, bits.cumsum(1) % 2


def accuracy_after_training(name: MixerName, beta_max: Literal[1, 2]) -> float:
    """Return the share of right answers in the second half of sequences that were never seen."""
    torch.manual_seed(1)
    sizes = MixerConfig(vocabulary_size=2, d_model=32, layers=(name,), beta_max=beta_max)
    made = MixerLM(sizes)
    Training(made, OPTIONS, parity).run()
    batches = parity(0)
    bits, right = map(torch.cat, zip(*(next(batches) for _ in range(8)), strict=True))
    with torch.no_grad():
        logits, _ = made.eval()(bits)
    return float((logits.argmax(-1) == right)[:, 8:].float().mean())


def test_gru_learns_parity() -> None:
    assert accuracy_after_training("gru", 1) > 0.95


def test_delta_rule_learns_parity_if_eigenvalues_may_be_negative() -> None:
    assert accuracy_after_training("gated_delta_net", 2) > 0.9


def test_delta_rule_stays_at_chance_in_parity_if_they_may_not() -> None:
    assert accuracy_after_training("gated_delta_net", 1) < 0.7
