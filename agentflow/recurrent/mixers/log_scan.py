"""The recurrence h_t = a_t h_{t-1} + b_t with positive numbers, all tokens at once.

Owns the parallel scan in log space. Source: Heinsen, Efficient Parallelization of a Ubiquitous Sequential
Computation, arXiv:2311.06281; used as in Feng et al., Were RNNs All We Needed?, arXiv:2410.01201, appendix B.
"""

import torch
from torch import Tensor

from agentflow.recurrent.mixers.parts import in_float32

SMALLEST = 1e-30  # stands for zero: its logarithm is finite, and so are gradients


@in_float32
def log_scan(log_keep: Tensor, log_add: Tensor, state: Tensor, chunk: int = 32) -> Tensor:
    """Return every h_t = exp(log_keep_t) h_{t-1} + exp(log_add_t).

    Args:
        log_keep: (sequences, tokens, width), at most 0.
        log_add: As `log_keep`.
        state: (sequences, width), h before the first token, at least 0.
        chunk: Tokens scanned at once. The logarithms add up within a chunk only, which bounds their rounding.
    """
    if log_keep.shape[1] == 1:
        return log_keep.exp() * state.unsqueeze(1) + log_add.exp()
    before = state.clamp_min(SMALLEST).log().unsqueeze(1)
    parts = []
    for keep, add in zip(
        torch.split(log_keep, chunk, 1), torch.split(log_add, chunk, 1), strict=True
    ):
        total = keep.cumsum(1)
        terms = torch.cat([before, add - total], 1)
        parts.append(total + terms.logcumsumexp(1)[:, 1:])
        before = parts[-1][:, -1:]
    return torch.cat(parts, 1).exp()
