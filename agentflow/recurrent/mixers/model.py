"""A language model of mixers: embedding, layers of mixer and SwiGLU, and a head.

Owns how layers are put together and what their states are called together: caches, one dict of tensors for each
layer, sequences first in every tensor. Knows no architecture of a mixer and no file.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.kinds import MIXERS
from agentflow.recurrent.mixers.mixer import State
from agentflow.recurrent.mixers.parts import RMSNorm

__all__ = ["Caches", "MixerConfig", "MixerLM"]

Caches = list[State]
IGNORED = -100  # a target that is not learnt from


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)). Source: Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.up(x).chunk(2, -1)
        y: Tensor = self.down(nn.functional.silu(gate) * up)
        return y


class Layer(nn.Module):
    """A mixer and a feed-forward part, each after a norm and added to its input."""

    def __init__(self, config: MixerConfig, index: int) -> None:
        super().__init__()
        inner = round(config.d_model * config.feed_forward)
        self.mixer_norm = RMSNorm(config.d_model)
        self.mixer = MIXERS[config.layers[index]](config)
        self.wide_norm = RMSNorm(config.d_model) if inner else None
        self.wide = SwiGLU(config.d_model, inner) if inner else None
        self.dropout = nn.Dropout(config.dropout)

    @override
    def forward(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        mixed, state = self.mixer(self.mixer_norm(x), state)
        x = x + self.dropout(mixed)
        if self.wide is not None and self.wide_norm is not None:
            x = x + self.dropout(self.wide(self.wide_norm(x)))
        return x, state


class MixerLM(nn.Module):
    """A causal language model whose whole memory of a sequence is its caches."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(len(config.layers)))
        self.norm = RMSNorm(config.d_model)
        self.head: nn.Linear | None = None
        if not config.tied_embeddings:
            self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)

    def forward(
        self, tokens: Tensor, caches: Caches | None = None, *, logits_to_keep: int = 0
    ) -> tuple[Tensor, Caches]:
        """Read tokens after those that `caches` stand for.

        Args:
            tokens: (sequences, tokens), at least one token.
            caches: What was read before, not changed; None at the beginning.
            logits_to_keep: Logits of that many last tokens only; 0 for all.

        Returns:
            (sequences, tokens, vocabulary) in float32, and new caches.
        """
        x, after = self._read(tokens, caches)
        return self._logits(x[:, -logits_to_keep:]), after

    def loss(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the mean cross entropy in nats.

        Args:
            tokens: (sequences, tokens).
            targets: What is to follow each token, of the same shape, -100 where it does not count; None for the
                next token, which takes at least two.
        """
        if targets is None:
            tokens, targets = tokens[:, :-1], tokens[:, 1:]
        counts = targets != IGNORED
        x, _ = self._read(tokens, None)
        # The head is a third of the work in a small model, and most targets of a question and its answer do not count.
        return nn.functional.cross_entropy(self._logits(x[counts]), targets[counts])

    def empty(self, sequences: int, device: torch.device | None = None) -> Caches:
        """Return the caches before the first token."""
        return [layer.mixer.empty(sequences, device) for layer in self._mixed()]

    def parameter_count(self) -> int:
        """Return how many numbers are learnt."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _read(self, tokens: Tensor, caches: Caches | None) -> tuple[Tensor, Caches]:
        """Return what the tokens become in the last layer, and the caches after them."""
        x = self.embedding(tokens)
        after: Caches = []
        for index, layer in enumerate(self.layers):
            x, state = layer(x, caches[index] if caches is not None else None)
            after.append(state)
        return x, after

    def _logits(self, x: Tensor) -> Tensor:
        weight = self.embedding.weight if self.head is None else self.head.weight
        return nn.functional.linear(self.norm(x), weight).float()

    def _mixed(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]
