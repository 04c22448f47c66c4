"""RWKV-7: the time mixing layer with its generalised delta rule.

Owns S_t = (diag(w_t) - κ_t (a_t ⊙ κ_t)ᵀ) S_{t-1} + v_t k_tᵀ (there values first; here keys first) and what feeds it:
every input is mixed with the token before (token shift), and decay, in-context learning rate a and output gate come
from low-rank layers. Source: Peng et al., RWKV-7 "Goose", arXiv:2503.14456, section 4, equations 3 to 21.

Left out: the values of the first layer that later layers mix in, since layers of a stack may be of other kinds; and
channel mixing, whose place the SwiGLU takes. State: `s` (sequences, heads, keys, values), `shift` (sequences, d_model).
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.diagonal_rule import diagonal_rule
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import by_head, normalised, owned

FASTEST = -0.6065306597126334  # log w is above -exp(-1/2)


class LowRank(nn.Module):
    """bias + tanh(x A) B, or without the tanh."""

    def __init__(self, width: int, bias: Tensor, bent: bool = False) -> None:
        super().__init__()
        rank = max(8, width // 8)
        self.bent = bent
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width, bias=False)
        nn.init.normal_(self.up.weight, std=0.02)
        self.bias = nn.Parameter(bias)

    @override
    def forward(self, x: Tensor) -> Tensor:
        low = self.down(x)
        wide: Tensor = self.up(low.tanh() if self.bent else low).float() + self.bias.float()
        return wide


class RWKV7(Mixer):
    """RWKV-7's time mixing."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        width = config.d_model
        self.mix = nn.Parameter(torch.linspace(0, 1, width).repeat(6, 1))
        self.receptance, self.key, self.value, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.decay = LowRank(width, torch.linspace(-6, -1, width), bent=True)
        self.rate = LowRank(width, torch.zeros(width))
        self.gate_down = nn.Linear(width, max(8, width // 4), bias=False)
        self.gate_up = nn.Linear(max(8, width // 4), width, bias=False)
        self.removal = nn.Parameter(torch.full((width,), 0.85))
        self.replacement = nn.Parameter(torch.ones(width))
        self.bonus = nn.Parameter(torch.zeros(width))
        self.norm = nn.Parameter(torch.stack([torch.ones(width), torch.zeros(width)]))

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        width = self.config.head_width
        return {"s": (self.config.heads, width, width), "shift": (self.config.d_model,)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x, state)
        before = torch.cat([state["shift"].to(x.dtype).unsqueeze(1), x[:, :-1]], 1)
        mixed = x.unsqueeze(-2) + (before - x).unsqueeze(-2) * self.mix
        for_read, for_decay, for_key, for_value, for_rate, for_gate = mixed.to(x.dtype).unbind(-2)
        read, value = self._heads(self.receptance(for_read)), self._heads(self.value(for_value))
        key, look, change = self._keys(for_key, for_rate)
        log_decay = self._heads(FASTEST * self.decay(for_decay).sigmoid())
        out, last = diagonal_rule(read, key, value, log_decay, state["s"], look, change)
        bonus = (read * key * self._heads(self.bonus.float())).sum(-1, keepdim=True) * value
        gate = self.gate_up(self.gate_down(for_gate).sigmoid())
        y: Tensor = self.output((self._normed(out) + bonus.flatten(2)).to(x.dtype) * gate)
        return y, {"s": last, "shift": owned(x[:, -1])}

    def _heads(self, x: Tensor) -> Tensor:
        return by_head(x.float(), self.config.heads)

    def _keys(self, for_key: Tensor, for_rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is written at, looked up with, and changed: k, -κ and a ⊙ κ."""
        key, rate = self.key(for_key).float(), self.rate(for_rate).sigmoid()
        removal = normalised(self._heads(key * self.removal.float()))
        key = key * (1 + (rate - 1) * self.replacement.float())
        return self._heads(key), -removal, removal * self._heads(rate)

    def _normed(self, out: Tensor) -> Tensor:
        """Return `out` normalised within each head (equation 20; its epsilon is 64e-5), heads joined."""
        weight, bias = self._heads(self.norm).unbind(0)
        return (nn.functional.layer_norm(out, out.shape[-1:], eps=64e-5) * weight + bias).flatten(2)
