"""GRU: torch's own, with its state carried.

Owns the layout of the state only. Nonlinear in the state, so it tracks what linear recurrences cannot, token after
token (cuDNN or oneDNN inside). Source: Cho et al., arXiv:1406.1078, in the form of `torch.nn.GRU`.
State: `h` (sequences, d_model).
"""

from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.torch_rnn import run


class GRU(Mixer):
    """A gated recurrent unit as wide as the model."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.rnn = nn.GRU(config.d_model, config.d_model, batch_first=True)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.config.d_model,)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        y, [hidden] = run(self.rnn, x, self.begin(x, state)["h"])
        return y, {"h": hidden}
