"""Gated linear attention: each channel of the keys is forgotten at a pace that the token decides.

Owns S_t = diag(w_t) S_{t-1} + k_t v_tᵀ, o_t = S_tᵀ q_t, with w_t = sigmoid(low-rank(x_t)) ** (1 / 16). Source: Yang et
al., Gated Linear Attention Transformers, arXiv:2312.06635, sections 4.1 and 4.4. log w is at least LEAST_LOG_DECAY.
State: `s` (sequences, heads, keys, values), where keys are half as wide as values.
"""

from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.diagonal_rule import LEAST_LOG_DECAY, diagonal_rule
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import RMSNorm, by_head

TEMPERATURE = 16
RANK = 16


class GLA(Mixer):
    """Gated linear attention with a SiLU gate on the output."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.values = config.head_width
        self.keys = max(1, config.head_width // 2)
        keys, width = self.keys * config.heads, config.d_model
        self.sizes = (keys, keys, width, width)
        self.inputs = nn.Linear(width, sum(self.sizes), bias=False)
        self.decay = nn.Sequential(nn.Linear(width, RANK, bias=False), nn.Linear(RANK, keys))
        self.norm = RMSNorm(self.values)
        self.output = nn.Linear(width, width, bias=False)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"s": (self.config.heads, self.keys, self.values)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        heads = self.config.heads
        parts = self.inputs(x).split(self.sizes, -1)
        query, key, value, gate = (by_head(part, heads) for part in parts)
        log_decay = nn.functional.logsigmoid(by_head(self.decay(x).float(), heads)) / TEMPERATURE
        log_decay = log_decay.clamp_min(LEAST_LOG_DECAY)
        query = query * self.keys**-0.5
        mixed, last = diagonal_rule(query, key, value, log_decay, self.begin(x, state)["s"])
        gated = self.norm(mixed).to(x.dtype) * nn.functional.silu(gate)
        y: Tensor = self.output(gated.flatten(2))
        return y, {"s": last}
