"""Let Mamba-2 layers take a step on the CPU without copies of their state.

Owns the step and where it takes the place of the one in transformers, which makes about six temporaries of the size of
the state. Knows nothing of probes and engines. It is no repair: both say the same, or the lean one is not used. Only
the layers of the model handed in use it; another model of the same class stays as it was, and twice is once.

Mamba-2 is also in Bamba, FalconH1, GraniteMoeHybrid, NemotronH and Zamba2; each has a copy of the same function.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

_STEP = "mamba2_selective_state_update"
_MARK = "_agentflow_lean"
_TOLERANCE = 1e-5
_PACKED = (
    "seq_idx",
    "cu_seqlens",
)  # several texts in one row: the function of transformers refuses them

_is_lean: ContextVar[bool] = ContextVar("is_lean", default=False)
"""Whether the layer that is running is one that uses the lean step."""

_Step = Callable[..., Tensor]


def make_lean(model: nn.Module) -> bool:
    """Let the model's Mamba-2 layers use the lean step; return whether there are any that now do."""
    found = [module for module in model.modules() if _is_mamba2(module)]
    lean = [layer for layer in found if hasattr(layer, _MARK) or _make_lean(layer)]
    return bool(lean)


def _is_mamba2(module: nn.Module) -> bool:
    return hasattr(module, "A_log") and hasattr(_home(module), _STEP)


def _home(module: nn.Module) -> ModuleType:
    return importlib.import_module(type(module).__module__)


def _make_lean(layer: Any) -> bool:
    """Wrap the function once in the module that defines the layer's class, and the `forward` of this layer."""
    home = _home(layer)
    step = getattr(home, _STEP)
    if not hasattr(step, _MARK):
        if not _say_the_same(step):
            return False
        setattr(home, _STEP, _lean_where_asked(step))
    forward = layer.forward

    def lean_forward(*inputs: Any, **named: Any) -> Any:
        token = _is_lean.set(True)
        try:
            return forward(*inputs, **named)
        finally:
            _is_lean.reset(token)

    layer.forward = lean_forward
    setattr(layer, _MARK, True)
    return True


def _lean_where_asked(step: _Step) -> _Step:
    @functools.wraps(step)
    def lean_or_not(*inputs: Any, **named: Any) -> Tensor:
        if _is_lean.get() and _fits(*inputs, **named):
            return lean_step(*inputs, **named)
        return step(*inputs, **named)

    setattr(lean_or_not, _MARK, True)
    return lean_or_not


def _fits(
    state: Tensor,
    hidden_states: Tensor,
    dt: Tensor,
    A: Tensor,  # noqa: N803 - the paper's name, here and below, and the keyword it is called with
    B: Tensor,  # noqa: N803
    C: Tensor,  # noqa: N803
    D: Tensor | None = None,  # noqa: N803
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    z: Tensor | None = None,
    **named: object,
) -> bool:
    """Return whether the step is in float32 on the CPU, and what is handed in once per head is only expanded."""
    del dt_softplus
    given = [x for x in (state, hidden_states, dt, A, B, C, D, dt_bias, z) if x is not None]
    return (
        not torch.is_grad_enabled()
        and all(x.device.type == "cpu" and x.dtype == torch.float32 for x in given)
        and A.stride()[1:] == (0, 0)
        and dt.stride(-1) == 0
        and (dt_bias is None or dt_bias.stride(-1) == 0)
        and all(named.get(name) is None for name in _PACKED)
    )


def lean_step(
    state: Tensor,
    hidden_states: Tensor,
    dt: Tensor,
    A: Tensor,  # noqa: N803
    B: Tensor,  # noqa: N803
    C: Tensor,  # noqa: N803
    D: Tensor | None = None,  # noqa: N803
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    z: Tensor | None = None,
    **_: object,
) -> Tensor:
    """Read one token with Mamba-2's recurrence: S' = exp(dt A) S + (dt x) Bᵀ, y = S' C + D x.

    Args:
        state: (batch, heads, channels, states). Becomes the state after the token.
        hidden_states: (batch, heads, channels).
        dt: (batch, heads, channels), the same for all channels of a head.
        A: (heads, channels, states), the same for all of a head.
        B: (batch, groups, states); a group is shared by neighbouring heads.
        C: (batch, groups, states).
        D: (heads, channels): the share of the input that is added to the output.
        dt_bias: (heads, channels), added to `dt`; the same for all channels of a head.
        dt_softplus: Whether `dt` is made positive.
        z: (batch, heads, channels): what gates the output.

    Returns:
        The outputs, (batch, heads, channels).

    Source: Dao and Gu, Transformers are SSMs, arXiv:2405.21060.
    """
    step = dt[..., 0] if dt_bias is None else dt[..., 0] + dt_bias[:, 0]
    step = F.softplus(step) if dt_softplus else step
    heads_in_group = hidden_states.shape[1] // B.shape[1]
    key, query = (x.repeat_interleave(heads_in_group, 1) for x in (B, C))
    state.mul_(torch.exp(step * A[:, 0, 0])[..., None, None])
    state.addcmul_((hidden_states * step[..., None])[..., None], key[:, :, None])
    out = (state @ query[..., None])[..., 0]
    if D is not None:
        out = out.addcmul_(hidden_states, D)
    return out if z is None else out * F.silu(z)


def _say_the_same(step: _Step) -> bool:
    """Compare what both take and, on numbers, what they do: another version may differ, or a kernel be in its place."""
    if _names(step) != _names(lean_step):
        return False
    random = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    mine, theirs = noise(2, 4, 3, 5).repeat(2, 1, 1, 1, 1)
    inputs = (
        noise(2, 4, 3),
        noise(2, 4, 1).expand(-1, -1, 3),
        -noise(4, 1, 1).exp().expand(-1, 3, 5),
        *noise(2, 2, 2, 5),
        noise(4, 1).expand(-1, 3),
    )
    named = {"dt_bias": noise(4, 1).expand(-1, 3), "dt_softplus": True, "z": noise(2, 4, 3)}
    got = lean_step(mine, *inputs, **named)  # type: ignore[arg-type] # one dictionary for both
    try:
        want = step(theirs, *inputs, **named)
    except Exception:  # noqa: BLE001 - whatever it raises, it is another function than the one known
        return False
    pairs = ((got, want), (mine, theirs))
    return all(torch.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE) for a, b in pairs)


def _names(step: _Step) -> tuple[str, ...]:
    *names, _others = inspect.signature(step).parameters
    return tuple(names)
