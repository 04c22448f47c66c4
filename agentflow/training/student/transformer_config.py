"""What a transformer to compare with is built from.

Owns the sizes; knows no torch, so a recipe can be read without it.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TransformerSizes(BaseModel):
    """Sizes of a `TransformerLM` but for its vocabulary; the bounds keep a mistyped one from asking for all memory.

    Attributes:
        layers: How many.
        heads: Heads of the attention; divides `d_model` into even widths, which its rotations need.
        feed_forward: Width of the SwiGLU after each attention as a multiple of `d_model`.
        context: The most tokens it can read.
        dropout: Share of the attention's weights dropped while training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    d_model: int = Field(ge=2, le=1 << 14)
    layers: int = Field(ge=1, le=256)
    heads: int = Field(default=4, ge=1, le=1024)
    feed_forward: float = Field(default=2.0, gt=0, le=16)
    context: int = Field(default=8192, ge=1, le=1 << 20)
    tied_embeddings: bool = True
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        width, rest = divmod(self.d_model, self.heads)
        if rest or width % 2:
            raise ValueError(
                f"heads: {self.heads} does not divide d_model {self.d_model} into even widths"
            )
        if self.inner_width < 1:
            raise ValueError(f"feed_forward: {self.feed_forward} of d_model {self.d_model} is none")
        return self

    @property
    def inner_width(self) -> int:
        """Return the channels inside a feed-forward part."""
        return round(self.d_model * self.feed_forward)


class TransformerConfig(TransformerSizes):
    """What a `TransformerLM` is built from."""

    vocabulary_size: int = Field(ge=2, le=1 << 20)
