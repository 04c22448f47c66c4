"""What documentation says a function does, in the forms people write it."""

from typing import Any

import pytest
from agentflow_planners.functions.calls.examples import Example, examples_of, passes
from agentflow_planners.functions.node import FunctionNode
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.sandbox.workers.protocol import Failure, Observation

Told = dict[str, str | None]


def told(doc: str, signature: str = "def f(x):", *, setup: str = "") -> Told:
    """Return what each call is said to come to; a type raised is written `raises T`."""
    name = signature.split("(")[0].split()[-1]
    node = FunctionNode(name=name, signature=signature, doc=doc, setup=setup)
    return {
        example.call: f"raises {example.raises}" if example.raises else example.expected
        for example in examples_of(node)
    }


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        (">>> f([1, 2])\n[2, 1]\n", {"f([1, 2])": "[2, 1]"}),
        (">>> f(1) == 2\nTrue", {"f(1)": "2"}),
        (">>> f(1) == 2", {"f(1)": "2"}),
        (">>> f(1) -> 2", {"f(1)": "2"}),
        (">>> round(f(1), 2)  # near\n0.33", {"round(f(1), 2)": "0.33"}),
        (">>> x = [1, 2]\n>>> f(x)\n3", {"f([1, 2])": "3"}),
        (">>> y = f(4)\n>>> y\n5", {"f(4)": "5"}),
        (">>> print(f(7))\nhello you", {"str(f(7))": "'hello you'"}),
        (">>> await f(1)\n2", {"f(1)": "2"}),
        (">>> asyncio.run(f(1))\n2", {"f(1)": "2"}),
        (">>> f(1)\n[1,\n 2]", {"f(1)": "[1, 2]"}),
        (">>> f(1)\nnan", {"f(1)": "float('nan')"}),
        (">>> f(6)\n7\nbecause it is so", {"f(6)": "7"}),
        (
            ">>> f(1)\nTraceback (most recent call last):\n  ...\nValueError: no",
            {"f(1)": "raises ValueError"},
        ),
    ],
)
def test_a_doctest_is_an_example(doc: str, expected: Told) -> None:
    assert told(doc) == expected


@pytest.mark.parametrize(
    "doc",
    [
        ">>> f(1)\nSome words here",
        ">>> f(1)\n[1, ..., 2]",
        ">>> f(1)\n<generator object>",
        ">>> f(1)\n2\n3",
        ">>> f(1) == 2\nFalse",
        ">>> f(1)[0]\n2",
        ">>> f(1)  # doctest: +SKIP\n2",
        ">>> f(unknown)\n2",
        ">>> f(1)\nUnknown(2)",
        ">>> x = [2, 1]\n>>> g(x)\n>>> f(x)\n[1, 2]",
        ">>> f(1)",
        '>>> f("a\nb")\n1',
    ],
)
def test_a_doctest_whose_value_is_not_certain_is_no_example(doc: str) -> None:
    assert told(doc) == {}


def test_no_output_means_none_only_where_the_signature_allows_it() -> None:
    assert told(">>> f([])\n\n", "def f(x) -> str | None:") == {"f([])": "None"}
    assert told(">>> f([])\n\n", "def f(x) -> str:") == {}


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("f(1) == 2", {"f(1)": "2"}),
        ("f(1) = 2", {"f(1)": "2"}),
        ("f(1) => 2", {"f(1)": "2"}),
        ("f(1) ==>2", {"f(1)": "2"}),
        ("f(1) ➞ False ", {"f(1)": "False"}),
        ("f(1) → 2", {"f(1)": "2"}),
        ("f(1) -> 2 (as said)", {"f(1)": "2"}),
        ("f(1) returns 2.", {"f(1)": "2"}),
        ("f(1) should return 'a'.", {"f(1)": "'a'"}),
        ('f("1.5") should\nreturn 2 and f("2") should return 3.', {"f('1.5')": "2", "f('2')": "3"}),
        ("f(1)  # returns 2", {"f(1)": "2"}),
        ("f(1) # => 'No' (the name is taken)", {"f(1)": "'No'"}),
        ("f(1)  # 2", {"f(1)": "2"}),
        ("`f(1)` returns `2`", {"f(1)": "2"}),
        (
            "* f(1) => 2\n2. f(2) => 3\nFor example: f(3) is 4",
            {"f(1)": "2", "f(2)": "3", "f(3)": "4"},
        ),
        ("f(1) = 2, f(2) = 3 and f(3) = 4.", {"f(1)": "2", "f(2)": "3", "f(3)": "4"}),
        ("f([\n  [1, 2],\n  [3]\n]) == [\n  1]", {"f([[1, 2], [3]])": "[1]"}),
        ("f(1) => true", {"f(1)": "True"}),
        ("f(19) -> 19 - 5 - 6 = 8", {"f(19)": "8"}),
        ("f([1, 2])\n  -> 3\nf(2)\n  Output: 4", {"f([1, 2])": "3", "f(2)": "4"}),
        ("For f(3) the output should be 4.", {"f(3)": "4"}),
        ('For x = "AB" the output should be 1.', {"f('AB')": "1"}),
        ('For x = 9, the sum will be 1 the output should be "1".', {"f(9)": "'1'"}),
        ("Input: [4,2]\nOutput: [2, 1]\nExplanation: 2 is", {"f([4, 2])": "[2, 1]"}),
        ("Example 1:\n\n  Input: x = 3\n  Output: (1, 2) # words", {"f(3)": "(1, 2)"}),
        ("Input: x = 5, Output: 6", {"f(5)": "6"}),
        ("f(-1) raises ValueError", {"f(-1)": "raises ValueError"}),
        ("f(-1) should raise a `KeyError`.", {"f(-1)": "raises KeyError"}),
        ("f(-1) -> TypeError", {"f(-1)": "raises TypeError"}),
    ],
)
def test_looser_forms_are_examples_where_both_sides_parse(doc: str, expected: Told) -> None:
    assert told(doc) == expected


@pytest.mark.parametrize(
    "doc",
    [
        "f(a) => False",
        "f(n) -> f(n-1) + 1",
        "f(1) == f(2)",
        "f(1) returns a list",
        "f(1) is not 3",
        "f(1) returns 3 or 4",
        "f(1) returns 3 if it is odd",
        "f(1) == 2, 3",
        "f(1) -> ...",
        "f(1) -> int",
        "f(1) != 2",
        "f(1) <= 2",
        "2 * f(3) == 12",
        "f(1) + f(2) == 3",
        "the sum of f(1) and f(2) is 3",
        "not f(1) == 2",
        "g(f(1)) == 2",
        "self.f(1) == 2",
        "myf(1) == 2",
        'f(1) == ""a"',
        "f(1) throws an error",
        "f(1) raises Wonder",
        "Input: 5 6\nOutput: 7",
        "Input: (1, 2)\nOutput: Yes",
        "For y = 2 the output should be 4",
        "x = f(1)",
        "f(1",
    ],
)
def test_a_wrong_expectation_is_worse_than_none(doc: str) -> None:
    assert told(doc) == {}


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("assert f(1) == 2", {"f(1)": "2"}),
        ("Write it.\nassert f(1)==2, 'message'\nassert 4 == f(3)", {"f(1)": "2", "f(3)": "4"}),
        (
            "assert set(f((3, 4),(5, 4))) == set((4, 5))",
            {"set(f((3, 4), (5, 4)))": "set((4, 5))"},
        ),
        ("assert f([1,\n  2]) == [\n 1]", {"f([1, 2])": "[1]"}),
        ("assert f(5) is None", {"f(5)": "None"}),
        ("assert f(1)", {}),
        ("assert f(6) == other(7)", {}),
        ("assert abs(f(7) - 2) < 1e-6", {}),
    ],
)
def test_the_asserts_of_mbpp_are_examples(doc: str, expected: Told) -> None:
    assert told(doc) == expected


def test_a_bare_assert_says_true_only_of_a_function_that_returns_a_bool() -> None:
    signature = "def f(x) -> bool:"
    assert told("assert f(1)\nassert not f(2)", signature) == {"f(1)": "True", "f(2)": "False"}


def test_bound_names_go_to_the_places_of_the_parameters() -> None:
    signature = "def f(nums, target, *, deep=False):"
    doc = "Input: nums = [2, 7],\n  target = 9, deep = True\nOutput: [0, 1]"
    assert told(doc, signature) == {"f([2, 7], 9, deep=True)": "[0, 1]"}
    assert told("Input: nums = [2, 7]\nOutput: [0, 1]", signature) == {}


def test_names_of_the_setup_may_be_used_and_others_may_not() -> None:
    setup = "import math\nclass Point: ...\nclass Color: ...\nclass Odd(Exception): ..."
    doc = (
        ">>> f(Point(1, 2))\nPoint(x=1, y=3)\n>>> f(Color.RED)\nColor.BLUE\n\n"
        "f(math.pi) == math.inf\nf(Other(1)) == 2\nf(2) raises Odd"
    )
    assert told(doc, setup=setup) == {
        "f(Point(1, 2))": "Point(x=1, y=3)",
        "f(Color.RED)": "Color.BLUE",
        "f(math.pi)": "math.inf",
        "f(2)": "raises Odd",
    }


def test_what_contradicts_itself_or_the_signature_is_dropped() -> None:
    assert told("f(1) == 3\nf(1) == 4\nf(2) == 5") == {"f(2)": "5"}
    assert told(">>> f(5)\n6\n\nf(5) == 7") == {"f(5)": "6"}
    assert told(">>> f(1)\n3\n>>> f(2)\n'a'", "def f(x) -> str:") == {"f(2)": "'a'"}
    assert told(">>> f(1)\nhello\n>>> f(0)\n3\n", "def f(x) -> None:") == {}


def test_a_recurrence_in_the_text_is_no_example_of_a_list() -> None:
    doc = "It is defined by\nf(1) = 3\nf(2) = 1 + 2 = 3\nExamples:\nf(3) = [1, 3, 2, 8]"
    assert told(doc) == {"f(3)": "[1, 3, 2, 8]"}


def test_the_same_example_twice_is_one() -> None:
    assert told(">>> f( [1,2] )\n3\n\nf([1, 2]) == 3\nassert f([1, 2]) == 3") == {"f([1, 2])": "3"}


@settings(deadline=None)
@given(st.text(alphabet="f(1)[]'\"=->#\n \\`,:.é{}", max_size=60))
def test_text_of_any_kind_is_read_without_a_crash(doc: str) -> None:
    for example in examples_of(FunctionNode(name="f", signature="def f(x):", doc=doc)):
        assert example.call


@pytest.mark.parametrize(
    "doc", ["f(" * 1000, "f(1) == " + "[" * 3000, ">>> f(" + "-" * 1900 + "1)\n2"]
)
def test_text_that_nests_too_deeply_is_dropped(doc: str) -> None:
    assert told(doc) == {}


def seen(value: Any) -> Observation:
    return Observation(outcome="returned", value=value)


def test_an_example_is_passed_by_its_value_as_a_number_of_either_kind() -> None:
    example = Example(call="f(1)", expected="2")
    assert passes(example, seen(2), seen(2))
    assert passes(example, seen({"float": "2.0"}), seen(2))
    assert not passes(example, seen(3), seen(2))
    assert not passes(example, seen(True), seen(1))
    assert not passes(example, Observation(outcome="timeout"), seen(2))
    assert not passes(example, seen(2), Observation(outcome="timeout"))


def test_an_example_that_raises_is_passed_by_the_type_or_one_below_it() -> None:
    example = Example(call="f(1)", raises="LookupError")
    failure = Failure(type="KeyError", bases=("LookupError", "Exception"), message="", report="")
    assert passes(example, Observation(outcome="raised", failure=failure), None)
    assert not passes(Example(call="f(1)", raises="ValueError"), seen(None), None)


def test_the_expected_value_can_be_asked_for_as_a_call() -> None:
    call = Example(call="f(1)", expected="{1: (2,)}").value_call
    assert call is not None
    assert eval(call) == {1: (2,)}
    assert Example(call="f(1)", raises="ValueError").value_call is None


@pytest.mark.parametrize(
    "doc",
    [">>> x = [1]\n" + ">>> x = (x, x)\n" * 200 + ">>> f(x)\n1", "f(1)" + "\n " * 5000 + "nothing"],
)
def test_text_made_to_take_for_ever_is_read_to_its_end(doc: str) -> None:
    assert told(doc) == {}
