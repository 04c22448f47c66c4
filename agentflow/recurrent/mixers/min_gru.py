"""minGRU: a GRU whose gates do not look at the state, so that all tokens are read at once.

Owns h_t = (1 - z_t) h_{t-1} + z_t g(x_t), with z_t = sigmoid(linear(x_t)). Source: Feng et al., Were RNNs All We
Needed?, arXiv:2410.01201, sections 3.1 and B.2 (the form in log space). State: `h` (sequences, width), at least 0.
"""

from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.log_scan import log_scan
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import owned


def log_positive(x: Tensor) -> Tensor:
    """Return log g(x), g(x) = x + 1/2 for x >= 0 and sigmoid(x) below (section B.2.1)."""
    return (nn.functional.relu(x) + 0.5).log().where(x >= 0, -nn.functional.softplus(-x))


class MinGRU(Mixer):
    """The minimal GRU with one projection in and one out."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.width = config.d_model * config.expansion
        self.inputs = nn.Linear(config.d_model, 2 * self.width)
        self.output = nn.Linear(self.width, config.d_model, bias=False)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.width,)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        gate, new = self.inputs(x).float().chunk(2, -1)
        hidden = log_scan(
            -nn.functional.softplus(gate),
            -nn.functional.softplus(-gate) + log_positive(new),
            self.begin(x, state)["h"],
        )
        y: Tensor = self.output(hidden.to(x.dtype))
        return y, {"h": owned(hidden[:, -1])}
