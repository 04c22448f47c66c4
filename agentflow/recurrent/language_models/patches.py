"""Repair models of transformers that read several tokens, or several sequences, wrongly from a state.

Owns the repairs, one per family, and the words they are reported in. Knows nothing of probes and engines: whether a
repaired model is right is measured afterwards. Only the modules of the model handed in are changed; another model of the
same class stays as it was. Repairing twice is repairing once.

Mamba-1 (Mamba, FalconMamba, Jamba, Zamba): several tokens are scanned from an empty state instead of the one kept.
RWKV-4: one token each of several sequences is mixed with the last token of all sequences.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

_SCAN = "mamba_selective_scan"
_MARK = "_agentflow_repaired"
_CHUNK_TOKENS = 64
_HAS_KERNELS = importlib.util.find_spec("mamba_ssm") is not None

_states: ContextVar[Iterator[Tensor | None] | None] = ContextVar("states", default=None)
"""What the scans of the mixer that is running start from, one for each of its scans; None: not a repaired mixer."""


def repair(model: nn.Module) -> tuple[str, ...]:
    """Repair what is known to be wrong in the model's modules; return a sentence for each repair."""
    notes = []
    if _each(model, _is_mamba1_mixer, _repair_mamba1):
        notes.append("Mamba-1 layers were repaired: they now read several tokens from a state")
    if _each(model, _is_rwkv4_block, _repair_rwkv4):
        notes.append("RWKV-4 layers were repaired: they now read several sequences at once")
    return tuple(notes)


def _each(
    model: nn.Module, chosen: Callable[[nn.Module], bool], change: Callable[[nn.Module], None]
) -> bool:
    found = [module for module in model.modules() if chosen(module)]
    for module in found:
        if not hasattr(module, _MARK):
            change(module)
            setattr(module, _MARK, True)
    return bool(found)


def _home(module: nn.Module) -> ModuleType:
    return importlib.import_module(type(module).__module__)


# Mamba-1 -----------------------------------------------------------------------------------


def _is_mamba1_mixer(module: nn.Module) -> bool:
    return type(module).__name__.endswith("Mixer") and hasattr(_home(module), _SCAN)


def _repair_mamba1(mixer: Any) -> None:
    """Let the mixer's scan begin with the state of its cache.

    The scan is a function of the module that defines the mixer's class. It is wrapped once, and what wraps it does
    nothing but call it unless a repaired mixer is running.
    """
    home = _home(mixer)
    if not hasattr(getattr(home, _SCAN), _MARK):
        setattr(home, _SCAN, _aware(getattr(home, _SCAN)))
    forward = mixer.forward

    def from_the_cache(
        hidden_states: Tensor, cache_params: Any = None, *rest: Any, **named: Any
    ) -> Any:
        kept = _kept(mixer, cache_params)
        token = _states.set(_by_scan(mixer, kept))
        try:
            return forward(hidden_states, cache_params, *rest, **named)
        finally:
            _states.reset(token)

    mixer.forward = from_the_cache


def _kept(mixer: Any, cache: Any) -> Tensor | None:
    if cache is None:
        return None
    layer = cache.layers[mixer.layer_idx]
    state = layer.recurrent_states[0] if layer.is_recurrent_states_initialized[0] else None
    assert state is None or isinstance(state, Tensor)
    return state


def _by_scan(mixer: Any, kept: Tensor | None) -> Iterator[Tensor | None]:
    """Yield what each scan of one forward begins with: Zamba scans each of its heads on its own."""
    heads = getattr(mixer, "n_mamba_heads", None)
    if heads is None:
        yield kept
    else:
        yield from (None if kept is None else kept[:, head] for head in range(heads))


def _aware(scan: Callable[..., Any]) -> Callable[..., Any]:
    def scan_from_state(*inputs: Any, **named: Any) -> Any:
        states = _states.get()
        if states is None:
            return scan(*inputs, **named)
        initial = next(states)
        if initial is None and _HAS_KERNELS and inputs[0].is_cuda:
            return scan(*inputs, **named)  # a whole text: the kernel is right, and faster
        named["initial"] = initial
        return selective_scan(*inputs, **named)

    setattr(scan_from_state, _MARK, True)
    return scan_from_state


def selective_scan(
    inputs: Tensor,
    dt: Tensor,
    A: Tensor,  # noqa: N803 - the paper's name, and the keyword it is called with
    B: Tensor,  # noqa: N803
    C: Tensor,  # noqa: N803
    D: Tensor | None = None,  # noqa: N803
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    initial: Tensor | None = None,
    **_: object,
) -> Any:
    """Scan a sequence with Mamba-1's recurrence, from a state, in float32.

    Args:
        inputs: (batch, channels, tokens).
        dt: (batch, channels, tokens).
        A: (channels, states).
        B: (batch, states, tokens).
        C: (batch, states, tokens).
        D: (channels,): the share of the input that is added to the output.
        z: (batch, channels, tokens): what gates the output.
        delta_bias: (channels,), added to `dt`.
        delta_softplus: Whether `dt` is made positive.
        return_last_state: Whether the state after the last token is wanted too.
        initial: (batch, channels, states); None is zeros. Not changed.

    Returns:
        The outputs, (batch, channels, tokens); with `return_last_state` also the state, (batch, channels, states).

    Source: Gu and Dao, Mamba, arXiv:2312.00752, algorithm 2.
    """
    step = dt.float() if delta_bias is None else dt.float() + delta_bias.float()[:, None]
    step = F.softplus(step) if delta_softplus else step
    batch, channels, _tokens = inputs.shape
    state = initial if initial is not None else inputs.new_zeros(batch, channels, A.shape[-1])
    state = state.float()
    # Tokens first, so that each token's part of a chunk lies together in memory.
    first = [part.float().permute(2, 0, 1).contiguous() for part in (inputs, step, B, C)]
    outputs = []
    for start in range(0, len(first[0]), _CHUNK_TOKENS):
        u, dt_, b, c = (part[start : start + _CHUNK_TOKENS] for part in first)
        out, state = _scan_chunk(u, dt_, b, c, A.float(), state)
        outputs.append(out)
    result = torch.cat(outputs).permute(1, 2, 0)
    if D is not None:
        result = result + inputs * D[:, None]
    if z is not None:
        result = result * F.silu(z)
    return (result, state) if return_last_state else result


def _scan_chunk(
    inputs: Tensor,
    step: Tensor,
    B: Tensor,  # noqa: N803
    C: Tensor,  # noqa: N803
    A: Tensor,  # noqa: N803
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """Scan (tokens, batch, ...): all but the recurrence itself is done for all tokens at once."""
    decay = torch.exp(step[..., None] * A)
    states = (step * inputs)[..., None] * B[:, :, None]
    for token in range(len(states)):
        state = states[token].addcmul_(decay[token], state)
    return (states @ C[..., None])[..., 0], state


# RWKV-4 ------------------------------------------------------------------------------------


def _is_rwkv4_block(module: nn.Module) -> bool:
    return type(module).__name__ in ("RwkvSelfAttention", "RwkvFeedForward")


def _repair_rwkv4(block: Any) -> None:
    """Read a single token as one of several: the path for one token mixes the sequences, the other does not.

    What is doubled is only the token mixed with the one before; of attention that is `extract_key_value`.
    """
    if type(block).__name__ == "RwkvSelfAttention":
        block.extract_key_value = _keys_of_single_tokens(block, block.extract_key_value)
    else:
        block.forward = _feed_single_tokens(block, block.forward)


def _keys_of_single_tokens(block: Any, several: Callable[..., Any]) -> Callable[..., Any]:
    def extract_key_value(hidden: Tensor, state: list[Tensor] | None = None) -> Any:
        if state is None or hidden.shape[1] != 1:
            return several(hidden, state)
        before = state[1][:, None, :, block.layer_id].to(hidden.dtype)
        key, value, receptance = (
            hidden * share + before * (1 - share)
            for share in (block.time_mix_key, block.time_mix_value, block.time_mix_receptance)
        )
        state[1][:, :, block.layer_id] = hidden[:, -1]
        receptance = torch.sigmoid(block.receptance(receptance))
        return receptance, block.key(key), block.value(value), state

    return extract_key_value


def _feed_single_tokens(block: Any, several: Callable[..., Any]) -> Callable[..., Any]:
    def forward(hidden: Tensor, state: list[Tensor] | None = None) -> Any:
        if state is None or hidden.shape[1] != 1:
            return several(hidden, state)
        before = state[0][:, None, :, block.layer_id].to(hidden.dtype)
        key = hidden * block.time_mix_key + before * (1 - block.time_mix_key)
        receptance = hidden * block.time_mix_receptance + before * (1 - block.time_mix_receptance)
        value = block.value(torch.square(torch.relu(block.key(key))))
        state[0][:, :, block.layer_id] = hidden[:, -1]
        return torch.sigmoid(block.receptance(receptance)) * value, state

    return forward
