"""FanOutQA from a file: questions that need facts about several things (Zhu et al., arXiv:2402.14116).

Owns the published format: a JSON list of questions with `answer`, `decomposition` and `categories`. The
suite `fanoutqa` has the development set of the installed package; this one takes any such file, such as
the corrected set of 2026. The planner sees the question alone: closed-book, no page is given.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample, sample_id
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.files import Record

_FILES = ("fanout-final-dev.json", "fanout-final-dev-nov23.json")


class FanOutQaFile(BroughtSuite):
    """FanOutQA from a file, closed-book; bring fanout-final-dev.json of zhudotexe/fanoutqa."""

    NAME = "fanoutqa_file"
    SOURCE = "zhudotexe/fanoutqa"
    LICENCE = "CC-BY-SA-4.0"
    PUBLISHED: ClassVar = {
        "b62a9797732c716e6b17ba4086f277d154d747ce2fa01614cb76a3372e7fb88c": "development set, corrected 2026",
        "359300b029c6891567816f351bf8786e9b018d7af8a1a44b7da9ba5ef4651288": "development set, November 2023",
    }

    def __init__(self, *, path: str, sha256: str = "") -> None:
        """Take the file.

        Args:
            path: The file, or the folder that holds it.
            sha256: The sum that the file must have.
        """
        super().__init__(path, sha256)

    @property
    def data(self) -> Path:
        """The file."""
        return self.file_in(*_FILES)

    def samples(self) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        for record in self.records():
            answer = _answer(record)
            asked = _count(
                record, record.get("decomposition") if "decomposition" in record.data else []
            )
            yield Sample(
                id=sample_id(record.text("id")),
                task=Task(goal=record.text("question")),
                checks=(Named(name="mentions", options={"reference": answer}),),
                target=answer,
                group=f"{asked} sub-questions" if asked else "",
                metadata={"categories": record.data.get("categories")},
            )


def _answer(record: Record) -> Any:
    if record.data.get("answer") in (None, "", [], {}):
        raise record.wrong("it has no answer (those of the test set are not published)")
    return record.data["answer"]


def _count(record: Record, parts: Any) -> int:
    """Return how many questions there are below, those with further ones included."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise record.wrong("the field 'decomposition' is no list of questions")
    return sum(1 + _count(record, part.get("decomposition") or []) for part in parts)
