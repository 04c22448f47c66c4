"""Batches of sequences of like length, the same ones whenever a training comes to the same step.

Owns which sequences go together and in which order: that follows from the seed and the number of the epoch alone, so a
resumed training sees what the whole one would have seen. Knows no model.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count

import torch
from torch import Tensor

from agentflow.recurrent.mixers.model import IGNORED
from agentflow.training.student.encoding import Encoded

# By how much lengths may differ in a batch: enough that each has conversations of several kinds.
SPREAD = 1.0


class Batching:
    """Batches from a step on: what a `Training` draws from.

    Attributes:
        left_out: Sequences whose first learnt token lies beyond `longest`.
        kept_tokens: Tokens of the others, as far as they are read.
    """

    def __init__(self, encoded: Encoded, *, batch_tokens: int, longest: int, seed: int) -> None:
        """Take sequences, each read up to `longest` tokens; a batch has `batch_tokens`, padding included.

        A sequence longer than a batch is one by itself.
        """
        self._encoded, self._batch_tokens, self._seed = encoded, batch_tokens, seed
        starts = encoded.starts
        lengths = (starts[1:] - starts[:-1]).clamp(max=longest)
        # A sequence's first token follows nothing, so it is never a target.
        learnt = torch.cat((torch.zeros(1, dtype=torch.long), encoded.learnt.long().cumsum(0)))
        counts = learnt[starts[:-1] + lengths] - learnt[starts[:-1] + 1]
        self._used = torch.nonzero(counts > 0).flatten()
        self._lengths = lengths[self._used]
        self.left_out = len(encoded) - len(self._used)
        self.kept_tokens = int(self._lengths.sum())
        self._plan = lru_cache(maxsize=1)(self._planned)

    def __call__(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches from a step on, without end: tokens, and the tokens that are to follow them."""
        for rows in self._rows(step):
            yield self._batch(rows)

    def steps_for(self, tokens: int, length: Callable[[int], int | None]) -> int:
        """Return after how many steps at least that many tokens were read, padding included.

        Args:
            tokens: Of the inputs.
            length: How many tokens a batch of a step may have at most; None for all.
        """
        seen = 0
        for step, rows in enumerate(self._rows(0)):
            width = max(int(self._lengths[row]) for row in rows) - 1
            seen += len(rows) * min(width, length(step) or width)
            if seen >= tokens:
                return step + 1
        raise AssertionError("batches have no end")

    def _rows(self, step: int) -> Iterator[list[int]]:
        if not len(self._used):
            raise ValueError("no sequence has a token to learn")
        for epoch in count():
            plan = self._plan(epoch)
            yield from plan[step:]
            step = max(0, step - len(plan))

    def _planned(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch: sequences of like length together, batches in random order.

        The first epoch goes through all lessons, one after the other; the others are the last lesson again.
        """
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        rows = torch.arange(len(self._used))
        lessons = self._encoded.lessons[self._used]
        read = sorted(set(lessons.tolist()))[0 if epoch == 0 else -1 :]
        return [b for lesson in read for b in self._mixed(rows[lessons == lesson], random)]

    def _mixed(self, rows: Tensor, random: torch.Generator) -> list[list[int]]:
        noise = 1 + SPREAD * torch.rand(len(rows), generator=random)
        order = torch.argsort(self._lengths[rows] * noise, stable=True)
        batches = self._grouped(rows[order].tolist())
        return [batches[place] for place in torch.randperm(len(batches), generator=random).tolist()]

    def _grouped(self, order: list[int]) -> list[list[int]]:
        batches, batch, widest = list[list[int]](), list[int](), 0
        for row in order:
            length = int(self._lengths[row]) - 1
            widest = max(widest, length)
            if batch and widest * (len(batch) + 1) > self._batch_tokens:
                batches.append(batch)
                batch, widest = [], length
            batch.append(row)
        return [*batches, batch]

    def _batch(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        width = max(int(self._lengths[row]) for row in rows)
        tokens = torch.zeros(len(rows), width, dtype=torch.long)
        targets = torch.full((len(rows), width), IGNORED)
        for place, row in enumerate(rows):
            length, start = int(self._lengths[row]), int(self._encoded.starts[self._used[row]])
            ids = self._encoded.tokens[start : start + length].long()
            tokens[place, :length] = ids
            learnt = self._encoded.learnt[start : start + length]
            targets[place, :length] = ids.where(learnt, IGNORED)
        return tokens[:, :-1], targets[:, 1:]
