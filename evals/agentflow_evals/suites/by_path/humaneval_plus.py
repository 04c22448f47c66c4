"""HumanEval+: the problems of HumanEval with some eighty times the tests (EvalPlus, arXiv:2305.01210).

Owns the published format: JSON lines, maybe gzipped, with `prompt`, `canonical_solution`, `entry_point`,
`base_input`, `plus_input` and `atol`. The planner sees the prompt.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample, sample_id
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.by_path.differential import CANDIDATE, differential_tests
from agentflow_evals.suites.by_path.stubs import FUNCTION_GOAL, functions_of
from agentflow_evals.suites.files import Record


class HumanEvalPlus(BroughtSuite):
    """HumanEval+ of EvalPlus; bring HumanEvalPlus.jsonl or HumanEvalPlus.jsonl.gz of its releases."""

    NAME = "humaneval_plus"
    SOURCE = "evalplus/humanevalplus_release"
    LICENCE = "Apache-2.0"

    def __init__(self, *, path: str, plus: bool = True, sha256: str = "") -> None:
        """Choose the tests.

        Args:
            path: The file, or the folder that holds it.
            plus: Whether the inputs that EvalPlus added are tested too, and not only the original ones.
            sha256: The sum that the file must have.
        """
        super().__init__(path, sha256)
        self._plus = plus

    @property
    def data(self) -> Path:
        """The file."""
        return self.file_in("HumanEvalPlus.jsonl.gz", "HumanEvalPlus.jsonl")

    def samples(self) -> Iterator[Sample]:
        """Yield the problems in the order of the file."""
        for record in self.records():
            prompt, entry = record.text("prompt"), record.text("entry_point")
            options = evalplus_tests(record, inputs_of(record, plus=self._plus), "humaneval")
            yield Sample(
                id=sample_id(record.text("task_id")),
                task=Task(goal=FUNCTION_GOAL, inputs={"code": prompt}),
                checks=(Named(name="code_tests", options=options),),
                metadata={"entry_point": entry},
            )


def inputs_of(record: Record, *, plus: bool) -> list[list[object]]:
    """Return the arguments of every call that is tested.

    Raises:
        SuiteError: They are not lists of arguments.
    """
    names = ("base_input", "plus_input") if plus else ("base_input",)
    found: list[list[object]] = []
    for name in names:
        calls = record.items(name, empty=name == "plus_input")
        wrong = next(
            (number for number, call in enumerate(calls) if not isinstance(call, list)), None
        )
        if wrong is not None:
            raise record.wrong(f"item {wrong} of {name!r} is no list of arguments")
        found += calls
    return found


def evalplus_tests(
    record: Record, inputs: list[object] | list[list[object]], dataset: str
) -> dict[str, Any]:
    """Return the options of `code_tests` for a record of EvalPlus.

    Raises:
        SuiteError: It has no reference that defines the function, or no tolerance.
    """
    entry = record.text("entry_point")
    reference = record.text("prompt") + record.text("canonical_solution")
    if not entry.isidentifier() or entry not in functions_of(reference):
        raise record.wrong(f"'prompt' and 'canonical_solution' do not define {entry!r}")
    atol = record.data.get("atol", 0)
    if isinstance(atol, bool) or not isinstance(atol, int | float):
        raise record.wrong("the field 'atol' is no number")
    tests = differential_tests(
        entry=entry, reference=reference, inputs=list(inputs), atol=float(atol), dataset=dataset
    )
    return {"tests": tests, "names": {CANDIDATE: entry}}
