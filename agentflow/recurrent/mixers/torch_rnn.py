"""Run a recurrent layer of torch in the type of its weights, whatever autocast says.

Owns that one call: in half precision a state rounded at every token drifts, and kernels differ by device.
"""

from typing import Any

import torch
from torch import Tensor, nn

from agentflow.recurrent.mixers.parts import owned


def run(rnn: nn.RNNBase, x: Tensor, *state: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs in the type of `x` and the last state; each tensor of a state is (sequences, width)."""
    assert isinstance(rnn.weight_ih_l0, Tensor)
    kind = rnn.weight_ih_l0.dtype
    before: Any = tuple(part.to(kind).unsqueeze(0) for part in state)
    with torch.autocast(x.device.type, enabled=False):
        y, last = rnn(x.to(kind), before if len(before) > 1 else before[0])
    ends = last if isinstance(last, tuple) else (last,)
    return y.to(x.dtype), [owned(end[0]) for end in ends]
