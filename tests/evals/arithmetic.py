"""A small suite of our own, for tests of the harness."""

from collections.abc import Iterable

from agentflow_evals.opening import OpenSuite, open_suite
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, plan_for
from agentflow_evals.suite import Sample, Suite

from agentflow.solving import Named
from agentflow.task import Task
from tests.parts import Scripted


class Doubles(Suite):
    """Doubling small numbers."""

    def __init__(self, count: int = 6) -> None:
        self._count = count

    def samples(self) -> Iterable[Sample]:
        for number in range(self._count):
            yield Sample(
                id=f"double {number}",
                task=Task(goal=f"What is twice {number}?"),
                checks=(Named(name="numeric", options={"value": 2 * number}),),
                target=2 * number,
                group="even" if number % 2 == 0 else "odd",
            )


NAME = "tests.evals.arithmetic:Doubles"


def doubles(count: int = 6) -> OpenSuite:
    return open_suite(NAME, {"count": count})


def plan_of(suite: OpenSuite, model: Scripted, *labels: str, repeat: int = 1) -> EvaluationPlan:
    """Return a plan for all samples; every label stands for the planner `direct`."""
    return plan_for(
        suite,
        planners=[
            Contender(label=label, planner=Named(name="direct")) for label in labels or ("direct",)
        ],
        models=[Entrant(label="scripted", spec=model.spec)],
        repeat=repeat,
    )
