"""xCodeEval, program synthesis: contest problems solved by programs (Khan et al., arXiv:2303.03004).

Owns the published format: `problem_descriptions.jsonl` (or the JSON lines of a split of `program_synthesis`)
and `unittest_db.json`, tests by `src_uid`. The planner sees the statement with its sample inputs and
outputs; the tests of `unittest_db.json` are not in the task.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentflow.errors import SuiteError
from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample, sample_id
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.by_path.stubs import PROGRAM_GOAL, stub
from agentflow_evals.suites.files import Record, read_json

_LEVELS = {"easy": (0, 1200), "mid": (1201, 1599), "hard": (1600, 1999), "expert": (2000, 9999)}
_FILES = (
    "program_synthesis/test/prog_syn_test.jsonl",
    "prog_syn_test.jsonl",
    "problem_descriptions.jsonl",
)


class XCodeEval(BroughtSuite):
    """xCodeEval, program synthesis; bring problem_descriptions.jsonl and unittest_db.json."""

    NAME = "xcodeeval"
    SOURCE = "NTU-NLP-sg/xCodeEval"
    LICENCE = "CC-BY-NC-4.0"

    def __init__(
        self,
        *,
        path: str,
        tests: str = "",
        level: str = "",
        most_cases: int = 0,
        seconds: float = 10.0,
        sha256: str = "",
    ) -> None:
        """Choose problems.

        Args:
            path: The folder of both files, or the file of problems.
            tests: The file of tests; otherwise `unittest_db.json` beside the problems or above them.
            level: `easy` (difficulty to 1200), `mid`, `hard` or `expert` (from 2000); empty: all.
            most_cases: How many tests of a problem are run; 0: all.
            seconds: The time for each test; 0: what the problem allows, as published.
            sha256: The sum that the file of problems must have.
        """
        super().__init__(path, sha256)
        if level:
            self.check_choice("level", level, tuple(_LEVELS))
        self._tests, self._level = tests, level
        self._most, self._seconds = most_cases, seconds

    @property
    def data(self) -> Path:
        """The file of problems."""
        return self.file_in(*_FILES)

    def samples(self) -> Iterator[Sample]:
        """Yield the problems that have tests, in the order of the file."""
        tests = self._all_tests()
        for record in self.records():
            uid, difficulty = record.text("src_uid"), record.data.get("difficulty")
            if uid not in tests or not self._is_wanted(difficulty):
                continue
            cases = _cases(record, tests[uid])[: self._most or None]
            options = {"cases": cases, "seconds": self._seconds or _seconds(record)}
            yield Sample(
                id=sample_id(uid),
                task=Task(
                    goal=PROGRAM_GOAL, inputs={"code": stub("def main() -> None", _words(record))}
                ),
                checks=(Named(name="program_io", options=options),),
                group=_level(difficulty),
                metadata={"difficulty": difficulty, "tags": record.data.get("tags")},
            )

    def _is_wanted(self, difficulty: Any) -> bool:
        return self._level in ("", _level(difficulty))

    def _all_tests(self) -> Mapping[str, Any]:
        file = Path(self._tests).expanduser() if self._tests else self._beside()
        found = read_json(file, self.NAME)
        if not isinstance(found, dict):
            problem = "an object is expected: lists of tests by src_uid"
            raise SuiteError(suite=self.NAME, problem=problem, place=str(file))
        return found

    def _beside(self) -> Path:
        name = "unittest_db.json"
        places = [*self.data.parents][:3]
        file = next((place / name for place in places if (place / name).is_file()), None)
        if file is None:
            raise self.wrong(f"there is no {name} beside {self.data}; give its place as `tests`")
        return file


def _cases(record: Record, found: Any) -> list[dict[str, Any]]:
    place = f"unittest_db.json: {record.text('src_uid')}"
    if not isinstance(found, list) or not found:
        raise SuiteError(suite=record.suite, problem="a list of tests is expected", place=place)
    cases = []
    for number, test in enumerate(found):
        one = Record(
            record.suite, f"{place}: test {number}", test if isinstance(test, dict) else {}
        )
        output = one.get("output")
        outputs = [output] if isinstance(output, str) else one.texts("output")
        cases.append({"stdin": one.text("input", empty=True), "outputs": outputs})
    return cases


def _words(record: Record) -> str:
    parts = [
        record.text("description"),
        f"Input: {record.data['input_spec']}" if record.data.get("input_spec") else "",
        f"Output: {record.data['output_spec']}" if record.data.get("output_spec") else "",
    ]
    inputs = record.texts("sample_inputs", empty=True) if record.data.get("sample_inputs") else []
    outputs = record.texts("sample_outputs", empty=True) if inputs else []
    for given, printed in zip(inputs, outputs, strict=False):
        parts.append(f"Sample input:\n{given.strip()}\nSample output:\n{printed.strip()}")
    parts.append(str(record.data.get("notes") or ""))
    return "\n\n".join(part for part in parts if part)


def _level(difficulty: Any) -> str:
    if isinstance(difficulty, bool) or not isinstance(difficulty, int):
        return "unrated"
    return next(
        (name for name, (low, high) in _LEVELS.items() if low <= difficulty <= high), "unrated"
    )


def _seconds(record: Record) -> float:
    """Return the time limit as published: `2 seconds`."""
    word = str(record.data.get("time_limit") or "").partition(" ")[0]
    try:
        found = float(word)
    except ValueError:
        raise record.wrong(
            "the field 'time_limit' is not like '2 seconds'; set `seconds`"
        ) from None
    return min(max(found, 0.1), 600.0)
