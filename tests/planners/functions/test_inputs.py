"""Where calls to try come from."""

import ast
import collections
import random
import typing
from collections.abc import Iterator

import pytest
from agentflow_planners.functions.calls.inputs import (
    calls_from_types,
    calls_in_reply,
    calls_near,
    unique,
)
from agentflow_planners.functions.node import FunctionNode
from hypothesis import given, settings
from hypothesis import strategies as st

SETUP = """
import enum
from dataclasses import dataclass
from typing import *

class Color(enum.Enum):
    RED = 1
    BLUE = 2

@dataclass
class Point:
    x: int
    y: float = 0.0

@dataclass
class Tree:
    value: int
    left: "Tree | None"

class Account:
    def __init__(self, owner: str, cents: int = 0):
        self.owner = owner

class Movie(TypedDict):
    title: str

Vector = list[float]
T = TypeVar("T")
UserId = NewType("UserId", int)
"""


def node(signature: str, doc: str = "", setup: str = "") -> FunctionNode:
    return FunctionNode(name="f", signature=signature, doc=doc, setup=setup)


def received(signature: str, doc: str = "", setup: str = "", count: int = 40) -> list[typing.Any]:
    """Return the first argument of each call made for a signature."""
    found: list[typing.Any] = []
    space: dict[str, typing.Any] = {
        "f": lambda *args, **named: found.append((*args, *named.values()))
    }
    exec(setup, space)
    for call in calls_from_types(node(signature, doc, setup), seed=1, count=count):
        eval(call, space)
    return [arguments[0] for arguments in found if arguments]


def types_of(values: list[typing.Any]) -> set[str]:
    return {type(value).__name__ for value in values}


@pytest.mark.parametrize(
    ("annotation", "types"),
    [
        ("int", {"int"}),
        ("float", {"float"}),
        ("str", {"str"}),
        ("bool", {"bool"}),
        ("bytes", {"bytes"}),
        ("list[int]", {"list"}),
        ("List[str]", {"list"}),
        ("typing.Sequence[int]", {"list"}),
        ("tuple[int, str]", {"tuple"}),
        ("Tuple[int, ...]", {"tuple"}),
        ("dict[str, list[int]]", {"dict"}),
        ("set[int]", {"set"}),
        ("frozenset[str]", {"frozenset"}),
        ("int | None", {"int", "NoneType"}),
        ("Optional[str]", {"str", "NoneType"}),
        ("Union[int, str]", {"int", "str"}),
        ("'list[int]'", {"list"}),
        ("Annotated[int, 'small']", {"int"}),
        ("Literal['a', 'b']", {"str"}),
        ("Iterator[int]", {"list_iterator"}),
        ("Color", {"Color"}),
        ("Point", {"Point"}),
        ("Tree", {"Tree"}),
        ("Account", {"Account"}),
        ("Movie", {"dict"}),
        ("Vector", {"list"}),
        ("T", {"int"}),
        ("UserId", {"int"}),
        ("None", {"NoneType"}),
    ],
)
def test_arguments_have_the_annotated_type(annotation: str, types: set[str]) -> None:
    assert types_of(received(f"def f(value: {annotation}):", setup=SETUP)) == types


@pytest.mark.parametrize(
    ("annotation", "edges"),
    [
        ("int", [0, 1, -1]),
        ("float", [0.0, -1.5]),
        ("str", ["", "a", " "]),
        ("list[int]", [[], [0], [1, 1]]),
        ("dict[str, int]", [{}]),
        ("set[int]", [set()]),
        ("int | None", [None, 0]),
        ("bool", [True, False]),
        ("Color", []),
    ],
)
def test_edge_cases_come_first(annotation: str, edges: list[typing.Any]) -> None:
    first = received(f"def f(value: {annotation}):", setup=SETUP, count=10)
    assert [edge for edge in edges if edge not in first] == []


def test_types_within_types_hold_and_a_matrix_has_rows_of_one_length() -> None:
    for value in received("def f(value: dict[str, tuple[int, bool]]):"):
        for key, (number, flag) in value.items():
            assert (type(key), type(number), type(flag)) == (str, int, bool)
    grids = received("def f(grid: list[list[int]]):", count=60)
    several = [grid for grid in grids if len(grid) > 2]
    assert several
    assert sum(len({len(row) for row in grid}) == 1 for grid in several) > len(several) // 2


def test_without_an_annotation_the_examples_the_default_and_the_name_say_what_is_tried() -> None:
    assert types_of(received("def f(q):", ">>> f('ab')\n1")) == {"str"}
    assert types_of(received("def f(q=1.5):")) == {"float"}
    assert types_of(received("def f(words):")) == {"list"}
    assert all(type(word) is str for words in received("def f(words):") for word in words)
    assert types_of(received("def f(n):")) == {"int"}
    words = received("def f(values: list):", ">>> f(['a', 'b'])\n1")
    assert {type(item) for value in words for item in value} == {str}
    assert len(types_of(received("def f(wibble):"))) > 3


def test_strings_are_made_of_what_the_examples_are_made_of() -> None:
    doc = ">>> f('(()())')\n2\n>>> f('()')\n1"
    assert set("".join(received("def f(text: str):", doc))) == set("()")
    spoken = received("def f(text: str):", ">>> f('three one five')\n'one three five'")
    assert any(set(text.split()) <= {"three", "one", "five"} for text in spoken if " " in text)


def test_every_kind_of_parameter_is_given_as_it_must_be() -> None:
    signature = "def f(a: int, /, b: str = 'x', *rest: int, key: bool, extra: int = 0, **others):"
    calls = calls_from_types(node(signature), seed=3, count=60)
    space: dict[str, typing.Any] = {}
    exec(f"{signature}\n    return (a, b, rest, key, extra, others)", space)
    results = [eval(call, space) for call in calls]
    assert all(type(a) is int and type(key) is bool for a, _, _, key, _, _ in results)
    assert any(rest for _, _, rest, *_ in results)
    assert any("extra" in call for call in calls)
    assert any("extra" not in call for call in calls)


def test_a_parameter_that_nothing_can_be_written_for_gets_no_calls_unless_it_may_be_left_out() -> (
    None
):
    assert calls_from_types(node("def f(g: Callable[[int], int]):"), seed=1, count=5) == ()
    assert calls_from_types(node("def f(g: np.ndarray):"), seed=1, count=5) == ()
    calls = calls_from_types(node("def f(n: int, key: Callable = None):"), seed=1, count=5)
    assert len(calls) == 5
    assert not any("key" in call for call in calls)


def test_a_function_without_parameters_is_called_once() -> None:
    assert calls_from_types(node("def f():"), seed=1, count=5) == ("f()",)


def test_funcoder_defect_8_no_input_comes_twice_and_the_number_is_kept_to() -> None:
    for signature in ("def f(a: int):", "def f(a: list[int], b: str):", "def f(a: bool):"):
        calls = calls_from_types(node(signature), seed=5, count=30)
        assert len({ast.dump(ast.parse(call)) for call in calls}) == len(calls) <= 30
    near = calls_near(["f([3, 1], 'ab')"], seed=5, count=30)
    assert len({ast.dump(ast.parse(call)) for call in near}) == len(near) == 30


def test_funcoder_defect_8_the_same_seed_makes_the_same_inputs_and_another_does_not() -> None:
    target = node("def f(a: list[int], b: str):")
    state = random.getstate()
    first = calls_from_types(target, seed=1, count=30)
    assert first == calls_from_types(target, seed=1, count=30)
    assert first != calls_from_types(target, seed=2, count=30)
    near = calls_near(first[:4], seed=1, count=20)
    assert near == calls_near(first[:4], seed=1, count=20)
    assert near != calls_near(first[:4], seed=2, count=20)
    assert random.getstate() == state


def test_unique_sees_through_layout_and_quotes_and_drops_what_is_no_call() -> None:
    calls = [
        "f([1,2], 'a')",
        'f( [1, 2],\n  "a")',
        "f(1",
        "1 + 1",
        "f(2)",
        "f('" + "x" * 3000 + "')",
    ]
    assert unique([*calls, "f(\0)", "f(" + "(" * 900 + ")" * 900 + ")"]) == (
        "f([1,2], 'a')",
        "f(2)",
    )


def test_calls_near_an_example_keep_its_types_and_differ_from_it() -> None:
    call = "f([3, 1, 2], 'abc', k=1.5, deep=True, pair=(1, 2))"
    for text in calls_near([call], seed=1, count=80):
        changed = ast.parse(text, mode="eval").body
        assert isinstance(changed, ast.Call)
        given = [ast.literal_eval(item) for item in changed.args]
        named = {item.arg: ast.literal_eval(item.value) for item in changed.keywords}
        assert [type(item) for item in given] == [list, str]
        assert {key: type(item) for key, item in named.items()} == {
            "k": float, "deep": bool, "pair": tuple,
        }  # fmt: skip
        assert len(named["pair"]) == 2
        assert text != call


def test_calls_near_an_example_reach_empties_signs_order_and_sizes() -> None:
    found = [eval(call, {"f": lambda x: x}) for call in calls_near(["f([3, 1])"], seed=1, count=60)]
    assert [] in found
    assert [1, 3] in found
    assert any(len(value) > 2 for value in found)
    assert any(item < 0 for value in found for item in value)


def test_calls_near_are_spread_over_all_that_are_given_and_mix_their_arguments() -> None:
    calls = calls_near(["f([1], 'a')", "f([7], 'b')"], seed=1, count=60)
    assert "f([1], 'b')" in calls
    assert "f([7], 'a')" in calls
    assert calls_near([], seed=1, count=5) == ()
    assert calls_near(["f(", "f"], seed=1, count=5) == ()


def test_calls_of_constructors_are_changed_inside() -> None:
    calls = calls_near(["f(Point(x=1, y=[2]))"], seed=1, count=10)
    assert len(calls) == 10
    assert all(call.startswith("f(Point(x=") for call in calls)


def test_calls_are_found_in_a_reply_whatever_stands_around_them() -> None:
    reply = """Here are some inputs:
```python
f([1, 2], "a(b")  # expected: 3
result = f([1, 2], 'a(b')
assert f([[1,
           2]], '') == 4
print(f(Point(1, 2), math.inf))
f(f([1], 'x'), 'y')
def f(items, text):
    return f(items[1:], text)
f(unknown, 1)
f([i for i in range(3)], 'z')
```
f(1, 2"""
    assert calls_in_reply(reply, "f", limit=9) == (
        'f([1, 2], "a(b")',
        "f([[1,\n           2]], '')",
        "f(Point(1, 2), math.inf)",
        "f(f([1], 'x'), 'y')",
        "f([i for i in range(3)], 'z')",
    )
    assert len(calls_in_reply(reply, "f", limit=2)) == 2


def test_calls_in_a_reply_that_reach_for_the_machine_or_are_too_long_are_dropped() -> None:
    reply = (
        "f(open('/etc/passwd'))\nf(__import__('os'))\nf(eval('1'))\nf('" + "x" * 2500 + "')\nf(1)"
    )
    assert calls_in_reply(reply, "f", limit=9) == ("f(1)",)


@settings(deadline=None)
@given(st.text(alphabet="f(1)[]'\",x=#\n \\-{}", max_size=80))
def test_a_reply_of_any_kind_is_read_without_a_crash(reply: str) -> None:
    for call in calls_near(calls_in_reply(reply, "f", limit=5), seed=1, count=5):
        ast.parse(call)


def each_leaf(value: typing.Any) -> Iterator[typing.Any]:
    if isinstance(value, collections.abc.Iterable) and not isinstance(value, str):
        for item in value:
            yield from each_leaf(item)
    else:
        yield value


def test_values_are_small_enough_that_slow_code_still_ends() -> None:
    values = received("def f(value: list[list[int]]):", count=100) + received("def f(n: int):")
    assert all(abs(leaf) <= 1000 for value in values for leaf in each_leaf(value))
    assert all(len(value) <= 20 for value in received("def f(value: list[int]):", count=100))
