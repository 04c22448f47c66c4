"""What a model of mixers is built from.

Owns the names of the mixers and the sizes; knows no torch, so a configuration can be read without it.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MixerName = Literal[
    "aaren",
    "delta_net",
    "delta_product",
    "gated_delta_net",
    "gla",
    "gru",
    "lstm",
    "mamba2",
    "min_gru",
    "min_lstm",
    "rwkv7",
]


class MixerSizes(BaseModel):
    """Sizes of a `MixerLM` but for its vocabulary; the bounds keep a damaged file from asking for all memory.

    Attributes:
        layers: The mixer of each layer, first to last.
        heads: Heads of every mixer that has them; divides `d_model`.
        feed_forward: Width of the SwiGLU after each mixer as a multiple of `d_model`; 0 leaves it out.
        beta_max: Largest step of the delta rule. With 2 a transition can have negative eigenvalues, which
            parity and permutations need (Grazzi et al., arXiv:2411.12537); with 1 it forgets more surely.
        householders: Steps of the delta rule per token in `delta_product`.
        expansion: Width of the state of `min_gru` and `min_lstm` as a multiple of `d_model`.
        convolution: Width of the causal convolution of the delta family and `mamba2`, in tokens.
        state_size: Keys per head in `mamba2`.
        dropout: Share of each layer's output dropped while training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    d_model: int = Field(ge=2, le=1 << 14)
    layers: tuple[MixerName, ...] = Field(min_length=1, max_length=256)
    heads: int = Field(default=4, ge=1, le=1024)
    feed_forward: float = Field(default=2.0, ge=0, le=16)
    tied_embeddings: bool = True
    beta_max: Literal[1, 2] = 2
    householders: int = Field(default=2, ge=1, le=16)
    expansion: int = Field(default=1, ge=1, le=16)
    convolution: int = Field(default=4, ge=1, le=16)
    state_size: int = Field(default=64, ge=1, le=1024)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.d_model % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide d_model {self.d_model}")
        return self

    @property
    def head_width(self) -> int:
        """Return the channels of one head."""
        return self.d_model // self.heads


class MixerConfig(MixerSizes):
    """What a `MixerLM` is built from."""

    vocabulary_size: int = Field(ge=2, le=1 << 20)
