"""Aaren: softmax attention of one learned query over all tokens so far, as a recurrence.

Owns the prefix scan over (m, u, w): the largest score, the sum of exp(score - m), and that sum of the values; the
output is w / u. Source: Feng et al., Attention as an RNN, arXiv:2405.13956, sections 3.2 and 3.3; within a chunk the
scan is a masked matrix product, between chunks its associative operator. State: `m` (sequences, heads), `u` likewise,
`w` (sequences, heads, head width).
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import in_float32, owned

LOWEST = -1e30  # stands for minus infinity: differences of two stay numbers


class Aaren(Mixer):
    """Attention with a query per head that is a parameter."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.query = nn.Parameter(torch.randn(config.heads, config.head_width))
        self.inputs = nn.Linear(config.d_model, 2 * config.d_model, bias=False)
        self.output = nn.Linear(config.d_model, config.d_model, bias=False)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        heads, width = self.config.heads, self.config.head_width
        return {"m": (heads,), "u": (heads,), "w": (heads, width)}

    @override
    def empty(self, sequences: int, device: torch.device | None = None) -> State:
        state = super().empty(sequences, device)
        return state | {"m": torch.full_like(state["m"], LOWEST)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        key, value = self.inputs(x).unflatten(-1, (2, self.config.heads, -1)).unbind(2)
        score = (key.float() * self.query.float()).sum(-1) * self.config.head_width**-0.5
        state = self.begin(x, state)
        mixed, state = prefix_attention(score, value, state["m"], state["u"], state["w"])
        y: Tensor = self.output(mixed.flatten(2).to(x.dtype))
        return y, state


@in_float32
def prefix_attention(
    score: Tensor, value: Tensor, m: Tensor, u: Tensor, w: Tensor, chunk: int = 64
) -> tuple[Tensor, State]:
    """Return softmax(score[:t]) · value[:t] for every t, after what (m, u, w) stands for.

    Args:
        score: (sequences, tokens, heads).
        value: (sequences, tokens, heads, width).
        m: (sequences, heads).
        u: (sequences, heads).
        w: (sequences, heads, width).
        chunk: Tokens worked on at once.
    """
    parts = []
    for scores, values in zip(
        torch.split(score, chunk, 1), torch.split(value, chunk, 1), strict=True
    ):
        scores, values = scores.transpose(1, 2), values.transpose(1, 2)
        # The result does not depend on m, so nothing flows back through it.
        top = torch.maximum(scores.detach().cummax(-1).values, m.unsqueeze(-1))
        later = torch.ones(scores.shape[-1], scores.shape[-1], device=score.device).triu(1).bool()
        shares = (scores.unsqueeze(-2) - top.unsqueeze(-1)).masked_fill(later, -torch.inf).exp()
        kept = (m.unsqueeze(-1) - top).exp()
        sums = kept * u.unsqueeze(-1) + shares.sum(-1)
        mixed = kept.unsqueeze(-1) * w.unsqueeze(-2) + shares @ values
        parts.append((mixed / sums.unsqueeze(-1)).transpose(1, 2))
        m, u, w = top[..., -1], sums[..., -1], mixed[..., -1, :]
    return torch.cat(parts, 1), {"m": owned(m), "u": owned(u), "w": owned(w)}
