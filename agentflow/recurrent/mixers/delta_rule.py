"""The gated delta rule over a sequence, chunk by chunk.

Owns one kernel: S_t = a_t (I - beta_t k_t k_tᵀ) S_{t-1} + beta_t k_t v_tᵀ and o_t = S_tᵀ q_t, with S of (keys, values)
and a_t one number per head. Without beta nothing is erased: S_t = a_t S_{t-1} + k_t v_tᵀ (linear attention with decay).
Source: Yang et al., Parallelizing Linear Transformers with the Delta Rule, arXiv:2406.06484, and Gated Delta Networks,
arXiv:2412.06464, section 3.3. The product of the (I - beta k kᵀ) of a chunk is found by one triangular system.
"""

import torch
from torch import Tensor

from agentflow.recurrent.mixers.chunks import chunked, joined
from agentflow.recurrent.mixers.parts import in_float32


@in_float32
def delta_rule(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    beta: Tensor | None,
    log_decay: Tensor,
    state: Tensor,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """Return o of every token and the state after the last.

    Args:
        query: (sequences, tokens, heads, keys).
        key: As `query`; of length 1 where beta is given.
        value: (sequences, tokens, heads, values).
        beta: (sequences, tokens, heads), in (0, 2); None erases nothing.
        log_decay: (sequences, tokens, heads), log a_t, at most 0.
        state: (sequences, heads, keys, values). Not changed.
        chunk: Tokens worked on at once.

    Returns:
        (sequences, tokens, heads, values) and (sequences, heads, keys, values), float32.
    """
    tokens = query.shape[1]
    if tokens == 1:
        return _step(query[:, 0], key[:, 0], value[:, 0], beta, log_decay[:, 0], state)
    size = min(chunk, tokens)
    query, key, value = (chunked(x, size) for x in (query, key, value))
    total = chunked(log_decay, size).cumsum(-1)
    since = (total.unsqueeze(-1) - total.unsqueeze(-2)).tril()
    decay = since.exp().tril()  # decay[i, j]: the share of what j wrote that is left at i
    read = (query @ key.mT) * decay
    kept = total.exp().unsqueeze(-1)
    erased = None
    if beta is not None:
        value, erased = _solved(key, value, chunked(beta, size), decay, kept)
    query = query * kept
    last = (key * (total[..., -1:] - total).exp().unsqueeze(-1)).mT
    parts = []
    for index in range(query.shape[2]):
        written = value[:, :, index]
        if erased is not None:
            written = written - erased[:, :, index] @ state
        parts.append(query[:, :, index] @ state + read[:, :, index] @ written)
        state = state * kept[:, :, index, -1:] + last[:, :, index] @ written
    return joined(parts, tokens), state


def _solved(
    key: Tensor, value: Tensor, beta: Tensor, decay: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (values, keys) so that `values - keys @ state` is what a chunk writes from that state.

    The written u_i = beta_i (v_i - sum_{j<i} decay_ij (k_i k_j) u_j - decay_i S_0ᵀ k_i) are a unit lower
    triangular system with two right sides.
    """
    beta = beta.unsqueeze(-1)
    system = (beta * (key @ key.mT) * decay).tril(-1)
    sides = torch.cat([value, key * kept], -1) * beta
    solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
    return solved[..., : value.shape[-1]], solved[..., value.shape[-1] :]


def _step(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    beta: Tensor | None,
    log_decay: Tensor,
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """Read one token: the definition itself."""
    state = state * log_decay.exp()[..., None, None]
    if beta is not None:
        value = (value - (key.unsqueeze(-2) @ state).squeeze(-2)) * beta[:, 0].unsqueeze(-1)
    state = state + key.unsqueeze(-1) * value.unsqueeze(-2)
    return (query.unsqueeze(-2) @ state).squeeze(-2).unsqueeze(1), state
