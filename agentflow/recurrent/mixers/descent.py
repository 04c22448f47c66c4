"""How a training takes its steps.

Owns the numbers and the rate that follows from them. Knows no torch, so a recipe can be read without it.
"""

import math

from pydantic import BaseModel, ConfigDict, Field


class Descent(BaseModel):
    """How steps are taken, however many.

    Attributes:
        learning_rate: The highest; reached after `warmup_steps`.
        final_share: Share of it that is left at the end.
        weight_decay: Of the matrices of linear and recurrent layers; nothing else decays.
        clip: Longest gradient.
        bf16: Run in bfloat16 where that is safe (autocast). Slower on most CPUs.
        lengths: Pairs (from step, tokens): batches are cut to that many tokens from there on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(default=3e-3, gt=0)
    warmup_steps: int = Field(default=50, ge=0)
    final_share: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = Field(default=1.0, gt=0)
    bf16: bool = False
    lengths: tuple[tuple[int, int], ...] = ()

    def length(self, step: int) -> int | None:
        """Return how many tokens a batch of that step may have; None for all."""
        return next((tokens for start, tokens in reversed(self.lengths) if start <= step), None)


class TrainingOptions(Descent):
    """How a model is trained: `steps` batches in all."""

    steps: int = Field(gt=0)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        share = self.final_share + (1 - self.final_share) * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * share
