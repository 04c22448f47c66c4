"""minLSTM: an LSTM whose gates do not look at the state, so that all tokens are read at once.

Owns h_t = f'_t h_{t-1} + i'_t g(x_t), where f' = f / (f + i) and i' = i / (f + i) are the sigmoid gates scaled to sum
to 1. Source: Feng et al., Were RNNs All We Needed?, arXiv:2410.01201, sections 3.2 and B.3 (the form in log space).
State: `h` (sequences, width), at least 0.
"""

from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.log_scan import log_scan
from agentflow.recurrent.mixers.min_gru import log_positive
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.parts import owned


class MinLSTM(Mixer):
    """The minimal LSTM with one projection in and one out."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.width = config.d_model * config.expansion
        self.inputs = nn.Linear(config.d_model, 3 * self.width)
        self.output = nn.Linear(self.width, config.d_model, bias=False)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.width,)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        forget, write, new = self.inputs(x).float().chunk(3, -1)
        ratio = nn.functional.softplus(-forget) - nn.functional.softplus(-write)  # log (i / f)
        log_keep, log_write = -nn.functional.softplus(ratio), -nn.functional.softplus(-ratio)
        hidden = log_scan(log_keep, log_write + log_positive(new), self.begin(x, state)["h"])
        y: Tensor = self.output(hidden.to(x.dtype))
        return y, {"h": owned(hidden[:, -1])}
