"""Cut sequences into chunks of equal size and put them together again.

Owns the layout (sequences, heads, chunks, size, ...). The last chunk is filled up with zeros at its end, which
every kernel here must read as "nothing was written and nothing forgotten".
"""

import torch
from torch import Tensor, nn


def chunked(x: Tensor, size: int) -> Tensor:
    """Return (sequences, tokens, heads, ...) as (sequences, heads, chunks, size, ...)."""
    missing = -x.shape[1] % size
    if missing:
        x = nn.functional.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return torch.unflatten(x, 1, (-1, size)).movedim(3, 1)


def joined(parts: list[Tensor], tokens: int) -> Tensor:
    """Return chunks of (sequences, heads, size, width) as (sequences, tokens, heads, width)."""
    return torch.cat(parts, 2)[:, :, :tokens].transpose(1, 2)
