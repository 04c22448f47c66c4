"""What the values of planners have in common: they do not change, and take no field they do not know.

A model writes them, a step takes or returns them, and the journal keeps them.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]


class Frozen(BaseModel):
    """A value that a model writes, or that a step takes or returns."""

    model_config = ConfigDict(frozen=True, extra="forbid")
