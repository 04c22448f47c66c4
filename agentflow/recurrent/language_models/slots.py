"""Decode several sequences together in memory that never moves: for states of a fixed size.

Owns a pool with one slot per row. Rows join and leave by being copied into and out of a slot, and a step runs over the
first 1, 2, 4, 8, ... slots, so that on CUDA each of these sizes is captured once as a graph and replayed. On other
devices the same pool runs without graphs. Knows no architecture.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agentflow.recurrent.language_models.graphs import captured
from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.language_models.reader import Reader
from agentflow.recurrent.states import walk


@dataclass(frozen=True)
class _Step:
    """One size of a step: what to call, and where its inputs and logits lie."""

    run: Callable[[], None]
    logits: Tensor


class SlotBatch:
    """Sequences in the slots of a pool; the slots in use are always the first ones."""

    def __init__(self, reader: Reader, vocabulary_size: int, captures: bool | None = None) -> None:
        """Take a reader and the size of its logits; `captures` None captures graphs on CUDA."""
        self._reader, self._vocabulary_size = reader, vocabulary_size
        self._captures = reader.device.type == "cuda" if captures is None else captures
        self._pool: Any = None
        self._capacity = 0
        self._steps: dict[int, _Step] = {}
        self._slots: list[int] = []  # of each row
        self._lengths: list[int] = []  # of each row
        self._tokens = self._positions = torch.zeros(0, 1, dtype=torch.long)

    def __len__(self) -> int:
        return len(self._slots)

    @torch.no_grad()
    def add(self, state: State) -> None:
        """Append a sequence as the last row; consumes the state."""
        if len(self) == self._capacity:
            self._enlarge(state.cache)
        slot = len(self)
        self._write(state.cache, slot)
        self._slots.append(slot)
        self._lengths.append(state.length)

    @torch.no_grad()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """Read one token in each row; return logits of shape (rows, vocabulary), float32."""
        if len(tokens) != len(self):
            raise ValueError(f"{len(tokens)} tokens for {len(self)} rows")
        device = self._reader.device
        slots = torch.tensor(self._slots, device=device)
        self._tokens[:, 0].index_copy_(0, slots, torch.tensor(tokens, device=device))
        self._positions[:, 0].index_copy_(0, slots, torch.tensor(self._lengths, device=device))
        size = 1 << (len(self) - 1).bit_length()
        if size not in self._steps:
            self._steps[size] = self._prepared(size)
        step = self._steps[size]
        step.run()
        self._lengths = [length + 1 for length in self._lengths]
        return step.logits.index_select(0, slots)

    @torch.no_grad()
    def state(self, row: int) -> State:
        """Return a copy of a row's state."""
        slot = self._slots[row]
        cache = walk.mapped(self._pool, lambda _, pool: _copied(pool, slot))
        return State(cache, self._lengths[row])

    @torch.no_grad()
    def remove(self, rows: Collection[int]) -> None:
        """Drop rows; those after them move up, in the pool the last slots fill the holes."""
        kept = [row for row in range(len(self)) if row not in rows]
        self._slots = [self._slots[row] for row in kept]
        self._lengths = [self._lengths[row] for row in kept]
        holes = sorted(set(range(len(kept))) - set(self._slots))
        for row, slot in enumerate(self._slots):
            if slot >= len(kept):
                self._slots[row] = holes.pop()
                self._move(slot, self._slots[row])

    def _enlarge(self, like: Any) -> None:
        """Double the pool; what was captured over the old one is dropped."""
        self._capacity = max(1, 2 * self._capacity)
        old = dict(walk.tensors(self._pool)) if self._pool is not None else {}

        def larger(path: str, tensor: Tensor) -> Tensor:
            if tensor.ndim == 0:
                return tensor.clone()
            pool = tensor.new_zeros((self._capacity, *tensor.shape[1:]))
            if path in old:
                pool[: len(old[path])].copy_(old[path])
            return pool

        self._pool = walk.mapped(like, larger)
        self._steps = {}
        device = self._reader.device
        self._tokens = torch.zeros(self._capacity, 1, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._tokens)

    def _write(self, cache: Any, slot: int) -> None:
        new = dict(walk.tensors(cache))
        place = torch.tensor([slot], device=self._reader.device)
        for path, pool in walk.tensors(self._pool):
            if pool.ndim:
                pool.index_copy_(0, place, new[path].to(pool.dtype))

    def _move(self, source: int, target: int) -> None:
        for _, pool in walk.tensors(self._pool):
            if pool.ndim:
                pool[target].copy_(pool[source])

    def _prepared(self, size: int) -> _Step:
        """Return a step over the first `size` slots, captured where that is asked for."""
        if not self._captures:
            return self._plain(size)
        # Capturing runs the step a few times: the states are put back as they were.
        before = walk.mapped(self._pool, lambda _, tensor: tensor.clone())
        step = self._plain(size)
        run = captured(step.run)
        found = dict(walk.tensors(before))
        for path, pool in walk.tensors(self._pool):
            pool.copy_(found[path])
        return _Step(run, step.logits)

    def _plain(self, size: int) -> _Step:
        views = walk.mapped(self._pool, lambda _, pool: pool[:size] if pool.ndim else pool)
        static = dict(walk.tensors(views))
        tokens, positions = self._tokens[:size], self._positions[:size]
        logits = torch.zeros(size, self._vocabulary_size, device=tokens.device)

        def run() -> None:
            # The flags and counters of a cache are changed while it is read from: each run gets its own.
            cache = walk.mapped(views, lambda _, tensor: tensor)
            read, after = self._reader.read(tokens, cache, positions=positions, only_last=True)
            logits.copy_(read[:, -1])
            for path, tensor in walk.tensors(after):
                if tensor.data_ptr() != static[path].data_ptr():
                    static[path].copy_(tensor)

        return _Step(run, logits)


def _copied(pool: Tensor, slot: int) -> Tensor:
    return pool[slot : slot + 1].clone() if pool.ndim else pool.clone()
