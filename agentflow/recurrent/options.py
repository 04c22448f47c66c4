"""How an engine is to run. Knows neither torch nor any model, so a command line may read it freely."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Form = Literal["exact", "int8"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]


class EngineOptions(BaseModel):
    """Limits and choices of one engine; bytes count tensors only.

    Attributes:
        dtype: Of the weights; `auto` is the checkpoint's on a GPU and fp32 on a CPU. Recurrent states stay fp32.
        device: A torch device, or `auto`: CUDA where there is one.
        most_rows: Sequences decoded together; None: as many as gain something on this device.
        most_waiting: Requests that may wait; one more is refused, so that a client can slow down.
        prefill_chunk: Tokens of a prompt read between two decoding steps.
        state_bytes: Kept states on the device.
        host_bytes: Kept states in host memory, for what no longer fits on a GPU; unused on a CPU.
        spill_folder: Where states go that fit in neither; None: they are dropped and computed again when needed.
        spill_bytes: At most so much there.
        states: `int8` keeps states in a quarter of the space and is not exact (top choice changes in up to 3 % of tokens).
        most_handles: State handles that are remembered; the least recently used is forgotten first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Precision = "auto"
    device: str = "auto"
    most_rows: int | None = Field(default=None, ge=1)
    most_waiting: int = Field(default=256, ge=1)
    prefill_chunk: int = Field(default=256, ge=1)
    state_bytes: int = Field(default=2 << 30, ge=0)
    host_bytes: int = Field(default=8 << 30, ge=0)
    spill_folder: Path | None = None
    spill_bytes: int = Field(default=32 << 30, ge=0)
    states: Form = "exact"
    most_handles: int = Field(default=1 << 16, ge=1)
