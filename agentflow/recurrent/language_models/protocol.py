"""What the engine asks of a loaded language model.

Owns the protocol and the values that cross it. Knows neither the engine nor any architecture.
A state is consumed by whatever takes it: it may be changed in place, so who wants to keep one clones it first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, device


@dataclass
class State:
    """What a model has kept of the `length` tokens that it has read.

    `cache` is the model's own object with tensors somewhere inside; first dimension: sequences, here one.
    """

    cache: Any
    length: int


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What the probe has found out about a model on this machine; never taken from a version number.

    Attributes:
        continues: Several tokens at once can be read from a state. If not, they are read one by one.
        stacks: Sequences can be decoded together. If not, each is decoded alone.
        attends: Part of the state grows with the sequence (a hybrid's keys and values).
        notes: What was patched or replaced by a slow path, one sentence each, for people.
    """

    continues: bool
    stacks: bool
    attends: bool
    notes: tuple[str, ...] = ()


class Batch(Protocol):
    """Sequences that are decoded together, one row each; rows keep their order."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def add(self, state: State) -> None:
        """Append a sequence as the last row; consumes the state."""
        ...

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Read one token in each row; return logits of shape (rows, vocabulary), float32."""
        ...

    def state(self, row: int) -> State:
        """Return a state of a row's own that later steps do not change."""
        ...

    def remove(self, rows: Collection[int]) -> None:
        """Drop rows; those after them move up."""
        ...


class LanguageModel(Protocol):
    """A model that reads tokens from a state. Not thread-safe: one thread asks at a time.

    Attributes:
        name: The folder or name it was loaded from.
        vocabulary_size: Size of the logits.
        context_tokens: Most tokens of a sequence; None when only the state bounds it.
        most_rows: Decoding more rows at once gains nothing here.
    """

    name: str
    vocabulary_size: int
    context_tokens: int | None
    most_rows: int
    device: device
    abilities: Abilities

    def extend(self, tokens: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        """Read the tokens of one sequence, from the beginning or from a state that is consumed.

        Returns:
            The logits after the last token, shape (vocabulary,), float32; and the state after it.
        """
        ...

    def batch(self) -> Batch:
        """Return an empty batch."""
        ...
