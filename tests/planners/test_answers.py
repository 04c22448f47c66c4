"""Answers in replies: what stands behind the mark, in which shape, and what is none."""

from typing import Any

import pytest
from agentflow_planners.shared.answers import fitting, given_up, python_fence, read_as, stated

from agentflow import Task
from agentflow.engine.shapes import MisfitError


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("6 times 7.\nAnswer: 42", "42"),
        ("Answer: 41? No.\n**Final answer:** 42", "42"),
        ("### Answer:\n\n42\n", "42"),
        ("So the answer is 42.", "42"),
        ("The answer is **42**.", "42"),
        ("Answer: a line\nand another", "a line\nand another"),
        ("No answer in here", None),
        ("Answer:", None),
    ],
)
def test_the_last_stated_answer_is_found(reply: str, answer: str | None) -> None:
    assert stated(reply) == answer


@pytest.mark.parametrize(
    ("reply", "kind", "value"),
    [
        ('{"a": 1}', "object", {"a": 1}),
        ('It is:\n```json\n{"a": 1}\n```', "object", {"a": 1}),
        ('I think {"a": 1} fits.', "object", {"a": 1}),
        ("Answer: 1,234 apples", "integer", 1234),
        ("Answer: $18.50", "number", 18.5),
        ("Answer: Paris", "string", "Paris"),
        ('Answer: "Paris"', "string", "Paris"),
        ("Answer: 007", "string", "007"),
    ],
)
def test_an_answer_is_read_in_the_wanted_shape(reply: str, kind: str, value: Any) -> None:
    assert read_as(reply, {"type": kind}) == value


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("Answer: 3 or 4", "integer"),
        ("There are 3 ways", "integer"),
        ("It is Paris", "string"),
        ("Answer: true", "integer"),
    ],
)
def test_what_could_be_misread_is_a_misfit(reply: str, kind: str) -> None:
    with pytest.raises(MisfitError):
        read_as(reply, {"type": kind})


def test_a_reply_that_gives_up_says_why() -> None:
    assert given_up("I tried.\n**FAILED:** the door is locked") == "the door is locked"
    assert given_up("FAILED:") == "no reason given"
    assert given_up("Nothing FAILED here") is None


def test_only_the_first_python_of_a_reply_is_taken() -> None:
    reply = "So\n```json\n{}\n```\n```python\nx = 1\n```\nIt prints:\n```python\nx = 2\n```"
    code, text = python_fence(reply)
    assert code == "x = 1"
    assert text.endswith("x = 1\n```")
    assert python_fence("no code") == (None, "no code")


def test_a_program_without_a_value_gives_no_answer() -> None:
    with pytest.raises(MisfitError, match="returns nothing"):
        fitting(None, Task(goal="x"))
    assert fitting(None, Task(goal="x", output_schema={"type": "null"})) is None
