"""What every sequence mixer is: tokens in, tokens out, and a state of fixed size.

Owns the contract. Knows no architecture. What always holds: a state is a dict of float32 tensors with the
sequences first, so states of sequences at different positions stack by concatenation; no tensor of a state is
ever changed in place; reading a sequence whole, in pieces or token by token gives the same up to rounding.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from agentflow.recurrent.mixers.config import MixerConfig

State = dict[str, Tensor]


class Mixer(nn.Module, ABC):
    """A layer that carries what it has read in a state."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor of a state, without the sequences in front."""

    @abstractmethod
    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens and return what they become, and the state after the last.

        Args:
            x: (sequences, tokens, d_model), at least one token.
            state: What was read before; None at the beginning.

        Returns:
            (sequences, tokens, d_model) in the type of `x`, and a new state.
        """

    def empty(self, sequences: int, device: torch.device | None = None) -> State:
        """Return the state before the first token."""
        return {
            name: torch.zeros(sequences, *shape, device=device)
            for name, shape in self.shapes().items()
        }

    def begin(self, x: Tensor, state: State | None) -> State:
        """Return the state to go on from."""
        return self.empty(x.shape[0], x.device) if state is None else state
