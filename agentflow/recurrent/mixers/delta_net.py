"""DeltaNet: linear attention that first erases what a key held, then writes.

Owns the layer that its gated and many-step forms share: S_t = a_t (I - beta_t k_t k_tᵀ) S_{t-1} + beta_t k_t v_tᵀ with
keys of length 1 and beta_t = beta_max · sigmoid(linear(x_t)); in DeltaNet itself a_t = 1. Source: Yang et al.,
Parallelizing Linear Transformers with the Delta Rule, arXiv:2406.06484, sections 2.2 and 3.3; beta up to 2: Grazzi et
al., arXiv:2411.12537. State: `s` (sequences, heads, keys, values), `conv` (sequences, convolution - 1, channels of
query, keys and values).
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.delta_rule import delta_rule
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import RMSNorm, ShortConvolution, normalised


class DeltaNet(Mixer):
    """The delta rule after a short convolution."""

    forgets: ClassVar[bool] = False  # a_t below 1, and a SiLU gate on the output

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        width, heads = config.d_model, config.heads
        self.steps = self.steps_per_token()
        self.channels = width * (1 + 2 * self.steps)
        self.inputs = nn.Linear(width, self.channels, bias=False)
        self.convolution = ShortConvolution(self.channels, config.convolution)
        self.beta = nn.Linear(width, heads * self.steps, bias=False)
        if self.forgets:
            self.gate = nn.Linear(width, width, bias=False)
            self.pace = nn.Linear(width, heads, bias=False)
            self.pace_bias = nn.Parameter(slow_paces(heads))
            self.log_rate = nn.Parameter(torch.zeros(heads))
        self.norm = RMSNorm(config.head_width)
        self.output = nn.Linear(width, width, bias=False)

    def steps_per_token(self) -> int:
        """Return how many keys a token writes."""
        return 1

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        width = self.config.head_width
        conv = (self.config.convolution - 1, self.channels)
        return {"s": (self.config.heads, width, width), "conv": conv}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x, state)
        mixed, tail = self.convolution(self.inputs(x), state["conv"])
        parts = mixed.unflatten(-1, (1 + 2 * self.steps, self.config.heads, -1))
        query, keys, values = parts.split((1, self.steps, self.steps), 2)
        query = normalised(query[:, :, 0]) * self.config.head_width**-0.5
        beta = self.beta(x).float().sigmoid().unflatten(-1, (self.steps, -1))
        beta = beta * self.config.beta_max
        out, last = self._written(
            query, normalised(keys), values, beta, self._log_decay(x), state["s"]
        )
        out = self.norm(out).to(x.dtype).flatten(2)
        if self.forgets:
            out = out * nn.functional.silu(self.gate(x))
        y: Tensor = self.output(out)
        return y, {"s": last, "conv": tail}

    def _log_decay(self, x: Tensor) -> Tensor:
        """Return log a_t of shape (sequences, tokens, heads), as in Mamba-2: -rate · softplus(pace)."""
        if not self.forgets:
            return x.new_zeros(*x.shape[:2], self.config.heads, dtype=torch.float32)
        pace = nn.functional.softplus(self.pace(x).float() + self.pace_bias.float())
        return -self.log_rate.float().exp() * pace

    def _written(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        beta: Tensor,
        log_decay: Tensor,
        state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Write the steps of each token one after another, forgetting before the first, and read after the last."""
        if self.steps == 1:
            return delta_rule(
                query, keys[:, :, 0], values[:, :, 0], beta[:, :, 0], log_decay, state
            )
        unread = (0, 0, 0, 0, self.steps - 1, 0)
        query = nn.functional.pad(query.unsqueeze(2), unread).flatten(1, 2)
        log_decay = nn.functional.pad(log_decay.unsqueeze(2), (0, 0, 0, self.steps - 1)).flatten(
            1, 2
        )
        flat = (keys.flatten(1, 2), values.flatten(1, 2), beta.flatten(1, 2))
        out, last = delta_rule(query, *flat, log_decay, state)
        return out[:, self.steps - 1 :: self.steps], last


def slow_paces(heads: int) -> Tensor:
    """Return biases for which softplus lies between 0.001 and 0.1, evenly by its logarithm: slow forgetting at first."""
    pace = torch.logspace(-3, -1, heads)
    return pace + torch.log(-torch.expm1(-pace))
