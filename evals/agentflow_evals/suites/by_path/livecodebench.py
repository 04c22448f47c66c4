"""LiveCodeBench, code generation: contest problems with their dates (Jain et al., arXiv:2403.07974).

Owns the published format: JSON lines with public and private tests, programs (`stdin`) or functions
(`functional`). Private tests are JSON, or a compressed pickle of JSON, whose text is read without
unpickling. The planner sees the statement and the signature; public tests stand in the statement.
"""

import ast
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from agentflow.errors import ProgramError
from agentflow.sandbox.names import parse_program
from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample, sample_id
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.by_path.pickled_text import read_packed_text
from agentflow_evals.suites.by_path.stubs import FUNCTION_GOAL, PROGRAM_GOAL, signature_of, stub
from agentflow_evals.suites.files import Record, read_records

# What the benchmark's own runner imports before every answer, but for the star imports' other half.
_PRELUDE = """
import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *; from collections import *; from functools import *; from heapq import *
from itertools import *; from math import *; from typing import *
""".strip()
_TYPES = ("Dict", "List", "Optional", "Set", "Tuple")
_DIFFICULTIES = ("easy", "medium", "hard")


class LiveCodeBench(BroughtSuite):
    """LiveCodeBench, code generation; bring test.jsonl ... test6.jsonl of code_generation(_lite)."""

    NAME = "livecodebench"
    SOURCE = "livecodebench/code_generation_lite"

    def __init__(
        self,
        *,
        path: str,
        after: str | date = "",
        before: str | date = "",
        difficulty: str = "",
        most_cases: int = 0,
        seconds: float = 6.0,
        sha256: str = "",
    ) -> None:
        """Choose problems.

        Args:
            path: One file, or a folder: all of its .jsonl files, in order of their names.
            after: The first day of contests, as 2024-08-01; empty: no limit.
            before: The last one.
            difficulty: `easy`, `medium` or `hard`; empty: all.
            most_cases: How many tests of a problem are run, the public ones first; 0: all.
            seconds: The time for each test.
            sha256: The sum that the file or folder must have.
        """
        super().__init__(path, sha256)
        if difficulty:
            self.check_choice("difficulty", difficulty, _DIFFICULTIES)
        self._after, self._before = self._day("after", after), self._day("before", before)
        self._difficulty, self._most, self._seconds = difficulty, most_cases, seconds

    def samples(self) -> Iterator[Sample]:
        """Yield the problems of those days in the order of the files."""
        self.check_sum()
        for file in self._files():
            for record in read_records(file, self.NAME):
                if self._is_wanted(record):
                    yield self._sample(record)

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        found = sorted(self.path.glob("*.jsonl")) + sorted(self.path.glob("*.jsonl.gz"))
        if not found:
            raise self.wrong(f"the folder {self.path} holds no .jsonl files")
        return sorted(found, key=lambda file: (len(file.name), file.name))

    def _is_wanted(self, record: Record) -> bool:
        day = _day(record)
        return (
            (not self._after or day >= self._after)
            and (not self._before or day <= self._before)
            and self._difficulty in ("", record.text("difficulty"))
        )

    def _sample(self, record: Record) -> Sample:
        tests = [*_tests(record, "public_test_cases"), *_tests(record, "private_test_cases")]
        if not tests:
            raise record.wrong("it has no tests")
        tests = tests[: self._most or None]
        if tests[0].text("testtype") == "functional":
            name = _function_name(record)
            goal, code, check = FUNCTION_GOAL, _stub(record, name), self._function(name, tests)
        else:
            goal, check = PROGRAM_GOAL, self._program(tests)
            code = stub("def main() -> None", record.text("question_content"))
        return Sample(
            id=sample_id(record.text("question_id")),
            task=Task(goal=goal, inputs={"code": code}),
            checks=(check,),
            group=record.text("difficulty"),
            metadata={"day": _day(record), "platform": record.data.get("platform")},
        )

    def _program(self, tests: list[Record]) -> Named:
        cases = [
            {"stdin": test.text("input", empty=True), "outputs": [test.text("output", empty=True)]}
            for test in tests
        ]
        options = {"cases": cases, "prelude": _PRELUDE, "seconds": self._seconds}
        return Named(name="program_io", options=options)

    def _function(self, name: str, tests: list[Record]) -> Named:
        # The published answers are methods of a class Solution; a plain function is as good.
        callee = f"(Solution().{name} if 'Solution' in globals() else {name})"
        options = {
            "calls": [_call(test, callee) for test in tests],
            "prelude": _PRELUDE,
            "seconds": self._seconds,
        }
        return Named(name="function_io", options=options)

    def _day(self, option: str, given: str | date) -> str:
        given = str(given)  # YAML makes a date of what looks like one
        if given and not re.fullmatch(r"\d{4}-\d\d-\d\d", given):
            raise self.wrong(f"{option} is a day like 2024-08-01, not {given!r}")
        return given


def _function_name(record: Record) -> str:
    name = _json(record, "metadata", dict).get("func_name")
    if not isinstance(name, str) or not name.isidentifier():
        raise record.wrong("its 'metadata' names no function (func_name)")
    return name


def _stub(record: Record, name: str) -> str:
    """Return the starter code's function, or method as a function, with the statement as its docstring."""
    starter = str(record.data.get("starter_code") or "").rstrip()
    indent = " " * (8 if "class Solution" in starter else 4)
    try:
        nodes = list(ast.walk(parse_program(f"{starter}\n{indent}pass")))
    except ProgramError as error:
        raise record.wrong(f"the field 'starter_code': {error.report}") from error
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    if not found:
        raise record.wrong(f"the field 'starter_code' does not begin {name!r}")
    arguments = found[-1].args
    if arguments.args and arguments.args[0].arg == "self":
        del arguments.args[0]
    code = stub(signature_of(found[-1]), record.text("question_content"))
    used = [word for word in _TYPES if re.search(rf"\b{word}\[", code.partition("\n")[0])]
    return f"from typing import {', '.join(used)}\n\n{code}" if used else code


def _day(record: Record) -> str:
    try:
        return datetime.fromisoformat(record.text("contest_date")).date().isoformat()
    except ValueError as error:
        raise record.wrong(f"the field 'contest_date' is no date: {error}") from error


def _tests(record: Record, name: str) -> list[Record]:
    found = record.get(name)
    if (
        isinstance(found, str)
        and name == "private_test_cases"
        and not found.lstrip().startswith("[")
    ):
        try:
            found = read_packed_text(found) if found.strip() else "[]"
        except ValueError as error:
            raise record.wrong(f"the field {name!r}: {error}") from error
    tests = _json(Record(record.suite, record.place, {name: found}), name, list)
    place = f"{record.place}: {name}"
    return [
        Record(record.suite, f"{place} {number}", test if isinstance(test, dict) else {})
        for number, test in enumerate(tests)
    ]


def _json(record: Record, name: str, kind: type) -> Any:
    found = record.get(name)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError) as error:
            raise record.wrong(f"the field {name!r} is no JSON: {error}") from error
    if not isinstance(found, kind):
        raise record.wrong(f"the field {name!r} is no {kind.__name__}")
    return found


def _call(test: Record, callee: str) -> dict[str, Any]:
    """Return a call: each line of the input is an argument in JSON."""
    try:
        lines = test.text("input", empty=True).split("\n")
        arguments = [json.loads(line) for line in lines if line.strip()]
        returns = json.loads(test.text("output"))
    except (ValueError, RecursionError) as error:
        raise test.wrong(f"its input or output is no JSON: {error}") from error
    return {"call": f"{callee}({', '.join(map(repr, arguments))})", "returns": returns}
