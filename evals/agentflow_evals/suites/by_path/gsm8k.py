"""GSM8K: grade school word problems whose answer is a number (Cobbe et al., arXiv:2110.14168).

Owns the published format: JSON lines with `question` and `answer`, the answer ending in `#### 18`. The
planner sees the question; the worked answer is not in the task.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.files import Record, read_records

_FINAL = re.compile(r"####\s*(-?[\d.,]*\d)\s*$")
_CONTEXT = "Think step by step if you need to. End with the final number alone in \\boxed{}."


class Gsm8k(BroughtSuite):
    """GSM8K: grade school word problems; bring train.jsonl or test.jsonl of openai/grade-school-math."""

    NAME = "gsm8k"
    SOURCE = "openai/grade-school-math"
    LICENCE = "MIT"
    PUBLISHED: ClassVar = {
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465": "train.jsonl, 7,473 problems",
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14": "test.jsonl, 1,319 problems",
    }

    def __init__(self, *, path: str, split: str = "test", sha256: str = "") -> None:
        """Choose a split.

        Args:
            path: The file, or the folder that holds `SPLIT.jsonl`.
            split: `test` or `train`; a file is read whatever it is called.
            sha256: The sum that the file must have.
        """
        super().__init__(path, sha256)
        self.check_choice("split", split, ("test", "train"))
        self._split = split

    @property
    def data(self) -> Path:
        """The file of the split."""
        return self._file(self._split)

    def samples(self) -> Iterator[Sample]:
        """Yield a sample a line; its id is the line's number."""
        for number, record in enumerate(self.records()):
            answer = _answer(record)
            yield Sample(
                id=f"{self._split}/{number}",
                task=Task(goal=record.text("question"), context=_CONTEXT),
                checks=(Named(name="math_answer", options={"answer": answer, "kind": "number"}),),
                target=answer,
            )

    def training_texts(self) -> Iterator[str]:
        """Yield the questions of the other split, where its file lies beside this one."""
        if self._split == "test" and self.path.is_dir() and (self.path / "train.jsonl").is_file():
            for record in read_records(self.path / "train.jsonl", self.NAME):
                yield record.text("question")

    def _file(self, split: str) -> Path:
        return self.file_in(f"{split}.jsonl", f"{split}.jsonl.gz", f"{split}.parquet")


def _answer(record: Record) -> str:
    found = _FINAL.search(record.text("answer"))
    if found is None:
        raise record.wrong("the field 'answer' does not end in '#### NUMBER'")
    return found[1].replace(",", "")
