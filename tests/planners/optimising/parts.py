"""Small real parts for tests of searches: sums to check, and a model that thinking helps."""

import re
from collections.abc import Callable
from typing import Any

from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case

from agentflow import Named, Task

DIRECT, COT = Candidate(planner="direct"), Candidate(planner="cot")
SUM = re.compile(r"What is (\d+) plus 1\?")


def case(number: int) -> Case:
    """Return a case whose answer is one more."""
    checks = (Named(name="numeric", options={"value": number + 1}),)
    return Case(id=f"sum {number}", task=Task(goal=f"What is {number} plus 1?"), checks=checks)


def listed(count: int) -> list[Any]:
    """Return that many cases as they stand in a task's inputs."""
    return [case(number).model_dump(mode="json") for number in range(count)]


def task_with(count: int) -> Task:
    """Return a task to optimise for that many cases."""
    return Task(goal="Add well.", inputs={"cases": listed(count)})


def helped_by(mark: str) -> Callable[[str], str]:
    """Answer a sum rightly where the prompt holds `mark`, and with a wrong number elsewhere."""

    def answer(prompt: str) -> str:
        found = SUM.search(prompt)
        if found is None:
            return ""
        return f"Answer: {int(found[1]) + (1 if mark in prompt else 7)}"

    return answer


thinker = helped_by("step by step")


def asked_about(asked: list[str]) -> set[str]:
    """Return the cases that prompts speak of."""
    return {f"sum {found[1]}" for prompt in asked for found in SUM.finditer(prompt)}
