"""What a planner is asked, and what it gives back: a planner is a flow `Task -> Result`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agentflow.data import Data


class Task(BaseModel):
    """One task.

    `inputs` are plain data by name, `tools` the names of the run's tools that the planner may use,
    `output_schema` is the JSON schema of the answer (None: text), `context` further words for the
    model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: str = Field(min_length=1)
    inputs: dict[str, Data] = {}
    tools: tuple[str, ...] = ()
    output_schema: dict[str, Any] | None = None
    context: str = ""


class Result(BaseModel):
    """A planner's answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Data
