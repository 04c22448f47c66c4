"""The limits of one run's tree, as a user states them.

Owns the values only; `engine/ledger.py` keeps the account. None means: no limit.
"""

from pydantic import BaseModel, ConfigDict, Field


class Budget(BaseModel):
    """One budget for the whole tree under a root flow.

    `depth` counts flows nested below the root flow, `width` the children of any one step,
    `steps` every step of the tree, `usd` US dollars, `seconds` wall time from the start of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)
    depth: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)
