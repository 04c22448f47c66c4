"""The reward scorer gives what the environment of the current episode says, and nothing else."""

from typing import Any

import pytest
from agentflow_evals.outcome import Cell
from agentflow_evals.running.verdicts import outcome_of
from agentflow_evals.scorer import Score
from agentflow_evals.scorers.reward import reward
from agentflow_evals.suite import Sample

from agentflow import Budget, Environment, Journal, Runner, Task, action, flow
from agentflow.engine.notes import tools_in_reach
from agentflow.episodes import episode
from agentflow.errors import ExpansionError, InputError
from agentflow.solving import Named, solve_task
from tests.parts import Scripted

pytestmark = pytest.mark.anyio


class Hill(Environment):
    """A hill on which one may climb and fall."""

    def __init__(self, top: int = 100) -> None:
        self.height, self.highest, self.top = 0, 0, top

    def score(self) -> float:
        return float(self.height)

    def best_score(self) -> float:
        return float(self.highest)

    @action
    def climb(self, steps: int) -> int:
        """Go up."""
        self.height += steps
        self.highest = max(self.highest, self.height)
        return self.height


class Lake(Environment):
    """It keeps no score."""

    @action
    def swim(self) -> None:
        """Swim."""


async def scored(*steps: int, journal: str, **options: Any) -> Score:
    @flow
    async def walk(options: dict[str, Any]) -> Score:
        async with episode():
            for number in steps:
                await tools_in_reach()["hill_climb"](steps=number)
            return await reward("whatever the planner said", options)

    tools = [*Hill.named("hill").tools(), *Lake.named("lake").tools()]
    runner = Runner(journal=journal, tools=tools)
    result = await runner.run_async(walk, {"environment": "hill", "full": 100, **options})
    assert (await runner.replay(walk, result.id)).output == result.output
    found: Score = result.output
    return found


async def test_full_points_pass_and_fewer_are_their_share(journal: str) -> None:
    score = await scored(60, 40, journal=journal)
    assert (score.passed, score.value) == (True, 1.0)
    score = await scored(55, journal=journal)
    assert (score.passed, score.value, score.explanation) == (False, 0.55, "55 of 100 points")
    assert (await scored(55, journal=journal, threshold=0.5)).passed
    assert (await scored(250, journal=journal)).value == 1.0


async def test_the_best_points_count_unless_the_last_are_asked_for(journal: str) -> None:
    score = await scored(70, -170, journal=journal)
    assert (score.value, score.passed) == (0.7, False)
    assert score.explanation == "70 of 100 points (70 at best, -100 at the end)"
    assert (await scored(70, -170, journal=journal, best=False)).value == 0.0
    assert (await scored(100, -50, journal=journal)).passed
    assert not (await scored(100, -50, journal=journal, best=False)).passed


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"environment": "hall"}, r"the task has no 'hall' \(it has hill, lake\)"),
        ({"environment": "lake"}, "the environment lake keeps no score"),
        ({"full": 0}, "full: .*greater than 0"),
        ({"threshold": 2}, "threshold: .*less than or equal to 1"),
    ],
)
async def test_what_cannot_be_scored_is_refused(
    journal: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        await scored(journal=journal, **options)


class Started(Hill):
    """A hill of which some part is climbed already."""

    def __init__(self, height: int) -> None:
        super().__init__()
        self.height = self.highest = height


@pytest.mark.parametrize(("height", "status"), [(55, "failed"), (100, "passed")])
async def test_what_was_reached_counts_although_the_planner_gave_up(
    journal: str, height: int, status: str
) -> None:
    check = Named(name="reward", options={"environment": "hill", "full": 100})
    task = Task(goal="Climb.", tools=("hill_climb",))
    runner = Runner(journal=journal, tools=Started.named("hill", height=height).tools())
    with pytest.raises(ExpansionError, match="its own solution"):
        await runner.run_as("r1", solve_task, task, Named(name="oracle"), (check,))
    with Journal(journal) as opened:
        record = opened.run("r1")
    sample = Sample(id="climb", task=task, checks=(check,))
    outcome = outcome_of(record, Cell("climb", "oracle", "none", 0), sample)
    assert (outcome.status, outcome.value) == (status, height / 100)
    with pytest.raises(ExpansionError):
        await runner.replay(solve_task, "r1")


async def test_a_check_of_the_answer_is_not_asked_when_there_is_none(journal: str) -> None:
    checks = (Named(name="exact", options={"value": None}),)
    runner = Runner(journal=journal, tools=Started.named("hill", height=1).tools())
    task = Task(goal="Climb.", tools=("hill_climb",))
    with pytest.raises(ExpansionError):
        await runner.run_as("r1", solve_task, task, Named(name="oracle"), checks)
    with Journal(journal) as opened:
        assert all(step.name != "check" for step in opened.run("r1").steps.values())


async def test_steps_that_are_used_up_do_not_keep_an_answer_from_its_check(journal: str) -> None:
    checks = (Named(name="contains", options={"all": ["yes"]}),)
    runner = Runner(model=Scripted(lambda _prompt: "yes"), journal=journal, budget=Budget(steps=3))
    found = await runner.run_async(solve_task, Task(goal="Say yes."), Named(name="direct"), checks)
    assert found.output.passed
