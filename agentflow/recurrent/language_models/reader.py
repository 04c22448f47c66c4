"""What is asked of a network that reads tokens and hands its state back.

Owns the protocol: the peculiarities of one library or architecture end behind it. Knows no engine and no abilities.
"""

from typing import Any, Protocol

import torch
from torch import Tensor


class Reader(Protocol):
    """A network that reads tokens of several sequences at once.

    Attributes:
        name: The folder or name it was loaded from.
        vocabulary_size: How many different token ids it can read.
        dtype: Of its weights.
        takes_mask: Sequences of different length can share keys and values that were padded in front.
    """

    name: str
    vocabulary_size: int
    device: torch.device
    dtype: torch.dtype
    takes_mask: bool

    def read(
        self,
        tokens: Tensor,
        cache: Any,
        *,
        positions: Tensor,
        mask: Tensor | None = None,
        only_last: bool = False,
    ) -> tuple[Tensor, Any]:
        """Read (rows, tokens) from a cache, which is consumed, or from None.

        Args:
            tokens: (rows, tokens).
            cache: What an earlier reading has returned.
            positions: Of the tokens in their sequences, shape (rows, tokens).
            mask: (rows, kept and new tokens): 0 where keys were padded, else 1. None: nothing was.
            only_last: The logits of earlier tokens are not needed and may be left out.

        Returns:
            Logits, (rows, tokens or 1, vocabulary), and the cache after them.
        """
        ...
