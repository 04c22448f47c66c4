"""Mamba-2: linear attention whose state fades by one number per head and token.

Owns S_t = exp(-rate · dt_t) S_{t-1} + dt_t B_t x_tᵀ and y_t = S_tᵀ C_t + D x_t; B and C are shared by the heads. Source:
Dao and Gu, Transformers are SSMs, arXiv:2405.21060, sections 6 and 7. State: `s` (sequences, heads, keys, values),
`conv` (sequences, convolution - 1, channels of x, B and C). The inner width is 2 · d_model.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.delta_net import slow_paces
from agentflow.recurrent.mixers.delta_rule import delta_rule
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import RMSNorm, ShortConvolution


class Mamba2(Mixer):
    """A selective state space layer."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        inner, keys, heads = 2 * config.d_model, config.state_size, config.heads
        self.channels = inner + 2 * keys
        self.sizes = (inner, self.channels, heads)
        self.inputs = nn.Linear(config.d_model, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(self.channels, config.convolution)
        self.pace_bias = nn.Parameter(slow_paces(heads))
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log())
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm = RMSNorm(inner)
        self.output = nn.Linear(inner, config.d_model, bias=False)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        values = 2 * self.config.head_width
        conv = (self.config.convolution - 1, self.channels)
        return {"s": (self.config.heads, self.config.state_size, values), "conv": conv}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state, heads, keys = self.begin(x, state), self.config.heads, self.config.state_size
        gate, mixed, pace = self.inputs(x).split(self.sizes, -1)
        mixed, tail = self.convolution(mixed, state["conv"])
        value, key, query = mixed.float().split((self.sizes[0], keys, keys), -1)
        value = value.unflatten(-1, (heads, -1))
        pace = nn.functional.softplus(pace.float() + self.pace_bias.float())
        query = query.unsqueeze(2).expand(-1, -1, heads, -1)
        key = key.unsqueeze(2) * pace.unsqueeze(-1)
        log_decay = -self.log_rate.float().exp() * pace
        out, last = delta_rule(query, key, value, None, log_decay, state["s"])
        out = (out + self.skip.float().unsqueeze(-1) * value).flatten(2)
        y: Tensor = self.output(self.norm(out * nn.functional.silu(gate.float())).to(x.dtype))
        return y, {"s": last, "conv": tail}
