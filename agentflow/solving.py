"""Solve a task with a planner and check the answer: the root flow of every task file.

Owns the run that `agentflow run` starts. Planners and scorers are found by name, so a run can be
replayed and resumed from its journal alone.
"""

from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow import plugins
from agentflow.budget import Budget
from agentflow.data import Data
from agentflow.engine.branches import parallel
from agentflow.engine.steps import current_frame
from agentflow.episodes import episode, with_openings
from agentflow.errors import (
    AgentflowError,
    BudgetExceededError,
    ContextLengthError,
    EpisodeOverError,
    ExpansionError,
    GraphError,
    MalformedReplyError,
    OutputError,
    PayloadError,
    PlanError,
    ProgramError,
    ToolError,
)
from agentflow.flows import flow
from agentflow.task import Result, Task

# A planner that ends with one of these has failed its task. Whatever else stops a run (no network, no
# key, a bug) says nothing about the task, and a resume may go on with it.
GAVE_UP = (
    BudgetExceededError,
    ContextLengthError,
    EpisodeOverError,
    ExpansionError,
    GraphError,
    MalformedReplyError,
    OutputError,
    PayloadError,
    PlanError,
    ProgramError,
    ToolError,
)
OF_EPISODE = "judges_episode"  # attribute of scorers that look at what happened, not at the answer


class Named(BaseModel):
    """A plugin by name and the options it gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, Data] = {}


class Verdict(BaseModel):
    """What one check said: `value` is between 0 and 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    passed: bool
    value: float
    explanation: str


class Solution(BaseModel):
    """The planner's answer and what the checks said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Data
    verdicts: tuple[Verdict, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed; true when there is none."""
        return all(verdict.passed for verdict in self.verdicts)


@flow(name="task")
async def solve_task(task: Task, planner: Named, checks: tuple[Named, ...] = ()) -> Solution:
    """Let the planner solve the task, then check its answer; its environments are there for both."""
    plan = plugins.load_planner(planner.name)
    async with episode():
        try:
            result: Result = await plan(await with_openings(task), **planner.options)
        except GAVE_UP:
            await _judge_episode(checks)
            raise
        # A check is no part of what the planner may spend; tokens and dollars stay limited.
        current_frame("checks").run.ledger.relax()
        verdicts = await parallel(check(result.output, named) for named in checks)
    return Solution(output=result.output, verdicts=tuple(verdicts))


async def _judge_episode(checks: tuple[Named, ...]) -> None:
    """Have what was reached recorded, although there is no answer; the planner's error is what is raised."""
    current_frame("checks").run.ledger.relax()
    for named in checks:
        if getattr(plugins.load("scorer", named.name), OF_EPISODE, False):
            with suppress(AgentflowError):  # the budget, say: then there is nothing to record
                await check(None, named)


@flow
async def check(output: Any, scorer: Named) -> Verdict:
    """Score one answer with one scorer."""
    score = await plugins.load("scorer", scorer.name)(output, scorer.options)
    return Verdict(
        check=scorer.name, passed=score.passed, value=score.value, explanation=score.explanation
    )


def below_root(budget: Budget) -> Budget:
    """Return the budget with `depth` counted from the planner, which sits below the task's root."""
    return budget if budget.depth is None else budget.model_copy(update={"depth": budget.depth + 1})
