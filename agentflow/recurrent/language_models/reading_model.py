"""A language model over any reader.

Owns the two ways of reading on from a state, in one go or token by token, and the choice of a batch. Knows no
architecture and no library. What the reader is able to do was measured before.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from agentflow.recurrent.language_models.batches import AloneBatch, StackedBatch
from agentflow.recurrent.language_models.protocol import Abilities, Batch, State
from agentflow.recurrent.language_models.reader import Reader
from agentflow.recurrent.language_models.slots import SlotBatch

MOST_ROWS = {"cpu": 32, "cuda": 256}
"""Decoding more rows than these at once gains little.

Measured on one CPU core, models of about 30 million weights, tokens per second at 8 and at 32 rows: 80 and 116 (a hybrid
with Gated DeltaNet, 2,048 tokens read), 116 and 254 (Mamba-1), 130 and 270 (Mamba-2).
"""


class ReadingModel:
    """A language model that decides by its abilities how a reader is used."""

    def __init__(
        self,
        reader: Reader,
        abilities: Abilities,
        *,
        vocabulary_size: int,
        growing: Mapping[str, int],
        context_tokens: int | None,
        uses_slots: bool | None = None,
    ) -> None:
        """Take what was measured; `growing` says which tensors of a state grow, `uses_slots` None leaves it to the device."""
        self.reader = reader
        self.name = reader.name
        self.device = reader.device
        self.abilities = abilities
        self.vocabulary_size = vocabulary_size
        self.growing = growing
        self.context_tokens = context_tokens
        self.most_rows = MOST_ROWS.get(self.device.type, 8) if abilities.stacks else 1
        on_cuda = self.device.type == "cuda"
        self._uses_slots = (on_cuda if uses_slots is None else uses_slots) and not abilities.attends

    @torch.no_grad()
    def extend(self, tokens: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        """Read the tokens of one sequence; see `LanguageModel.extend`."""
        if not tokens:
            raise ValueError("there is no token to read")
        at_once = len(tokens) if state is None or self.abilities.continues else 1
        for start in range(0, len(tokens), at_once):
            logits, state = self._read(tokens[start : start + at_once], state)
        assert state is not None
        return logits, state

    def _read(self, tokens: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        start = 0 if state is None else state.length
        end = start + len(tokens)
        logits, cache = self.reader.read(
            torch.tensor([tokens], device=self.device),
            None if state is None else state.cache,
            positions=torch.arange(start, end, device=self.device)[None],
            only_last=True,
        )
        return logits[0, -1].float(), State(cache, end)

    def batch(self) -> Batch:
        """Return an empty batch, of the kind that is right and fastest here."""
        if not self.abilities.stacks:
            return AloneBatch(self.extend)
        if self._uses_slots:
            return SlotBatch(self.reader, self.vocabulary_size)
        return StackedBatch(self.reader, self.growing)
