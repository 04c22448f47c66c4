"""What several mixers are made of: normalisation, a causal convolution, and float32 whatever the weights are.

Owns these parts and nothing about recurrences.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

P = ParamSpec("P")
R = TypeVar("R")


def in_float32(kernel: Callable[P, R]) -> Callable[P, R]:
    """Return `kernel` run on float32 tensors with autocast off; its first argument is a tensor."""

    @wraps(kernel)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        first = cast("Tensor", args[0])
        widened = (item.float() if isinstance(item, Tensor) else item for item in args)
        with torch.autocast(first.device.type, enabled=False):
            return cast("Callable[..., R]", kernel)(*widened, **kwargs)

    return run


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension, computed in float32, returned in the type of `x`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    @override
    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5)
        return (wide * scale * self.weight.float()).to(x.dtype)


class ShortConvolution(nn.Module):
    """SiLU of a depthwise causal convolution over tokens; the last `width - 1` inputs are its state."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, channels).uniform_(-1, 1) * width**-0.5)

    @override
    def forward(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Return what (sequences, tokens, channels) become and the next tail (sequences, width - 1, channels)."""
        tokens = x.shape[1]
        whole = torch.cat([tail.to(x.dtype), x], 1)
        # Shifted sums: several times as fast on a CPU as conv1d with a group for each channel.
        mixed = whole[:, :tokens] * self.weight[0]
        for back in range(1, self.weight.shape[0]):
            mixed = mixed + whole[:, back : back + tokens] * self.weight[back]
        return nn.functional.silu(mixed), owned(whole[:, tokens:])


def owned(x: Tensor) -> Tensor:
    """Return a float32 copy: a view in a state would keep a whole chunk of activations alive."""
    return x.to(torch.float32, copy=True)


def by_head(x: Tensor, heads: int) -> Tensor:
    """Return (..., heads * width) as (..., heads, width)."""
    return torch.unflatten(x, -1, (heads, -1))


def normalised(x: Tensor) -> Tensor:
    """Return `x` with length 1 over the last dimension, in float32."""
    return nn.functional.normalize(x.float(), dim=-1, eps=1e-6)
