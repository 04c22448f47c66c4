"""A suite in ten lines: `agentflow eval examples/suites/sums.py:Sums --planner direct`."""

from collections.abc import Iterator

from agentflow_evals.suite import Sample, Suite

from agentflow import Task
from agentflow.solving import Named


class Sums(Suite):
    """Sums of two numbers; `largest` is the largest of them."""

    def __init__(self, largest: int = 9) -> None:
        self.largest = largest

    def samples(self) -> Iterator[Sample]:
        for left in range(1, self.largest + 1):
            goal = f"What is {left} + {self.largest}?"
            check = Named(name="numeric", options={"value": left + self.largest})
            yield Sample(id=f"sum-{left}", task=Task(goal=goal), checks=(check,))
