"""What a search looks for: a planner by name and its options, which is all that a flow file holds."""

from pydantic import BaseModel, ConfigDict, Field

from agentflow.data import Data


class Candidate(BaseModel):
    """A planner by name and the options that it gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    planner: str = Field(min_length=1)
    options: dict[str, Data] = {}

    def having(self, **options: Data) -> "Candidate":
        """Return the candidate with these options in place of its own."""
        return self.model_copy(update={"options": {**self.options, **options}})
