"""Scorers: what passes, what does not, and what they say."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.scorer import Options

from agentflow import Runner, flow, plugins
from agentflow.errors import InputError
from agentflow.solving import Named, Verdict, check

pytestmark = pytest.mark.anyio


@flow
async def scored(output: Any, scorer: str, options: dict[str, Any]) -> Verdict:
    return await check(output, Named(name=scorer, options=options))


async def score(scorer: str, output: Any, **options: Any) -> Verdict:
    return (await Runner(journal=":memory:").run_async(scored, output, scorer, options)).output


GOOD = {"a": [1, {"b": 2.0}], "c": None}


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"a": [1, {"b": 2}], "c": None}, ""),
        ({"a": [1, {"b": 3}], "c": None}, "the answer['a'][1]['b'] is 3, not 2.0"),
        ({"a": [1], "c": None}, "the answer['a'] has 1 items, not 2"),
        ({"a": GOOD["a"]}, "the answer has no 'c'"),
        ({**GOOD, "d": 1}, "the answer has 'd' too"),
        ({"a": [True, {"b": 2}], "c": None}, "the answer['a'][0] is True, not 1"),
    ],
)
async def test_exact_names_the_first_difference(output: Any, said: str) -> None:
    found = await score("exact", output, equals=GOOD)
    assert found.passed is not bool(said)
    assert found.explanation == (said or "the answer is the expected one")


async def test_contains_gives_the_share_that_is_there() -> None:
    found = await score("contains", "Tea and honey", all=["Tea", "milk"])
    assert (found.passed, found.value, found.explanation) == (False, 0.5, "missing: 'milk'")
    assert (await score("contains", "TEA", all=["tea"], ignore_case=True)).passed


@pytest.mark.parametrize(
    ("output", "passed"),
    [
        (3, True),
        (3.0000001, True),
        ("about 3 cups", True),
        ("1,003", False),
        ("3 or 4", False),
        ("3,4", False),
        (10**400, False),
        (True, False),
        ([3], False),
        ("", False),
    ],
)
async def test_numeric_takes_one_number(output: Any, passed: bool) -> None:
    assert (await score("numeric", output, value=3)).passed is passed


async def test_numeric_looks_into_a_field() -> None:
    assert (
        await score("numeric", {"n": 1003.2}, value=1003, absolute_tolerance=0.5, field="n")
    ).passed
    assert "no field 'm'" in (await score("numeric", {"n": 1}, value=1, field="m")).explanation


async def test_numeric_is_given_a_number_to_compare_with() -> None:
    with pytest.raises(InputError, match=r"check numeric: .*value: .*true and false"):
        await score("numeric", 1, value=True)


async def test_json_schema_names_a_reference_that_leads_nowhere() -> None:
    with pytest.raises(InputError, match=r"check json_schema: .*which it does not hold"):
        await score("json_schema", 1, schema={"$ref": "#/nope"})


async def test_json_schema_names_the_misfit() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert (await score("json_schema", {"n": 1}, schema=schema)).passed
    assert (
        "['n']: 'x' is not of type 'integer'"
        in (await score("json_schema", {"n": "x"}, schema=schema)).explanation
    )


async def test_assertions_run_in_the_sandbox_and_name_the_line_that_failed() -> None:
    code = "assert output['n'] > 1\nassert output['n'] < 3"
    assert (await score("program", {"n": 2}, assertions=code)).passed
    found = await score("program", {"n": 5}, assertions=code)
    assert not found.passed
    assert "AssertionError" in found.explanation
    assert "line 2: `assert output['n'] < 3`" in found.explanation
    assert not (await score("program", 1, assertions="assert open('/etc/passwd')")).passed


async def test_code_as_an_answer_is_called_by_the_assertions() -> None:
    source = "def double(x):\n    return 2 * x"
    assert (await score("program", source, assertions="assert double(4) == 8", source=True)).passed
    assert not (
        await score("program", source, assertions="assert double(4) == 9", source=True)
    ).passed
    assert (
        "`triple` is not defined"
        in (
            await score("program", source, assertions="assert triple(4) == 9", source=True)
        ).explanation
    )


CLASS = "class A:\n    pass\n"
EQUAL = "lambda self, other: True\ndef double(x):\n    return A()"


@pytest.mark.parametrize(
    "answer",
    [
        "abs = lambda x: 0\ndef double(x):\n    return 1",
        "def abs(x):\n    return 0\ndef double(x):\n    return 1",
        "def double(x):\n    global abs\n    abs = lambda x: 0\n    return 1\ndouble(1)",
        f"{CLASS}A.__eq__ = {EQUAL}",
        f"{CLASS}setattr(A, '__e' + 'q__', {EQUAL.replace('True', 'True)', 1)}",
        "class A:\n    def __sub__(self, other):\n        return 0\ndef double(x):\n    return A()",
    ],
)
@pytest.mark.parametrize("assertions", ["assert abs(double(4) - 8) < 1", "assert double(4) == 8"])
async def test_code_as_an_answer_cannot_decide_for_the_assertions(
    answer: str, assertions: str
) -> None:
    assert not (await score("program", answer, assertions=assertions, source=True)).passed


async def test_assertions_may_expect_an_error_of_the_answer() -> None:
    answer = (
        "def root(x):\n    if x < 0:\n        raise ValueError('negative')\n    return x ** 0.5"
    )
    expecting = (
        "try:\n    root(-1)\n    assert False\nexcept ValueError as e:\n    assert 'neg' in str(e)"
    )
    assert (await score("program", answer, assertions=expecting, source=True)).passed
    found = await score("program", answer, assertions="assert root(-4) == 2", source=True)
    assert (found.passed, found.explanation) == (False, "root: ValueError: negative")


async def test_assertions_may_call_the_answer_with_names_and_often() -> None:
    answer = "def power(base, exponent=2):\n    return base ** exponent"
    calls = "assert power(3) == 9\nassert power(exponent=3, base=2) == 8\n"
    loop = "for i in range(5):\n    assert power(i) == i * i"
    assert (await score("program", answer, assertions=calls + loop, source=True)).passed


@pytest.mark.parametrize(
    ("scorer", "options", "said"),
    [
        ("program", {"assertions": "assert output =="}, "assertions: SyntaxError"),
        ("program", {"assertions": " "}, "assertions: "),
        ("contains", {"all": []}, "all: "),
        ("contains", {"all": [""]}, "all.0: "),
        (
            "numeric",
            {"value": 1, "absolute_tolerance": True},
            "absolute_tolerance: .*true and false",
        ),
        ("numeric", {"value": 1, "relative_tolerance": "inf"}, "relative_tolerance: .*finite"),
        ("json_schema", {"schema": {"type": "strin"}}, "schema: 'strin'"),
        ("json_schema", {"schema": {"pattern": f"a{{{'9' * 20}}}"}}, "pattern that is too large"),
        ("json_schema", {"schema": {"$ref": "#"}}, "refers to itself without an end"),
    ],
)
async def test_options_that_cannot_mean_anything_are_the_users_mistake(
    scorer: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=f"check {scorer}: .*{said}"):
        await score(scorer, 1, **options)


@pytest.mark.parametrize(
    "output",
    [10**5000, {"a": 10**5000}, "x" * 100_000, ["y" * 100_000]],
    ids=["number", "number inside", "text", "text inside"],
)
async def test_a_huge_answer_has_a_short_explanation(output: Any) -> None:
    for scorer, options in (
        ("exact", {"equals": 3}),
        ("contains", {"all": ["3"]}),
        ("numeric", {"value": 3}),
    ):
        found = await score(scorer, output, **options)
        assert not found.passed
        assert len(found.explanation) < 300


def test_the_reference_names_every_scorer_and_its_options() -> None:
    text = (Path(__file__).parents[2] / "docs/task-file.md").read_text().partition("### check")[2]
    rows = dict(re.findall(r"^\| `(\w+)` (\|.*)$", text, re.MULTILINE))
    assert sorted(rows) == plugins.installed("scorer")
    for kind in _below(Options):
        scorer = kind.__module__.rpartition(".")[2]
        names = [field.alias or name for name, field in kind.model_fields.items()]
        assert [name for name in names if f"`{name}`" not in rows[scorer]] == []


def _below(kind: type[Options]) -> Iterator[type[Options]]:
    """Yield the options of which no others are made."""
    for below in kind.__subclasses__():
        yield from _below(below) if below.__subclasses__() else [below]


@pytest.mark.slow
async def test_code_that_never_ends_fails_the_assertions() -> None:
    endless = "def double(x):\n    while True: pass"
    assert not (
        await score("program", endless, assertions="assert double(4) == 8", source=True)
    ).passed


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("return 1", "line 1: `return` outside a function"),
        ("def double(x):\n    return 0\nif True:\n    return 5", "line 4: `return` outside"),
        ("def double(x):\n    return 0\n'" + "''", "unterminated triple-quoted string"),
        ({"n": 1}, "not Python source text"),
    ],
)
async def test_code_as_an_answer_cannot_skip_the_assertions(answer: Any, said: str) -> None:
    found = await score("program", answer, assertions="assert 1 == 2", source=True)
    assert not found.passed
    assert said in found.explanation


@pytest.mark.parametrize("scorer", plugins.installed("scorer"))
async def test_a_wrong_option_is_named(scorer: str) -> None:
    with pytest.raises(InputError, match=rf"check {scorer}: .*"):
        await score(scorer, 1, colour="red")


MODULE = "def half(x: float) -> float:\n    return x / 2\n"


async def test_code_tests_pass_when_every_assertion_holds() -> None:
    found = await score("code_tests", MODULE, tests="assert half(3) == 1.5\nassert half(0) == 0")
    assert found.passed, found.explanation


async def test_code_tests_say_which_assertion_fails() -> None:
    found = await score("code_tests", MODULE, tests="assert half(3) == 1")
    assert not found.passed
    assert "assert half(3) == 1" in found.explanation


@pytest.mark.parametrize(
    "hostile",
    [
        "import builtins\nbuiltins.__dict__['AssertionError'] = None\n",
        "import os\nos._exit(0)\n",
        "class Same(float):\n    def __eq__(self, other): return True\n",
    ],
)
async def test_code_tests_cannot_be_faked(hostile: str) -> None:
    module = hostile + "def half(x):\n    return Same(9) if 'Same' in globals() else 9\n"
    assert not (await score("code_tests", module, tests="assert half(3) == 1.5")).passed


@pytest.mark.parametrize("output", ["def half(:", 5, None])
async def test_code_tests_fail_what_is_no_module(output: Any) -> None:
    assert not (await score("code_tests", output, tests="assert half(3) == 1.5")).passed


async def test_code_tests_that_are_no_python_are_a_mistake_in_the_file() -> None:
    with pytest.raises(InputError, match="tests: SyntaxError"):
        await score("code_tests", MODULE, tests="assert half(")
