"""The end of a search: who is chosen, by what, and that the held-out cases are met once, at the end."""

from typing import Any

import pytest
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Cases, cases_of
from agentflow_planners.optimising.scoring import evaluate
from agentflow_planners.optimising.searching import Found, Trial, result_of, settle
from agentflow_planners.optimising.trying import KEPT, Search

from agentflow import Budget, Result, Runner, RunResult, Task, flow
from agentflow.errors import BudgetExceededError, InputError, ModelRequestError
from tests.parts import Scripted
from tests.planners.optimising.parts import COT, DIRECT, asked_about, task_with, thinker
from tests.planners.scripts import Acting

pytestmark = pytest.mark.anyio

TASK = task_with(12)
CASES = cases_of(TASK)


@flow
async def chosen(
    task: Task, base: Candidate, others: tuple[Candidate, ...], where: str = "select"
) -> Found:
    """Try some candidates on one part and settle."""
    cases = cases_of(task)
    trials = []
    for candidate in (base, *others):
        score = await evaluate(candidate, getattr(cases, where))
        trials.append(Trial(candidate=candidate, score=score))
    return await settle(base, tuple(trials), cases)


@flow
async def searched(task: Task, base: Candidate, others: tuple[Candidate, ...]) -> Result:
    """Try candidates one after the other, as long as the budget goes."""
    search = Search(base, cases_of(task))
    for candidate in (base, *others):
        await search.tries(candidate, candidate.planner)
    return await search.settled()


async def ran(
    journal: str, what: Any, model: Scripted, *args: Any, **limits: int
) -> RunResult[Any]:
    runner = Runner(journal=journal, model=model, budget=Budget(**limits))
    result = await runner.run_async(what, TASK, *args)
    replayed = await Runner(journal=journal).replay(what, result.id)
    assert replayed.output == result.output
    return result


def shown_example(number: int) -> Candidate:
    example = {"question": "?", "reasoning": "so", "answer": str(number)}
    return COT.having(examples=[example])


def ids(part: tuple[Any, ...]) -> set[str]:
    return {case.id for case in part}


async def test_the_better_candidate_is_chosen_and_measured_on_held_out_cases(journal: str) -> None:
    found = (await ran(journal, chosen, Acting(thinker), DIRECT, (COT,))).output
    assert found.candidate == COT
    assert (found.selected.mean, found.base_selected.mean) == (1, 0)
    assert {outcome.case for outcome in found.held_out.outcomes} == ids(CASES.held_out)
    assert (found.held_out.mean, found.base_held_out.mean) == (1, 0)
    assert found.difference.estimate == 1
    assert found.difference.low > 0
    assert found.stopped == "done"


async def test_held_out_cases_are_in_no_prompt_before_the_choice(journal: str) -> None:
    model = Acting(thinker)
    runner = Runner(journal=journal, model=model)
    result = await runner.run_async(chosen, TASK, DIRECT, (COT,))
    steps = list(result.record.steps.values())
    first = next(step.number for step in steps if step.name == "held out, winner")
    calls = [step for step in steps if step.kind == "model"]
    before = sum(step.number < first for step in calls)
    assert asked_about(model.asked[:before]) == ids(CASES.select)
    assert asked_about(model.asked[before:]) == ids(CASES.held_out)


async def test_what_is_only_as_good_does_not_replace_the_base(journal: str) -> None:
    model = Acting(thinker)
    found = (await ran(journal, chosen, model, COT, (shown_example(1),))).output
    assert found.candidate == found.base == COT
    assert found.held_out == found.base_held_out
    assert found.difference.estimate == 0
    assert len(model.asked) == 3 * len(CASES.select), "the base is not run twice on held-out cases"


async def test_a_trial_on_held_out_cases_is_refused(journal: str) -> None:
    with pytest.raises(InputError, match="trial 1 was made on the held-out case"):
        await ran(journal, chosen, Acting(thinker), DIRECT, (), "held_out")


async def test_a_trial_on_other_cases_cannot_be_chosen_and_the_base_is_then_scored(
    journal: str,
) -> None:
    found = (await ran(journal, chosen, Acting(thinker), DIRECT, (COT,), "train")).output
    assert found.candidate == DIRECT
    assert {outcome.case for outcome in found.base_selected.outcomes} == ids(CASES.select)


async def test_a_budget_that_ends_within_the_held_out_cases_keeps_what_was_chosen(
    journal: str,
) -> None:
    whole = await ran(journal, chosen, Acting(thinker), DIRECT, (COT,))
    steps = len(whole.record.steps) - 3
    found = (await ran(journal, chosen, Acting(thinker), DIRECT, (COT,), steps=steps)).output
    assert found.candidate == COT
    assert found.held_out.mean == 1
    assert found.base_held_out is found.difference is None
    assert "held-out cases were not all run" in found.stopped


@pytest.mark.parametrize("limit", ["steps", "tokens"])
async def test_a_search_stops_while_the_held_out_cases_can_still_be_paid(
    journal: str, limit: str
) -> None:
    others = [COT, *(shown_example(number) for number in range(20))]
    whole = (await ran(journal, searched, Acting(thinker), DIRECT, others)).record
    used = {"steps": len(whole.steps), "tokens": whole.usage.total_tokens}[limit]
    short = await ran(journal, searched, Acting(thinker), DIRECT, others, **{limit: used // 2})
    output = short.output.output
    assert output["planner"] == "cot"
    assert output["stopped"] == KEPT
    assert 2 < output["trials"] < 21
    assert output["difference"] is not None


async def test_a_budget_that_ends_in_a_trial_keeps_the_best_so_far(journal: str) -> None:
    heavy = Candidate(planner="self_consistency", options={"samples": 50})
    result = await ran(journal, searched, Acting(thinker), DIRECT, (COT, heavy), steps=120)
    output = result.output.output
    assert output["planner"] == "cot"
    assert "budget of 120 steps" in output["stopped"]


async def test_a_search_cut_off_goes_on_to_the_same_end_and_repeats_no_call(journal: str) -> None:
    others = (COT, shown_example(1))
    whole = await ran(journal, searched, Acting(thinker), DIRECT, others)
    calls = len([step for step in whole.record.steps.values() if step.kind == "model"])
    left = calls // 2

    def cut(prompt: str) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise ModelRequestError(model="scripted:model", problem="no")
        return thinker(prompt)

    first = Runner(journal=journal, model=Acting(cut))
    with pytest.raises(ModelRequestError):
        await first.run_as("cut", searched, TASK, DIRECT, others)
    model = Acting(thinker)
    resumed = await Runner(journal=journal, model=model).resume(searched, "cut")
    assert resumed.output == whole.output
    assert len(model.asked) == calls - calls // 2


async def test_a_budget_too_small_for_the_base_is_an_error(journal: str) -> None:
    with pytest.raises(BudgetExceededError):
        await ran(journal, searched, Acting(thinker), DIRECT, (), steps=5)


async def test_what_was_tried_is_not_tried_again(journal: str) -> None:
    model = Acting(thinker)
    result = await ran(journal, searched, model, DIRECT, (COT, DIRECT, COT))
    assert result.output.output["trials"] == 2


async def test_a_result_is_plain_data_with_planner_options_and_figures(journal: str) -> None:
    found = (await ran(journal, chosen, Acting(thinker), DIRECT, (COT,))).output
    output = result_of(found).output
    assert output["planner"] == "cot"
    assert output["options"] == {}
    assert output["improved"] is True
    assert output["scores"]["base_held_out"]["cases"] == len(CASES.held_out)
    assert Candidate(planner=output["planner"], options=output["options"]) == COT


def test_cases_know_no_fourth_part() -> None:
    assert set(Cases.model_fields) == {"train", "select", "held_out"}
