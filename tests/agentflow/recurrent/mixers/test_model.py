"""How layers make a model, and what a configuration refuses."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.model import MixerLM
from tests.agentflow.recurrent.mixers.small import config, model


def test_layers_of_different_kinds_make_one_model() -> None:
    made = model("gated_delta_net", "gru", "min_gru", "rwkv7")
    tokens = torch.randint(0, 29, (2, 12))
    logits, caches = made(tokens)
    assert logits.shape == (2, 12, 29)
    assert [sorted(state) for state in caches] == [["conv", "s"], ["h"], ["h"], ["s", "shift"]]


def test_only_the_last_logits_are_made_when_asked() -> None:
    made = model("gru")
    tokens = torch.randint(0, 29, (2, 12))
    logits, _ = made(tokens)
    last, _ = made(tokens, logits_to_keep=1)
    assert last.shape == (2, 1, 29)
    assert torch.allclose(last, logits[:, -1:], atol=1e-6)


def test_loss_counts_only_targets_that_are_not_ignored() -> None:
    made = model("gru")
    tokens = torch.randint(0, 29, (2, 12))
    targets = torch.full_like(tokens, -100)
    targets[0, 3] = 7
    logits, _ = made(tokens)
    assert made.loss(tokens, targets).item() == pytest.approx(
        -logits[0, 3].log_softmax(-1)[7].item(), rel=1e-5
    )


def test_loss_is_that_of_the_next_token() -> None:
    made = model("gru")
    tokens = torch.randint(0, 29, (2, 12))
    assert torch.equal(made.loss(tokens), made.loss(tokens[:, :-1], tokens[:, 1:]))


def test_tied_embeddings_save_a_head() -> None:
    tied, own = model("gru"), model("gru", tied_embeddings=False)
    assert own.parameter_count() - tied.parameter_count() == 29 * 24


def test_feed_forward_can_be_left_out() -> None:
    assert model("gru", feed_forward=0).parameter_count() == 29 * 24 + 2 * 24 + 6 * 24 * 24 + 6 * 24


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": ["transformer"]}, "layers"),
        ({"heads": 5}, "does not divide"),
        ({"beta_max": 3}, "beta_max"),
        ({"layers": []}, "layers"),
        ({"d_model": 10**9}, "d_model"),
        ({"width": 3}, "width"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MixerConfig.model_validate(config("gru").model_dump() | change)


def test_every_weight_is_learnt_from() -> None:
    made = MixerLM(config("gla", "delta_product", "rwkv7", "mamba2", "aaren", "min_lstm"))
    made.loss(torch.randint(0, 29, (2, 40))).backward()  # type: ignore[no-untyped-call]
    assert [name for name, p in made.named_parameters() if p.grad is None] == []
