"""Read with one of our own small recurrent models.

Owns nothing but the difference in calling. These models have no attention, so positions and masks mean nothing to them.
"""

from typing import Any

import torch
from torch import Tensor

from agentflow.recurrent.mixers.model import MixerLM


class MixerReader:
    """A `Reader` over a `MixerLM`."""

    takes_mask = False

    def __init__(self, network: MixerLM, name: str) -> None:
        self._network = network.eval()
        self.name = name
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.vocabulary_size = network.config.vocabulary_size

    @torch.no_grad()
    def read(
        self,
        tokens: Tensor,
        cache: Any,
        *,
        positions: Tensor,  # noqa: ARG002 - the protocol's
        mask: Tensor | None = None,  # noqa: ARG002 - the protocol's
        only_last: bool = False,
    ) -> tuple[Tensor, Any]:
        """Read tokens from a cache; see `Reader.read`."""
        logits, after = self._network(tokens, cache, logits_to_keep=1 if only_last else 0)
        return logits, after
