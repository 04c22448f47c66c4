"""What a planner returns instead of an answer.

Owns the values `Plan` and `Program`. A flow that returns one of them has it carried out by the
engine and its result put in place of the return value.
"""

from typing import Any

import networkx as nx
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentflow.data import Data
from agentflow.errors import PlanError
from agentflow.sandbox.protocol import Limits


class SubTask(BaseModel):
    """One node of a plan: what to do, and which other nodes' results it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    goal: str = Field(min_length=1)
    needs: tuple[str, ...] = ()


class Plan(BaseModel):
    """A DAG of sub-tasks; the result of `answer` (default: the last one) is the plan's result.

    Raises:
        PlanError: Ids repeat, a needed id does not exist, or the sub-tasks need each other in a
            circle. Models do produce such plans, so a planner shows them the message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subtasks: tuple[SubTask, ...] = Field(min_length=1)
    answer: str = ""

    @model_validator(mode="after")
    def _is_a_dag(self) -> "Plan":
        ids = [subtask.id for subtask in self.subtasks]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise PlanError(
                problem=f"sub-task {repeated[0]!r} is there twice: give each its own id"
            )
        wanted = [self.answer] if self.answer else []
        for subtask in self.subtasks:
            wanted += subtask.needs
        unknown = sorted(set(wanted) - set(ids))
        if unknown:
            raise PlanError(
                problem=f"there is no sub-task {unknown[0]!r} (there are: {', '.join(ids)})"
            )
        circle = find_circle({subtask.id: subtask.needs for subtask in self.subtasks})
        if circle:
            raise PlanError(problem=f"sub-tasks need each other in a circle: {circle}")
        return self

    @property
    def answer_id(self) -> str:
        """The sub-task whose result is the plan's."""
        return self.answer or self.subtasks[-1].id


def find_circle(needs: dict[str, tuple[str, ...]]) -> str | None:
    """Return a circle of needs as `a -> b -> a`, or None: the mapping is a DAG."""
    graph: nx.DiGraph[str] = nx.DiGraph(
        [(other, node) for node, others in needs.items() for other in others]
    )
    try:
        edges = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return None
    return " -> ".join([edge[0] for edge in edges] + [edges[0][0]])


class Program(BaseModel):
    """Python that calls functions nobody has written yet: the body of a function of `inputs`.

    `tools` are the tools it may call by name; every other unknown function goes to the resolver
    that the planner hands to `execute`. Calls that do not need each other run side by side, unless
    `parallel` is off or one of the tools has effects.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    code: str
    inputs: dict[str, Data] = Field(default_factory=dict)
    tools: tuple[str, ...] = ()
    parallel: bool = True
    limits: Limits = Limits()


class Unwritten(BaseModel):
    """A call of a function nobody has written, as a resolver gets it.

    `line` is the text of the line that calls it, `number` tells two calls in one program apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    args: tuple[Data, ...] = ()
    kwargs: dict[str, Data] = Field(default_factory=dict)
    number: int
    line: str
    line_number: int
    program: str
    parameters: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return the argument values by the names they have where the call is written."""
        return dict(zip(self.parameters, self.args, strict=False)) | self.kwargs
