r"""MATH: competition problems with worked solutions (Hendrycks et al., arXiv:2103.03874).

Owns the two published formats: folders `SPLIT/SUBJECT/NUMBER.json`, where the answer is the last \boxed{}
of the solution, and JSON lines with an `answer` of their own (MATH-500). The planner sees the problem.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from agentflow.errors import SuiteError
from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.scorers.math_answer import last_boxed
from agentflow_evals.suite import Sample, sample_id
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.files import Record, read_records

_CONTEXT = "Give the final answer in \\boxed{}, as simple as it can be."
_SPLITS = ("test", "train")


class Math(BroughtSuite):
    r"""MATH: competition mathematics; bring the folders of hendrycks/math, or MATH-500 as JSON lines."""

    NAME = "math"
    SOURCE = "hendrycks/math"
    LICENCE = "MIT"
    PUBLISHED: ClassVar = {
        # The sums by which Git LFS knows the files of openai/prm800k, math_splits.
        "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132": "MATH-500, test.jsonl",
    }

    def __init__(
        self, *, path: str, split: str = "test", level: int = 0, subject: str = "", sha256: str = ""
    ) -> None:
        """Choose problems.

        Args:
            path: A file of records; or a folder `MATH`, or one inside it.
            split: `test` or `train`, where the folder has both.
            level: Only this one, 1 to 5; 0: all.
            subject: Only this one, as the folder or the record names it; case and `_` do not matter.
            sha256: The sum that the file or folder must have.
        """
        super().__init__(path, sha256)
        self.check_choice("split", split, _SPLITS)
        if level not in range(6):
            raise self.wrong(f"level is 1 to 5, or 0 for all, not {level}")
        self._split, self._level, self._subject = split, level, _plain(subject)

    @property
    def data(self) -> Path:
        """The file, or the folder of the split."""
        inside = self.path / self._split
        return inside if inside.is_dir() else self.path

    def samples(self) -> Iterator[Sample]:
        """Yield the problems in the order of their files' names and numbers."""
        self.check_sum()
        for name, record in self._named_records(self.data):
            level, subject = _level(record), record.text("type", "subject")
            if self._level not in (0, level) or self._subject not in ("", _plain(subject)):
                continue
            answer = _answer(record)
            yield Sample(
                id=sample_id(name),
                task=Task(goal=record.text("problem"), context=_CONTEXT),
                checks=(Named(name="math_answer", options={"answer": answer}),),
                target=answer,
                group=f"level {level}" if level else subject,
                metadata={"level": level, "subject": subject},
            )

    def training_texts(self) -> Iterator[str]:
        """Yield the problems of the training split, where its folder lies beside the tested one."""
        if self._split == "test" and (self.path / "train").is_dir() and self.data != self.path:
            for _, record in self._named_records(self.path / "train"):
                yield record.text("problem")

    def _named_records(self, place: Path) -> Iterator[tuple[str, Record]]:
        if not place.is_dir():
            for number, record in enumerate(read_records(place, self.NAME)):
                yield str(record.data.get("unique_id") or number), record
            return
        files = sorted(place.rglob("*.json"), key=_order)
        if not files:
            problem = "the folder holds no .json files (MATH/test/SUBJECT/NUMBER.json)"
            raise SuiteError(suite=self.NAME, problem=problem, place=str(place))
        for file in files:
            inside = file.relative_to(place).with_suffix("").as_posix()
            for record in read_records(file, self.NAME):
                yield inside, Record(self.NAME, f"{inside}.json", record.data)


def _order(file: Path) -> tuple[str, int, str]:
    return str(file.parent), int(file.stem) if file.stem.isdecimal() else 0, file.stem


def _plain(subject: str) -> str:
    return " ".join(subject.replace("_", " ").replace("&", "and").split()).lower()


def _level(record: Record) -> int:
    found = record.get("level")
    digits = str(found).removeprefix("Level").strip()
    if digits == "?":  # three problems were published so
        return 0
    if digits not in ("1", "2", "3", "4", "5"):
        raise record.wrong(f"the field 'level' is 'Level 1' to 'Level 5', not {found!r}")
    return int(digits)


def _answer(record: Record) -> str:
    if "answer" in record.data:
        return record.text("answer")
    found = last_boxed(record.text("solution"))
    if not found or not found.strip():
        raise record.wrong("the field 'solution' holds no \\boxed{} answer")
    return found.strip()
