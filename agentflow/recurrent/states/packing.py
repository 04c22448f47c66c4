"""A kept state: its tensors by themselves, in device memory, host memory or a file.

Owns the forms. The rest of a model's cache object (flags, lengths) stays in memory as a skeleton with empty
tensors, so any architecture's state is packed the same way. Packing and unpacking copy: nothing is shared with
what a model goes on writing to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.options import Form
from agentflow.recurrent.states.walk import mapped

INT8_MOST = 127


@dataclass(frozen=True)
class Rounded:
    """A tensor as whole numbers of -127 to 127, with one scale for each row of its last dimension."""

    whole: Tensor
    scale: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> "Rounded":
        """Round a tensor of floats."""
        exact = tensor.float()
        scale = exact.abs().amax(-1, keepdim=True).clamp_min(1e-30) / INT8_MOST
        return cls((exact / scale).round().to(torch.int8), scale, tensor.dtype)

    def restored(self) -> Tensor:
        """Return the tensor, about as it was."""
        return (self.whole.float() * self.scale).to(self.dtype)


Part = Tensor | Rounded


class Packed:
    """A state that nobody writes to; `tokens` is how many had been read."""

    def __init__(self, state: State, form: Form) -> None:
        parts: list[Part] = []

        def take(_path: str, tensor: Tensor) -> Tensor:
            can_round = tensor.is_floating_point() and tensor.ndim > 1
            parts.append(
                Rounded.of(tensor) if form == "int8" and can_round else tensor.detach().clone()
            )
            return tensor.new_empty(0)

        self._skeleton: Any = mapped(state.cache, take)
        self._parts: list[Part] | None = parts
        self._file: Path | None = None
        self._device = _tensors(parts)[0].device if parts else torch.device("cpu")
        self.tokens = state.length
        self.nbytes = sum(tensor.nbytes for tensor in _tensors(parts))

    def unpack(self) -> State:
        """Return a state of the caller's own, on the device it came from.

        Raises:
            OSError: It lies in a file that is gone or damaged.
        """
        parts = iter(self._parts if self._parts is not None else self._read())

        def give(_path: str, _empty: Tensor) -> Tensor:
            part = next(parts)
            if isinstance(part, Rounded):
                return part.restored().to(self._device)
            # A copy, always: models write into their state in place.
            return part.to(self._device, copy=True)

        return State(mapped(self._skeleton, give), self.tokens)

    def to_host(self) -> None:
        """Move the tensors into host memory."""
        assert self._parts is not None
        self._parts = _mapped_parts(self._parts, lambda tensor: tensor.cpu())

    def to_file(self, file: Path) -> None:
        """Move the tensors into a file.

        Raises:
            OSError: It cannot be written; the tensors stay where they are.
        """
        assert self._parts is not None
        tensors = _tensors(self._parts)
        save_file({str(i): tensor.contiguous() for i, tensor in enumerate(tensors)}, file)
        self._dtypes = [part.dtype if isinstance(part, Rounded) else None for part in self._parts]
        self._parts, self._file = None, file

    def discard(self) -> None:
        """Free what it holds, its file too."""
        self._parts = []
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _read(self) -> list[Part]:
        assert self._file is not None
        try:
            found = load_file(self._file)
        except Exception as error:  # safetensors raises its own types for damaged files
            raise OSError(f"the kept state in {self._file} cannot be read: {error}") from error
        tensors = iter([found[str(i)] for i in range(len(found))])
        return [
            next(tensors) if dtype is None else Rounded(next(tensors), next(tensors), dtype)
            for dtype in self._dtypes
        ]


def _tensors(parts: list[Part]) -> list[Tensor]:
    """Return all tensors that the parts are made of, in order."""
    return [
        tensor
        for part in parts
        for tensor in ((part.whole, part.scale) if isinstance(part, Rounded) else (part,))
    ]


def _mapped_parts(parts: list[Part], change: Callable[[Tensor], Tensor]) -> list[Part]:
    return [
        Rounded(change(part.whole), change(part.scale), part.dtype)
        if isinstance(part, Rounded)
        else change(part)
        for part in parts
    ]
