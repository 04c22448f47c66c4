"""LSTM: torch's own, with its state carried.

Owns the layout of the state only. Source: Hochreiter and Schmidhuber, Long Short-Term Memory, in the form of
`torch.nn.LSTM`. State: `h` and `c`, each (sequences, d_model).
"""

from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.mixer import Mixer, State
from agentflow.recurrent.mixers.torch_rnn import run


class LSTM(Mixer):
    """A long short-term memory as wide as the model."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.rnn = nn.LSTM(config.d_model, config.d_model, batch_first=True)

    @override
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.config.d_model,), "c": (self.config.d_model,)}

    @override
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x, state)
        y, [hidden, cell] = run(self.rnn, x, state["h"], state["c"])
        return y, {"h": hidden, "c": cell}
