"""What a planner is asked and what it gives back, as values."""

import datetime as dt

import pytest
from pydantic import ValidationError

from agentflow.task import Result, Task


def test_a_task_needs_nothing_but_a_goal() -> None:
    task = Task(goal="Add up.")
    assert (task.inputs, task.tools, task.output_schema, task.context) == ({}, (), None, "")


@pytest.mark.parametrize("wrong", [{}, {"goal": ""}, {"goal": "x", "budget": {}}, {"goal": 3}])
def test_a_task_refuses_what_it_does_not_know(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Task.model_validate(wrong)


def test_a_result_needs_an_output_and_nothing_else() -> None:
    assert Result(output=None).output is None
    for wrong in ({}, {"output": 1, "note": "x"}):
        with pytest.raises(ValidationError):
            Result.model_validate(wrong)


def test_a_task_and_a_result_cannot_be_changed() -> None:
    task, result = Task(goal="x"), Result(output=1)
    with pytest.raises(ValidationError, match="frozen"):
        task.goal = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        result.output = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    "value", [(1, 2), {3: "a"}, {"b"}, b"c", dt.date(2024, 5, 1), float("inf"), "\U0001f600"]
)
def test_values_keep_their_types_through_json(value: object) -> None:
    task, result = Task(goal="x", inputs={"a": value}), Result(output=value)
    found = Task.model_validate_json(task.model_dump_json()).inputs["a"]
    output = Result.model_validate_json(result.model_dump_json()).output
    assert found == output == value
    assert type(found) is type(output) is type(value)
