"""What became of one sample under one planner and one model.

Owns the value that tables, reports, exports and comparisons are made of. `error` is for what says
nothing about the planner (no network, a missing key): it is not counted, and a resume tries again.
"""

from typing import Literal, NamedTuple

from pydantic import Field

from agentflow.data import Data
from agentflow_evals.suite import Value

Status = Literal["passed", "failed", "refused", "error"]


class Measures(Value):
    """What a run cost and what form it had: all but `spent_*` and `seconds` is of the planner alone.

    Tokens and `cost_usd` count every call as if it had been made, also those answered from the cache
    (`reused_calls`), so that planners compare; `spent_tokens` and `spent_usd` are what was really spent.
    None is an unknown price. `critical_path_s` is the longest chain of leaf steps that had to follow each other. `depth` and
    `breadth` are of the tree of flows below the planner.
    """

    calls: int = 0
    reused_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = 0.0
    spent_tokens: int = 0
    spent_usd: float | None = 0.0
    seconds: float = Field(default=0.0, ge=0)
    critical_path_s: float = Field(default=0.0, ge=0)
    steps: int = 0
    depth: int = 0
    breadth: int = 0
    expansions: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class Cell(NamedTuple):
    """Where an outcome stands in an evaluation; `planner` and `model` are labels."""

    sample: str
    planner: str
    model: str
    repeat: int


class Outcome(Value):
    """The result of one run.

    `passed`: every check passed; `failed`: one did not, or the planner gave no answer; `refused`: the
    sample's own budget ended first (counts as not solved). `value` is the mean of the checks, 0 to 1.
    `reason` says in a line why it did not pass.
    """

    sample: str
    planner: str
    model: str
    repeat: int = Field(default=0, ge=0)
    run: str
    status: Status
    value: float = Field(ge=0, le=1)
    answer: Data = None
    reason: str = ""
    group: str = ""
    target: Data = None
    measures: Measures = Measures()

    @property
    def cell(self) -> Cell:
        """Where it stands."""
        return Cell(self.sample, self.planner, self.model, self.repeat)

    @property
    def is_counted(self) -> bool:
        """Whether it says something about the planner."""
        return self.status != "error"

    @property
    def passed(self) -> bool:
        """Whether it was solved."""
        return self.status == "passed"
