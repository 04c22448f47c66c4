"""Suites of code that a user brings: every published format, hand-made, scored in the real sandbox."""

import base64
import gzip
import json
import pickle
import zlib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.suite import Sample
from agentflow_evals.suites.by_path.humaneval_plus import HumanEvalPlus
from agentflow_evals.suites.by_path.livecodebench import LiveCodeBench
from agentflow_evals.suites.by_path.mbpp import Mbpp
from agentflow_evals.suites.by_path.pickled_text import read_packed_text
from agentflow_evals.suites.by_path.stubs import docstring, stub
from agentflow_evals.suites.by_path.xcodeeval import XCodeEval
from agentflow_planners.functions.assignment import Assignment
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Runner, flow
from agentflow.errors import SuiteError
from agentflow.solving import Named

pytestmark = pytest.mark.anyio

SECRET = "solution_text_of_the_reference"


@flow
async def scored(output: Any, check: Named) -> bool:
    from agentflow_evals.scorers.code_tests import code_tests
    from agentflow_evals.scorers.function_io import function_io
    from agentflow_evals.scorers.program_io import program_io

    known = {"code_tests": code_tests, "function_io": function_io, "program_io": program_io}
    score = await known[check.name](output, check.options)
    print(score.explanation)
    return bool(score.passed)


async def passes(sample: Sample, answer: str) -> bool:
    run = await Runner(journal=":memory:").run_async(scored, answer, sample.checks[0])
    return bool(run.output)


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def task_text(sample: Sample) -> str:
    return sample.task.model_dump_json()


def has_function_to_write(sample: Sample) -> str:
    """Return the name of the function that planners which write functions are asked for."""
    return Assignment(sample.task).unfinished.node.name


MBPP = {
    "task_id": 12,
    "text": "Write a function to add one.",
    "code": f"def helper(a):\n    return a\ndef add_one(n, by=1):\n    # {SECRET}\n    return n + by",
    "test_list": [
        "assert add_one(1) == 2",
        "assert add_one(5) == 6",
        "assert set([add_one(0)]) == {1}",
    ],
    "test_setup_code": "",
    "challenge_test_list": [],
}
SANITIZED = {
    "source_file": "a",
    "task_id": 14,
    "prompt": MBPP["text"],
    "code": MBPP["code"],
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(add_one(1), 2)", "assert add_one(7) == 8"],
}
PLUS = {
    "task_id": "Mbpp/2",
    "prompt": '"""\nWrite a function to find the shared elements.\nassert similar_elements((1, 2),(2, 3)) == (2,)\n"""\n',
    "entry_point": "similar_elements",
    "canonical_solution": f"\ndef similar_elements(a, b):\n    # {SECRET}\n    return tuple(set(a) & set(b))\n",
    "base_input": [[[1, 2], [2, 3]]],
    "plus_input": [[[5, 4, 3], [4, 3, 9]]],
    "atol": 0,
    "contract": "",
    "assertion": "",
}
HUMANEVAL = {
    "task_id": "HumanEval/500",
    "prompt": 'def half(x: float) -> float:\n    """Halve a number."""\n',
    "entry_point": "half",
    "canonical_solution": f"    # {SECRET}\n    return x / 2\n",
    "base_input": [[1.0]],
    "plus_input": [[3.0], [1e300], [float("inf")]],
    "atol": 0,
    "contract": "",
}


async def test_mbpp_asks_for_the_function_and_hides_the_other_tests(tmp_path: Path) -> None:
    path = lines(tmp_path / "mbpp.jsonl", {**MBPP, "task_id": 3}, MBPP)
    (sample,) = Mbpp(path=str(path)).samples()
    assert (sample.id, has_function_to_write(sample)) == ("12", "add_one")
    assert "def add_one(n, by=1):" in sample.task.inputs["code"]
    assert "add_one(1) == 2" in task_text(sample)
    assert "add_one(5)" not in task_text(sample)
    assert SECRET not in task_text(sample)
    assert await passes(sample, "def add_one(n, by=1): return n + by")
    assert not await passes(sample, "def add_one(n, by=1): return 2")
    assert list(Mbpp(path=str(tmp_path)).training_texts()) == [MBPP["text"]]


async def test_an_answer_cannot_pass_by_redefining_what_the_tests_use(tmp_path: Path) -> None:
    tests = ["assert set([add_one(0)]) == set([1])"]
    path = lines(tmp_path / "mbpp.jsonl", {**MBPP, "test_list": tests})
    (sample,) = Mbpp(path=str(path), show_tests=0).samples()
    assert not await passes(sample, "def set(x): return 0\ndef add_one(n, by=1): return 7")
    assert await passes(sample, "def add_one(n, by=1): return 1")


async def test_sanitized_mbpp_is_a_list_whose_imports_are_used(tmp_path: Path) -> None:
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps([SANITIZED]))
    (sample,) = Mbpp(path=str(tmp_path), show_tests=3).samples()
    assert "add_one(7) == 8" in task_text(sample)
    assert await passes(sample, "def add_one(n, by=1): return n + by")


async def test_mbpp_plus_compares_with_the_reference_on_all_inputs(tmp_path: Path) -> None:
    path = lines(tmp_path / "MbppPlus.jsonl", PLUS)
    (sample,) = Mbpp(path=str(path)).samples()
    assert has_function_to_write(sample) == "similar_elements"
    assert SECRET not in task_text(sample)
    # The order of the output does not matter for this problem; its inputs are tuples.
    right = "def similar_elements(a, b):\n    assert isinstance(a, tuple)\n    return sorted(set(a) & set(b))"
    assert await passes(sample, right)
    base_only = "def similar_elements(a, b): return (2,)"
    assert not await passes(sample, base_only)
    (sample,) = Mbpp(path=str(path), plus=False, show_tests=0).samples()
    assert "assert" not in task_text(sample)
    assert await passes(sample, base_only)


async def test_humaneval_plus_is_close_where_floats_are_expected(tmp_path: Path) -> None:
    data = gzip.compress(json.dumps(HUMANEVAL).encode())
    (tmp_path / "HumanEvalPlus.jsonl.gz").write_bytes(data)
    (sample,) = HumanEvalPlus(path=str(tmp_path)).samples()
    assert has_function_to_write(sample) == "half"
    assert SECRET not in task_text(sample)
    assert await passes(sample, "def half(x): return x * 0.5 + 1e-9")
    assert not await passes(sample, "def half(x): return x * 0.5 + 1e-3")
    assert not await passes(sample, "def half(x): return 0.5")
    assert not await passes(
        sample, "def isinstance(*_): return True\ndef all(_): return True\ndef half(x): return 'x'"
    )


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        (Mbpp, {**MBPP, "task_id": "x"}, "a.jsonl:1: the field 'task_id' is no number"),
        (Mbpp, {**MBPP, "code": "x = 1"}, "a.jsonl:1: the field 'code' defines no function"),
        (Mbpp, {**MBPP, "test_list": ["assert g()"]}, "no test in 'test_list' calls a function"),
        (Mbpp, {**MBPP, "test_list": [1]}, "item 0 of 'test_list' is no text"),
        (Mbpp, {**MBPP, "test_list": ["assert x ="]}, "its tests are not Python"),
        (Mbpp, {**PLUS, "entry_point": "g"}, "do not define 'g'"),
        (Mbpp, {**PLUS, "base_input": [1]}, "item 0 of 'base_input' is no list of arguments"),
        (HumanEvalPlus, {**HUMANEVAL, "atol": "no"}, "the field 'atol' is no number"),
        (HumanEvalPlus, {"task_id": "a"}, "a.jsonl:1: the field 'prompt' is missing"),
    ],
)
async def test_a_wrong_record_is_named_by_line_and_field(
    tmp_path: Path, kind: Any, row: dict[str, Any], said: str
) -> None:
    with pytest.raises(SuiteError) as raised:
        list(kind(path=str(lines(tmp_path / "a.jsonl", row))).samples())
    assert said in str(raised.value)


XCODE = {
    "src_uid": "u1",
    "description": "Read $$$n$$$ and print $$$2n$$$.",
    "input_spec": "One \\le number",
    "output_spec": "One number",
    "sample_inputs": ["2"],
    "sample_outputs": ["4"],
    "notes": None,
    "difficulty": 800,
    "time_limit": "2 seconds",
    "tags": ["math"],
}
UNITS = {"u1": [{"input": "2\r\n", "output": ["4"]}, {"input": "9", "output": ["18", "18.0"]}]}


async def test_xcodeeval_joins_problems_with_their_tests(tmp_path: Path) -> None:
    lines(tmp_path / "problem_descriptions.jsonl", XCODE, {**XCODE, "src_uid": "untested"})
    (tmp_path / "unittest_db.json").write_text(json.dumps(UNITS))
    (sample,) = XCodeEval(path=str(tmp_path), level="easy", seconds=0).samples()
    assert (sample.id, sample.group, sample.checks[0].options["seconds"]) == ("u1", "easy", 2.0)
    assert has_function_to_write(sample) == "main"
    assert "Sample output:" in task_text(sample)
    assert "18" not in task_text(sample)
    assert await passes(sample, "def main() -> None:\n    print(2 * int(input()))")
    assert not await passes(sample, "def main() -> None:\n    print(4)")
    assert not list(XCodeEval(path=str(tmp_path), level="expert").samples())


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ([], "an object is expected: lists of tests by src_uid"),
        ({"u1": []}, "unittest_db.json: u1: a list of tests is expected"),
        ({"u1": [{"input": "1"}]}, "u1: test 0: the field 'output' is missing"),
        ({"u1": [{"input": 1, "output": ["1"]}]}, "u1: test 0: the field 'input' is not text"),
    ],
)
async def test_wrong_unit_tests_are_named(tmp_path: Path, units: Any, said: str) -> None:
    path = lines(tmp_path / "problem_descriptions.jsonl", XCODE)
    with pytest.raises(SuiteError, match=r"there is no unittest_db.json beside"):
        list(XCodeEval(path=str(path)).samples())
    (tmp_path / "unittest_db.json").write_text(json.dumps(units))
    with pytest.raises(SuiteError) as raised:
        list(XCodeEval(path=str(path)).samples())
    assert said in str(raised.value)


def packed(value: Any, protocol: int = 4) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def cases_of(*pairs: tuple[str, str], kind: str) -> str:
    return json.dumps([{"input": i, "output": o, "testtype": kind} for i, o in pairs])


LCB = {
    "question_title": "T",
    "question_content": "Print twice the number.",
    "platform": "atcoder",
    "question_id": "abc1_a",
    "contest_id": "abc1",
    "contest_date": "2024-08-03T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": cases_of(("2", "4"), kind="stdin"),
    "private_test_cases": packed(cases_of(("21", "42"), kind="stdin")),
    "metadata": "{}",
}
FUNCTIONAL = {
    **LCB,
    "question_id": "77",
    "platform": "leetcode",
    "starter_code": "class Solution:\n    def twice(self, nums: List[int]) -> List[int]:\n        ",
    "public_test_cases": cases_of(("[1, 2]", "[2, 4]"), kind="functional"),
    "private_test_cases": cases_of(("[]", "[]"), ("[true]", "[2]"), kind="functional"),
    "metadata": '{"func_name": "twice"}',
}


async def test_livecodebench_programs_are_run_on_public_and_private_tests(tmp_path: Path) -> None:
    lines(tmp_path / "test.jsonl", LCB)
    (sample,) = LiveCodeBench(path=str(tmp_path), after="2024-08-01").samples()
    assert has_function_to_write(sample) == "main"
    assert "42" not in task_text(sample)
    assert await passes(sample, "n = int(input())\nprint(n * gcd(2, 4))")
    assert not await passes(sample, "print(4)")
    assert not list(LiveCodeBench(path=str(tmp_path), before=date(2024, 8, 2)).samples())


@pytest.mark.parametrize(
    "answer",
    [
        "class Solution:\n    def twice(self, nums: List[int]):\n        return tuple(2 * n for n in nums)",
        "def twice(nums):\n    return [2 * n for n in nums]",
    ],
)
async def test_livecodebench_functions_may_be_methods_or_not(tmp_path: Path, answer: str) -> None:
    (sample,) = LiveCodeBench(path=str(lines(tmp_path / "a.jsonl", FUNCTIONAL))).samples()
    assert has_function_to_write(sample) == "twice"
    assert "self" not in sample.task.inputs["code"]
    assert await passes(sample, answer)
    assert not await passes(
        sample, answer.replace("2 * n", "n + n if n else 1").replace("nums)", "nums[:1])")
    )


class Planted:
    """What a hostile pickle would run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self._path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
async def test_a_pickled_text_is_read_whatever_the_protocol(protocol: int) -> None:
    for text in ("[]", "ü\n" * 300, "\U0001f600" * 70_000):
        assert read_packed_text(packed(text, protocol)) == text


async def test_a_pickle_that_would_do_something_is_refused_and_not_run(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    row = {**LCB, "private_test_cases": packed(Planted(planted))}
    with pytest.raises(SuiteError, match=r"a.jsonl:1: .*'private_test_cases': it is a pickle with"):
        list(LiveCodeBench(path=str(lines(tmp_path / "a.jsonl", row))).samples())
    assert not planted.exists()


@given(st.binary(max_size=80))
async def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    packed_text = base64.b64encode(zlib.compress(data)).decode()
    try:
        found = read_packed_text(packed_text)
    except ValueError:
        return
    assert isinstance(found, str)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"private_test_cases": "no base 64!"}, "it is not base 64 of compressed data"),
        ({"private_test_cases": packed(["a", "b"])}, "refused"),
        ({"private_test_cases": packed("{}")}, "the field 'private_test_cases' is no list"),
        ({"private_test_cases": packed("[")}, "the field 'private_test_cases' is no JSON"),
        ({"contest_date": "soon"}, "the field 'contest_date' is no date"),
        ({"public_test_cases": "[1]"}, "public_test_cases 0: the field 'testtype' is missing"),
        ({"public_test_cases": cases_of(("1", "x"), kind="functional")}, "names no function"),
    ],
)
async def test_a_wrong_problem_of_livecodebench_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = lines(tmp_path / "a.jsonl", {**LCB, **change})
    with pytest.raises(SuiteError) as raised:
        list(LiveCodeBench(path=str(path)).samples())
    assert said in str(raised.value)
    assert "a.jsonl:1" in str(raised.value)


@given(
    st.text(max_size=40).filter(lambda text: text.strip() and "\r" not in text and "\f" not in text)
)
async def test_any_statement_becomes_a_docstring(words: str) -> None:
    if not words.encode("utf-8", "ignore").decode():
        return
    space: dict[str, Any] = {}
    exec(stub("def f()", words), space)
    kept: Iterable[str] = (space["f"].__doc__ or "").split()
    assert list(kept) == words.split() or "\0" in words
    assert docstring(words)
