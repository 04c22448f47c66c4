"""The evaluation of a candidate: what counts as a failure, what ends the run, and how sure a score is."""

import pytest
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.scoring import (
    Outcome,
    Score,
    difference_of,
    evaluate,
    score_of,
)

from agentflow import Budget, Environment, Runner, action
from agentflow.errors import (
    BudgetExceededError,
    InputError,
    ModelRequestError,
    PluginError,
)
from agentflow.statistics import wilson
from tests.parts import Scripted
from tests.planners.optimising.parts import COT, DIRECT, case, thinker
from tests.planners.scripts import Acting, Meeting

pytestmark = pytest.mark.anyio

CASES = tuple(case(number) for number in range(4))


async def scored(journal: str, candidate: Candidate, model: Scripted, **limits: int) -> Score:
    runner = Runner(journal=journal, model=model, budget=Budget(**limits))
    result = await runner.run_async(evaluate, candidate, CASES)
    replayed = await Runner(journal=journal).replay(evaluate, result.id)
    assert replayed.output == result.output
    return result.output


def outcomes(*values: float) -> Score:
    return score_of(
        [
            Outcome(case=f"{place}", value=value, passed=value == 1)
            for place, value in enumerate(values)
        ]
    )


async def test_a_score_is_what_the_checks_say_of_every_case_in_order(journal: str) -> None:
    score = await scored(journal, COT, Acting(thinker))
    assert [outcome.case for outcome in score.outcomes] == [one.id for one in CASES]
    assert [outcome.output for outcome in score.outcomes] == ["1", "2", "3", "4"]
    assert (score.mean, score.low) == (1, wilson(4, 4).low)
    assert (await scored(journal, DIRECT, Acting(thinker))).mean == 0


async def test_cases_are_solved_side_by_side(journal: str) -> None:
    model = Meeting(thinker, [f"What is {number} plus" for number in range(4)])
    assert (await scored(journal, DIRECT, model)).mean == 0


async def test_a_planner_that_gives_up_scores_nothing_and_says_why(journal: str) -> None:
    score = await scored(
        journal, COT, Acting(lambda prompt: "" if " 2 plus" in prompt else thinker(prompt))
    )
    assert [outcome.value for outcome in score.outcomes] == [1, 1, 0, 1]
    assert score.outcomes[2].problem.startswith("ExpansionError: ")
    assert not score.outcomes[2].passed


async def test_options_that_do_not_fit_are_a_bad_candidate(journal: str) -> None:
    bad = COT.having(colour="red")
    score = await scored(journal, bad, Acting(thinker))
    assert score.mean == 0
    assert "colour" in score.outcomes[0].problem


async def test_an_unknown_planner_is_an_error(journal: str) -> None:
    with pytest.raises(PluginError, match="did you mean 'direct'"):
        await scored(journal, Candidate(planner="dirct"), Acting(thinker))


async def test_a_model_that_refuses_is_no_score(journal: str) -> None:
    def refuses(_prompt: str) -> str:
        raise ModelRequestError(model="scripted:model", problem="no")

    with pytest.raises(ModelRequestError):
        await scored(journal, DIRECT, Acting(refuses))


async def test_the_runs_budget_is_raised_and_never_a_score(journal: str) -> None:
    with pytest.raises(BudgetExceededError):
        await scored(journal, DIRECT, Acting(thinker), steps=6)


async def test_a_refusal_that_a_planner_made_another_error_of_is_raised(journal: str) -> None:
    many = Candidate(planner="archon", options={"layers": [[{"type": "generator", "samples": 9}]]})
    with pytest.raises(BudgetExceededError):
        await scored(journal, many, Acting(thinker), steps=20)


async def test_a_candidate_that_nests_too_deep_is_a_bad_candidate(journal: str) -> None:
    deep = Candidate(planner="archon")
    score = await scored(journal, deep, Acting(thinker), depth=3)
    assert score.mean == 0
    assert "depth" in score.outcomes[0].problem


class Till(Environment):
    """It keeps what is put into it."""

    def __init__(self) -> None:
        self.coins = 0

    @action
    def put(self, coins: int) -> str:
        """Put coins in; returns how many there are."""
        self.coins += coins
        return f"{self.coins} coins"


async def test_every_case_has_environments_of_its_own(journal: str) -> None:
    tools = Till.named("till").tools()
    acting = [
        one.model_copy(update={"task": one.task.model_copy(update={"tools": (tools[0].name,)})})
        for one in CASES
    ]

    def puts_once(prompt: str) -> str:
        return prompt if "coins" in prompt else f'CALL {tools[0].name} {{"coins": 1}}'

    runner = Runner(journal=journal, model=Acting(puts_once), tools=tools)
    react = Candidate(planner="react")
    found = (await runner.run_async(evaluate, react, tuple(acting))).output
    assert {outcome.output for outcome in found.outcomes} == {"1 coins"}


async def test_no_cases_are_refused(journal: str) -> None:
    with pytest.raises(InputError, match="no cases"):
        await Runner(journal=journal, model=Acting(thinker)).run_async(evaluate, DIRECT, ())


async def test_values_between_0_and_1_have_an_interval_around_their_mean() -> None:
    score = outcomes(0.2, 0.4, 0.9)
    assert score.mean == pytest.approx(0.5)
    assert score.low < 0.5 < score.high


async def test_a_difference_is_paired_and_its_interval_holds_it() -> None:
    better, worse = outcomes(1, 1, 1, 0), outcomes(0, 0, 1, 0)
    found = difference_of(better, worse)
    assert found.estimate == 0.5
    assert found.low < 0.5 < found.high
    partly = difference_of(outcomes(0.5, 1, 1), outcomes(0.5, 0, 0.5))
    assert partly.estimate == 0.5


async def test_scores_on_different_cases_make_no_pairs() -> None:
    other = score_of([Outcome(case="x", value=1, passed=True)])
    with pytest.raises(ValueError, match="no pairs"):
        difference_of(outcomes(1), other)
