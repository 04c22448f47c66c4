"""What is computed for all tokens at once is what the papers compute token after token, gradients too."""

import copy

import pytest
import torch
from torch import Tensor

from agentflow.recurrent.mixers.config import MixerName
from agentflow.recurrent.mixers.diagonal_rule import LEAST_LOG_DECAY, diagonal_rule
from agentflow.recurrent.mixers.gru import GRU
from agentflow.recurrent.mixers.lstm import LSTM
from agentflow.recurrent.mixers.min_gru import MinGRU
from agentflow.recurrent.mixers.mixer import Mixer
from tests.agentflow.recurrent.mixers.references import reference
from tests.agentflow.recurrent.mixers.small import NAMES, distance, mixer

TOKENS = 75  # more than a chunk of every kernel, and a multiple of none
CASES = [(name, 2) for name in NAMES if name not in ("gru", "lstm")] + [("gated_delta_net", 1)]


def gradients(made: Mixer, x: Tensor, y: Tensor, pull: Tensor) -> dict[str, Tensor]:
    named = {"x": x} | dict(made.named_parameters())
    found = torch.autograd.grad((y * pull.to(y)).sum(), list(named.values()))
    return {name: gradient.float() for name, gradient in zip(named, found, strict=True)}


@pytest.mark.parametrize(("name", "beta_max"), CASES)
def test_parallel_form_and_its_gradients_are_those_of_the_recurrence(
    name: MixerName, beta_max: int
) -> None:
    made = mixer(name, beta_max=beta_max)
    slow = copy.deepcopy(made).double()
    x = torch.randn(2, TOKENS, 24)
    pull = torch.randn(2, TOKENS, 24)
    fast_x, slow_x = x.clone().requires_grad_(), x.double().requires_grad_()
    y, _ = made(fast_x)
    right = reference(name, slow, slow_x)
    assert distance(y, right.float()) < 1e-4
    found, asked = gradients(made, fast_x, y, pull), gradients(slow, slow_x, right, pull)
    assert {key: distance(found[key], asked[key]) for key in found if asked[key].numel() > 1} == (
        pytest.approx(dict.fromkeys(found, 0), abs=5e-4)
    )


def test_gru_is_that_of_torch() -> None:
    made, x = mixer("gru"), torch.randn(2, 9, 24)
    assert isinstance(made, GRU)
    y, state = made(x)
    right, last = made.rnn(x)
    assert torch.equal(y, right)
    assert torch.equal(state["h"], last[0])


def test_lstm_is_that_of_torch() -> None:
    made, x = mixer("lstm"), torch.randn(2, 9, 24)
    assert isinstance(made, LSTM)
    y, state = made(x)
    right, (hidden, cell) = made.rnn(x)
    assert torch.equal(y, right)
    assert torch.equal(state["h"], hidden[0])
    assert torch.equal(state["c"], cell[0])


def test_min_gru_that_forgets_all_at_every_token_still_sums_its_logarithms_well() -> None:
    made = mixer("min_gru")
    assert isinstance(made, MinGRU)
    with torch.no_grad():
        made.inputs.bias[: made.width] = 40.0  # exp(-40) is kept a token, exp(-3000) over all
    x = torch.randn(1, TOKENS, 24)
    right = reference("min_gru", copy.deepcopy(made).double(), x.double())
    assert distance(made(x)[0], right.float()) < 5e-4


def test_the_fastest_decay_of_a_channel_overflows_neither_forward_nor_backward() -> None:
    torch.manual_seed(0)
    query, key, value, look = (torch.randn(1, 64, 2, 8, requires_grad=True) for _ in range(4))
    decay = torch.full((1, 64, 2, 8), LEAST_LOG_DECAY, requires_grad=True)
    state = torch.randn(1, 2, 8, 8)
    out, last = diagonal_rule(query, key, value, decay, state, look, -0.1 * look)
    (out.sum() + last.sum()).backward()  # type: ignore[no-untyped-call]
    assert out.isfinite().all()
    for leaf in (query, key, value, look, decay):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
