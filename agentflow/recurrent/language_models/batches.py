"""Decode several sequences together: their states under each other in one.

Owns when states are put together and taken apart: only when a row has joined or left, at the next step. Knows no
architecture: tensors that grow with the sequence are padded in front and masked, positions are always told.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.language_models.reader import Reader
from agentflow.recurrent.states import walk

Extend = Callable[[Sequence[int], State | None], tuple[Tensor, State]]


class AloneBatch:
    """Sequences that only take their steps at the same time: for models that cannot read several at once."""

    def __init__(self, extend: Extend) -> None:
        self._extend = extend
        self._states: list[State] = []

    def __len__(self) -> int:
        return len(self._states)

    def add(self, state: State) -> None:
        """Append a sequence as the last row; consumes the state."""
        self._states.append(state)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Read one token in each row, one row after the other."""
        pairs = zip(tokens, self._states, strict=True)
        read = [self._extend((token,), state) for token, state in pairs]
        self._states = [state for _, state in read]
        return torch.stack([logits for logits, _ in read])

    def state(self, row: int) -> State:
        """Return a copy of a row's state."""
        return walk.clone(self._states[row])

    def remove(self, rows: Collection[int]) -> None:
        """Drop rows; those after them move up."""
        self._states = [state for row, state in enumerate(self._states) if row not in rows]


class StackedBatch:
    """Sequences whose states lie under each other in one cache.

    The first rows are in the cache, in any selection but in order; those that joined since the last step wait behind.
    """

    def __init__(self, reader: Reader, growing: Mapping[str, int]) -> None:
        self._reader, self._growing = reader, growing
        self._cache: Any = None
        self._lengths: list[int] = []  # of the rows in the cache
        self._padded = 0  # the length that the cache has been padded to
        self._kept: list[int] = []  # which rows in the cache are still ours
        self._joining: list[State] = []

    def __len__(self) -> int:
        return len(self._kept) + len(self._joining)

    def add(self, state: State) -> None:
        """Append a sequence as the last row; consumes the state."""
        self._joining.append(state)

    @torch.no_grad()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """Read one token in each row; return logits of shape (rows, vocabulary), float32."""
        if len(tokens) != len(self):
            raise ValueError(f"{len(tokens)} tokens for {len(self)} rows")
        self._put_together()
        device = self._reader.device
        positions = torch.tensor(self._lengths, device=device)[:, None]
        logits, self._cache = self._reader.read(
            torch.tensor(tokens, device=device)[:, None],
            self._cache,
            positions=positions,
            mask=self._mask(positions),
            only_last=True,
        )
        self._lengths = [length + 1 for length in self._lengths]
        self._padded += 1
        return logits[:, -1].float()

    def state(self, row: int) -> State:
        """Return a copy of a row's state."""
        if row >= len(self._kept):
            return walk.clone(self._joining[row - len(self._kept)])
        return self._taken([self._kept[row]])

    def remove(self, rows: Collection[int]) -> None:
        """Drop rows; those after them move up."""
        old = len(self._kept)
        self._joining = [state for row, state in enumerate(self._joining, old) if row not in rows]
        self._kept = [at for row, at in enumerate(self._kept) if row not in rows]
        if not self._kept:
            self._cache, self._lengths = None, []

    def _put_together(self) -> None:
        if not self._joining and len(self._kept) == len(self._lengths):
            return
        lengths = [self._lengths[row] for row in self._kept]
        parts = list(self._joining)
        if len(self._kept) == len(self._lengths) > 0:
            parts.insert(0, State(self._cache, self._padded))
        elif self._kept:
            parts.insert(0, self._taken(self._kept))
        self._lengths = lengths + [state.length for state in self._joining]
        self._padded = max(part.length for part in parts)
        self._cache = self._stacked(parts)
        self._kept, self._joining = list(range(len(self._lengths))), []

    def _stacked(self, parts: Sequence[State]) -> Any:
        if len(parts) == 1:
            return parts[0].cache
        caches = [part.cache for part in parts]
        return walk.stacked(caches, [part.length for part in parts], self._growing)

    def _taken(self, rows: Sequence[int]) -> State:
        """Return a state with only these rows of the cache, of the length of the longest."""
        length = max(self._lengths[row] for row in rows)
        cache = walk.rows_of(self._cache, rows, length, self._padded, self._growing)
        return State(cache, length)

    def _mask(self, lengths: Tensor) -> Tensor | None:
        """Return which keys are real, the new one included; None when all are."""
        if not self._growing or all(length == self._padded for length in self._lengths):
            return None
        places = torch.arange(self._padded + 1, device=lengths.device)
        return (places[None] >= self._padded - lengths).long()
