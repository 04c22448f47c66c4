"""A training can be stopped anywhere and goes on bit for bit; what it cannot use it refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agentflow.errors import WeightsError
from agentflow.recurrent.mixers.model import MixerLM
from agentflow.recurrent.mixers.training import Batch, StepReport, Training, TrainingOptions
from tests.agentflow.recurrent.mixers.small import config

OPTIONS = TrainingOptions(steps=9, warmup_steps=3, lengths=((0, 6), (4, 12)))


def drawn(step: int) -> Iterator[Batch]:
    """Batches from torch's own generator."""
    while True:
        yield torch.randint(0, 29, (4, 16))


def training(options: TrainingOptions = OPTIONS, **sizes: Any) -> Training[MixerLM]:
    torch.manual_seed(3)
    made = MixerLM(config("gated_delta_net", "gru", dropout=0.1, **sizes))
    return Training(made, options, drawn)


def weights(of: Training[MixerLM]) -> dict[str, Tensor]:
    return of.model.state_dict()


def test_a_resumed_training_gives_the_same_bits(tmp_path: Path) -> None:
    whole: list[StepReport] = []
    straight = training()
    straight.run(whole.append)
    parts: list[StepReport] = []
    first = training()
    first.run(parts.append, until=5)
    first.save(tmp_path / "training.safetensors")
    resumed = training()
    torch.manual_seed(99)  # another process would have another random state
    resumed.restore(tmp_path / "training.safetensors")
    resumed.run(parts.append)
    assert parts == whole
    assert all(torch.equal(t, weights(resumed)[name]) for name, t in weights(straight).items())


def test_a_training_starts_over_without_the_checkpoint(tmp_path: Path) -> None:
    straight, again = training(), training()
    straight.run()
    again.run(until=5)
    torch.manual_seed(99)
    again.run()
    assert not torch.equal(straight.model.norm.weight, again.model.norm.weight)


def test_rate_warms_up_and_falls_and_lengths_grow() -> None:
    reports: list[StepReport] = []
    training().run(reports.append)
    rates = [report.rate for report in reports]
    assert rates[:4] == pytest.approx([1e-3, 2e-3, 3e-3, 3e-3])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 3e-4 < rates[-1] < 6e-4
    assert [report.tokens for report in reports] == [24] * 4 + [48] * 5
    assert [report.step for report in reports] == list(range(1, 10))


def test_only_matrices_of_layers_decay() -> None:
    made = training()._optimizer.param_groups
    assert {p.dim() for p in made[0]["params"]} == {2}
    assert (
        sum(p.numel() for group in made for p in group["params"])
        == training().model.parameter_count()
    )


def test_bfloat16_keeps_weights_in_float32() -> None:
    made = training(OPTIONS.model_copy(update={"bf16": True}))
    reports: list[StepReport] = []
    made.run(reports.append, until=2)
    assert {tensor.dtype for tensor in weights(made).values()} == {torch.float32}
    assert all(0 < report.loss < 5 for report in reports)


def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoilt() -> None:
    made = training()
    made.run(until=2)
    with torch.no_grad():
        made.model.norm.weight[0] = torch.inf
    with pytest.raises(FloatingPointError, match="at step 2: lower learning_rate"):
        made.run()
    assert all(not tensor.isnan().any() for tensor in weights(made).values())


def test_batches_that_end_early_are_an_error() -> None:
    made = Training(training().model, OPTIONS, lambda _: iter([torch.zeros(1, 4).long()]))
    with pytest.raises(ValueError, match="ended at step 1 of 9"):
        made.run()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"options": OPTIONS.model_copy(update={"steps": 10})}, "its options are not those"),
        ({"d_model": 48}, "its config are not those"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    training().save(tmp_path / "c.safetensors")
    with pytest.raises(WeightsError, match=said):
        training(**other).restore(tmp_path / "c.safetensors")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    training().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"c\.safetensors is damaged"):
        training().restore(path)
