"""The cases of a search: three parts that share nothing, drawn alike each time, and what is refused."""

import itertools
from typing import Any

import pytest
from agentflow_planners.optimising.cases import cases_of

from agentflow import Task
from agentflow.errors import InputError
from tests.planners.optimising.parts import case, listed, task_with


@pytest.mark.parametrize("count", [3, 4, 5, 10, 31])
def test_every_case_is_in_one_part_and_no_part_is_empty(count: int) -> None:
    parts = cases_of(task_with(count))
    ids = [[one.id for one in part] for part in (parts.train, parts.select, parts.held_out)]
    assert all(ids)
    assert sorted(itertools.chain(*ids)) == sorted(case(number).id for number in range(count))


def test_the_same_seed_makes_the_same_parts_and_another_one_others() -> None:
    first, again, other = (cases_of(task_with(30), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_one_task_on_purpose_many_times_is_split_by_id() -> None:
    same = [case(1).model_dump(mode="json") | {"id": f"time {number}"} for number in range(3)]
    parts = cases_of(Task(goal="x", inputs={"cases": same}))
    assert len({parts.train[0].id, parts.select[0].id, parts.held_out[0].id}) == 3


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        (listed(2), "cases: Tuple should have at least 3 items"),
        ("many", "cases: Input should be a valid tuple"),
        ([*listed(3), listed(1)[0]], "two cases have the id 'sum 0'"),
        ([*listed(3), listed(1)[0] | {"id": "x"}], "'sum 0' and 'x' are one task"),
        ([*listed(2), {"id": "x", "checks": []}], r"cases\.2\.task: Field required"),
        ([*listed(2), listed(3)[2] | {"checks": []}], r"cases\.2\.checks: .* at least 1 item"),
        ([*listed(2), listed(3)[2] | {"hint": 1}], r"cases\.2\.hint: Extra inputs"),
    ],
)
def test_cases_of_no_use_are_refused_with_what_is_wrong(cases: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        cases_of(Task(goal="x", inputs={"cases": cases}))


def test_a_task_without_cases_is_told_what_to_give() -> None:
    with pytest.raises(InputError, match="give a list of"):
        cases_of(Task(goal="x"))
