"""MBPP: short Python functions with three tests each (Austin et al., arXiv:2108.07732); and MBPP+.

Owns the three published formats: `sanitized-mbpp.json`, `mbpp.jsonl`, and `MbppPlus.jsonl` of EvalPlus; and
the splits, which are ranges of task ids. The planner sees the words of the problem, the signature
of the function, and `show_tests` of its tests; never the solution, nor another test.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentflow.errors import ProgramError
from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.by_path.humaneval_plus import evalplus_tests, inputs_of
from agentflow_evals.suites.by_path.mbpp_inputs import as_published
from agentflow_evals.suites.by_path.stubs import (
    FUNCTION_GOAL,
    called_functions,
    functions_of,
    signature_of,
    stub,
)
from agentflow_evals.suites.files import Record

_SPLITS = {
    "all": range(10_000),
    "prompt": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
}


class Mbpp(BroughtSuite):
    """MBPP and MBPP+; bring sanitized-mbpp.json, mbpp.jsonl, or MbppPlus.jsonl of EvalPlus."""

    NAME = "mbpp"
    SOURCE = "google-research/google-research, mbpp"
    LICENCE = "CC-BY-4.0"

    def __init__(
        self,
        *,
        path: str,
        split: str = "",
        show_tests: int = 1,
        plus: bool = True,
        sha256: str = "",
    ) -> None:
        """Choose problems.

        Args:
            path: The file, or the folder that holds it.
            split: `test`, `train`, `validation`, `prompt` or `all`. Otherwise `test`; of MBPP+ `all`.
            show_tests: How many of the tests the planner sees. MBPP+ has one to show, or none.
            plus: Of MBPP+, whether the inputs that EvalPlus added are tested too.
            sha256: The sum that the file must have.
        """
        super().__init__(path, sha256)
        if split:
            self.check_choice("split", split, tuple(_SPLITS))
        if show_tests < 0:
            raise self.wrong(f"show_tests is 0 or more, not {show_tests}")
        self._split, self._show, self._plus = split, show_tests, plus

    @property
    def data(self) -> Path:
        """The file."""
        return self.file_in(
            "sanitized-mbpp.json", "mbpp.jsonl", "MbppPlus.jsonl.gz", "MbppPlus.jsonl"
        )

    def samples(self) -> Iterator[Sample]:
        """Yield the problems of the split in the order of the file."""
        for record in self.records():
            if _number(record) in _SPLITS[self._split or ("all" if _is_plus(record) else "test")]:
                yield self._of_plus(record) if _is_plus(record) else self._of_mbpp(record)

    def training_texts(self) -> Iterator[str]:
        """Yield the words of the problems that are for training and prompts, if those are not chosen."""
        if self._split not in ("", "test"):
            return
        for record in self.records():
            number = _number(record)
            if not _is_plus(record) and (number in _SPLITS["train"] or number in _SPLITS["prompt"]):
                yield record.text("prompt", "text")

    def _of_mbpp(self, record: Record) -> Sample:
        tests = record.texts("test_list")
        called = _called(record, "\n".join(tests))
        words = record.text("prompt", "text").strip()
        if shown := tests[: self._show]:
            words += "\n\nIt passes:\n" + "\n".join(shown)
        setup = record.data.get("test_setup_code") or ""
        imports = record.texts("test_imports", empty=True) if "test_imports" in record.data else []
        lines = "\n".join(line for line in [*imports, setup, *tests] if line)
        # The tests see only what they call: an answer may define a function `set`, and they use Python's.
        options = {"tests": lines, "names": {name: name for name in called}}
        return _sample(record, stub(signature_of(next(iter(called.values()))), words), options)

    def _of_plus(self, record: Record) -> Sample:
        words = record.text("prompt").strip().strip('"').strip()
        if self._show == 0:
            lines = words.splitlines()
            words = "\n".join(line for line in lines if not line.lstrip().startswith("assert"))
        entry = record.text("entry_point")
        inputs = as_published(_number(record), inputs_of(record, plus=self._plus))
        options = evalplus_tests(record, inputs, "mbpp")
        node = functions_of(record.text("canonical_solution"))[entry]
        return _sample(record, stub(signature_of(node), words), options)


def _is_plus(record: Record) -> bool:
    return "plus_input" in record.data or "base_input" in record.data


def _number(record: Record) -> int:
    found = record.get("task_id")
    if isinstance(found, str):
        found = found.rpartition("/")[2]
        found = int(found) if found.isdecimal() and len(found) < 10 else None
    if isinstance(found, bool) or not isinstance(found, int):
        raise record.wrong("the field 'task_id' is no number")
    return found


def _called(record: Record, tests: str) -> dict[str, ast.FunctionDef]:
    """Return the functions of the reference that the tests call; the first is the one to write."""
    defined = functions_of(record.text("code"))
    if not defined:
        raise record.wrong("the field 'code' defines no function")
    try:
        called = called_functions(tests, defined)
    except ProgramError as error:
        raise record.wrong(f"its tests are not Python: {error.report}") from error
    if not called:
        raise record.wrong("no test in 'test_list' calls a function that 'code' defines")
    return {name: defined[name] for name in called}


def _sample(record: Record, code: str, options: dict[str, Any]) -> Sample:
    return Sample(
        id=str(_number(record)),
        task=Task(goal=FUNCTION_GOAL, inputs={"code": code}),
        checks=(Named(name="code_tests", options=options),),
    )
