"""Scorers: what passes, what does not, and what they say."""

from typing import Any

import pytest

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
