"""Recurrences that forget each key's channel at its own pace, chunk by chunk.

Owns one kernel: S_t = (diag(w_t) + b_t a_tᵀ) S_{t-1} + k_t v_tᵀ and o_t = S_tᵀ q_t, with S of (keys, values).
Without a and b it is gated linear attention (Yang et al., arXiv:2312.06635, equation 4); with them the generalised
delta rule of RWKV-7 (Peng et al., arXiv:2503.14456, equation 17).

Decays within a chunk are told apart by factors exp(g_i - g_m) and exp(g_m - g_j) around its middle m. They are finite
in float32 while log w >= LEAST_LOG_DECAY, which callers ensure.
"""

import torch
from torch import Tensor

from agentflow.recurrent.mixers.chunks import chunked, joined
from agentflow.recurrent.mixers.parts import in_float32

CHUNK = 32
LEAST_LOG_DECAY = -5.0  # over half a chunk exp(80), of the exp(88) that float32 holds


@in_float32
def diagonal_rule(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor,
    state: Tensor,
    look: Tensor | None = None,
    change: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return o of every token and the state after the last.

    Args:
        query: (sequences, tokens, heads, keys).
        key: As `query`.
        value: (sequences, tokens, heads, values).
        log_decay: As `query`: log w_t, in [LEAST_LOG_DECAY, 0].
        state: (sequences, heads, keys, values). Not changed.
        look: As `query`: a_t, with which the state is looked up; None without the delta rule.
        change: As `query`: b_t, where what was found is added; given if and only if `look` is.

    Returns:
        (sequences, tokens, heads, values) and (sequences, heads, keys, values), float32.
    """
    tokens = query.shape[1]
    if look is None or change is None:
        look = change = query[..., :0]  # no channels: nothing is looked up
    if tokens == 1:
        first = query[:, 0], key[:, 0], value[:, 0], log_decay[:, 0]
        return _step(*first, look[:, 0], change[:, 0], state)
    size = min(CHUNK, tokens)
    query, key, value, log_decay = (chunked(x, size) for x in (query, key, value, log_decay))
    look, change = chunked(look, size), chunked(change, size)
    return _chunkwise(query, key, value, log_decay, look, change, state, tokens)


def _chunkwise(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor,
    look: Tensor,
    change: Tensor,
    state: Tensor,
    tokens: int,
) -> tuple[Tensor, Tensor]:
    """Do the work on (sequences, heads, chunks, size, ...)."""
    total = log_decay.cumsum(-2)
    middle = total[..., total.shape[-2] // 2, None, :]
    forth, back = (total - middle).exp(), (middle - total).exp()
    left = (total[..., -1:, :] - total).exp()
    near = query * forth
    out = (near @ (key * back).mT).tril() @ value
    grown = (key * left).mT @ value
    query, kept = query * total.exp(), total[..., -1, :, None].exp()
    parts: list[Tensor] = []
    if not look.shape[-1]:
        for i in range(query.shape[2]):
            parts.append(query[:, :, i] @ state + out[:, :, i])
            state = kept[:, :, i] * state + grown[:, :, i]
        return joined(parts, tokens), state
    before = total - log_decay
    seen, sought = _solved(look, before, middle, key * back, change * back, value)
    answer, last = (near @ (change * back).mT).tril(), (change * left).mT
    for i in range(query.shape[2]):
        found = seen[:, :, i] + sought[:, :, i] @ state
        parts.append(query[:, :, i] @ state + out[:, :, i] + answer[:, :, i] @ found)
        state = kept[:, :, i] * state + grown[:, :, i] + last[:, :, i] @ found
    return joined(parts, tokens), state


def _solved(
    look: Tensor, before: Tensor, middle: Tensor, key: Tensor, change: Tensor, value: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (values, keys) so that `values + keys @ state` is what each look-up of a chunk finds.

    The found f_i = a_iᵀ S_{i-1} depend on those before through what they changed: a unit lower triangular system.
    """
    here = look * (before - middle).exp()
    system = -(here @ change.mT).tril(-1)
    sides = torch.cat([(here @ key.mT).tril(-1) @ value, look * before.exp()], -1)
    solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
    return solved[..., : value.shape[-1]], solved[..., value.shape[-1] :]


def _step(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor,
    look: Tensor,
    change: Tensor,
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """Read one token: the definition itself."""
    after = state * log_decay.exp().unsqueeze(-1) + key.unsqueeze(-1) * value.unsqueeze(-2)
    if look.shape[-1]:
        after = after + change.unsqueeze(-1) * (look.unsqueeze(-2) @ state)
    return (query.unsqueeze(-2) @ after).squeeze(-2).unsqueeze(1), after
