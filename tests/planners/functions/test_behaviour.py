"""What counts as the same behaviour, on values as the jail encodes them."""

from typing import Any

import pytest
from agentflow_planners.functions.behaviour import same_behaviour, same_value
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.sandbox.workers.protocol import Failure, Observation


def real(number: float) -> dict[str, str]:
    return {"float": repr(number)}


def returned(value: Any, *, arguments: Any = None, stdout: str = "") -> Observation:
    return Observation(outcome="returned", value=value, arguments=arguments, stdout=stdout)


def raised(kind: str, message: str = "", bases: tuple[str, ...] = ("Exception",)) -> Observation:
    failure = Failure(type=kind, bases=bases, message=message, report=f"{kind}: {message}")
    return Observation(outcome="raised", failure=failure)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=4),
    st.floats().map(real),
    st.binary(max_size=3).map(lambda raw: {"bytes": raw.hex()}),
    st.sampled_from(
        [
            {"scalar": "Decimal", "text": "1.50"},
            {"scalar": "Decimal", "text": "NaN"},
            {"enum": "Color.RED"},
            {"opaque": "Socket"},
            {"named": "f"},
            {"range": [0, 3, 1]},
            {"cut": "depth"},
            {"int": "0xff"},
            {"complex": ["nan", "-0.0"]},
        ]
    ),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, max_size=4)
    pairs = st.lists(st.tuples(inner, inner).map(list), max_size=3)
    fields = st.dictionaries(st.sampled_from("xyz"), inner)
    kinds = st.sampled_from(["list", "tuple", "set", "frozenset", "iterator"])
    return st.one_of(
        st.tuples(kinds, several).map(lambda found: {found[0]: found[1]}),
        pairs.map(lambda items: {"dict": items}),
        fields.map(lambda items: {"object": "Point", "fields": items}),
        several.map(lambda items: {"exception": "ValueError", "args": items}),
        several.map(lambda items: {"list": items, "type": "deque"}),
    )


encoded = st.recursive(leaves, containers, max_leaves=8)


@settings(deadline=None)
@given(encoded)
def test_every_encoded_value_is_the_same_as_itself(value: Any) -> None:
    assert same_value(value, value)
    assert same_value(value, value, numbers=True)


@settings(deadline=None)
@given(encoded, encoded, st.booleans())
def test_which_value_comes_first_does_not_matter(a: Any, b: Any, numbers: bool) -> None:
    assert same_value(a, b, numbers=numbers) == same_value(b, a, numbers=numbers)


@settings(deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), max_size=6, unique=True))
def test_a_set_is_the_same_in_any_order_and_within_the_tolerance(numbers: list[float]) -> None:
    shifted = [number * (1 + 1e-9) for number in reversed(numbers)]
    assert same_value({"set": [*map(real, numbers)]}, {"set": [*map(real, shifted)]})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (real(float("nan")), None),
        (real(float("nan")), real(float("inf"))),
        (real(float("inf")), None),
        (real(float("inf")), real(float("-inf"))),
        (real(float("inf")), real(1e308)),
        ({"tuple": [1, 2]}, {"list": [1, 2]}),
        ({"set": [1, 2]}, {"list": [1, 2]}),
        ({"dict": [[1, "a"]]}, {"dict": [["1", "a"]]}),
        (True, 1),
        (1, real(1.0)),
        (1, "1"),
        (real(1.0), real(1.1)),
        ({"bytes": "61"}, "a"),
        ({"list": [1], "type": "deque"}, {"list": [1]}),
        ({"list": [1], "type": "dict_keys"}, {"list": [1], "type": "dict_values"}),
        ({"object": "P", "fields": {"x": 1}}, {"object": "P", "fields": {"x": 2}}),
        ({"object": "P", "fields": {"x": 1}}, {"object": "Q", "fields": {"x": 1}}),
        ({"iterator": [1]}, {"iterator": [1], "more": True}),
        ({"iterator": [1]}, {"iterator": [1], "raised": "ValueError"}),
        ({"iterator": [1]}, {"list": [1]}),
        ({"exception": "ValueError", "args": []}, {"exception": "KeyError", "args": []}),
        ({"range": [0, 3, 1]}, {"range": [0, 4, 1]}),
        ({"set": [1, 2]}, {"set": [1, 3]}),
        ({"dict": [["a", 1]]}, {"dict": [["a", 2]]}),
        ({"dict": [["a", 1]]}, {"dict": [["a", 1], ["b", 1]]}),
    ],
)
def test_funcoder_defect_5_json_equality_took_these_for_the_same(a: Any, b: Any) -> None:
    assert not same_value(a, b)
    assert not same_value({"list": [a]}, {"list": [b]})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (real(0.1 + 0.2), real(0.3)),
        (real(-0.0), real(0.0)),
        (real(float("nan")), real(float("nan"))),
        ({"dict": [["a", 1], ["b", 2]]}, {"dict": [["b", 2], ["a", 1]]}),
        ({"dict": [[real(0.1 + 0.2), 1]]}, {"dict": [[real(0.3), 1]]}),
        ({"set": [real(0.1 + 0.2), 1]}, {"set": [1, real(0.3)]}),
        ({"list": [1], "type": "MyList"}, {"list": [1]}),
        ({"dict": [["a", 1]], "type": "Counter"}, {"dict": [["a", 1]]}),
        ({"str": "a", "type": "Name"}, "a"),
        ({"range": [0, 0, 1]}, {"range": [5, 2, 1]}),
        ({"int": "0xff"}, 255),
        ({"scalar": "Decimal", "text": "1.5"}, {"scalar": "Decimal", "text": "1.50"}),
        ({"complex": ["0.30000000000000004", "1.0"]}, {"complex": ["0.3", "1.0"]}),
        (
            {"object": "P", "fields": {"x": real(0.1 + 0.2), "y": 1}},
            {"object": "P", "fields": {"y": 1, "x": real(0.3)}},
        ),
    ],
)
def test_funcoder_defect_5_json_equality_told_these_apart(a: Any, b: Any) -> None:
    assert same_value(a, b)
    assert same_value({"tuple": [a]}, {"tuple": [b]})


def test_items_of_a_set_are_paired_so_that_none_is_left_over() -> None:
    # 0.0 may pair with both of the other set, 0.8 with one only: taking the first that fits fails
    a = {"set": [{"tuple": [real(0.0)]}, {"tuple": [real(0.8)]}]}
    b = {"set": [{"tuple": [real(0.5)]}, {"tuple": [real(-0.5)]}]}
    assert same_value(a, b, absolute=0.6)
    assert same_value(b, a, absolute=0.6)


def test_large_sets_of_floats_are_compared_within_the_tolerance() -> None:
    numbers = [index / 7 for index in range(500)]
    a = {"set": [real(number) for number in numbers]}
    b = {"set": [real(number * (1 + 1e-9)) for number in reversed(numbers)]}
    assert same_value(a, b)
    assert not same_value(a, {"set": [*b["set"][1:], real(-1.0)]})


def test_an_int_is_a_float_only_when_asked_and_a_bool_never_is() -> None:
    assert same_value({"list": [1]}, {"list": [real(1.0)]}, numbers=True)
    assert not same_value(True, real(1.0), numbers=True)
    assert not same_value(True, 1, numbers=True)
    assert not same_value({"int": "0x1" + "0" * 400}, real(1e308), numbers=True)


@pytest.mark.parametrize(
    "broken",
    [{"float": "abc"}, {"int": "zz"}, {"range": ["a"]}, {"complex": ["1"]}, {}, {"new": 1}],
)
def test_what_the_jail_would_never_encode_is_compared_without_a_crash(broken: Any) -> None:
    assert same_value(broken, broken)
    assert not same_value(broken, None)


def test_funcoder_defect_14_changed_arguments_are_behaviour() -> None:
    changed = {"tuple": [{"tuple": [{"list": [1, 2]}]}, {"dict": []}]}
    otherwise = {"tuple": [{"tuple": [{"list": [2, 1]}]}, {"dict": []}]}
    assert not same_behaviour(returned(None), returned(None, arguments=changed))
    assert not same_behaviour(
        returned(None, arguments=otherwise), returned(None, arguments=changed)
    )
    assert same_behaviour(returned(None, arguments=changed), returned(None, arguments=changed))


def test_funcoder_defect_14_printed_text_is_behaviour_but_for_spaces_at_line_ends() -> None:
    assert not same_behaviour(returned(None, stdout="yes\n"), returned(None, stdout="no\n"))
    assert same_behaviour(returned(None, stdout="1 \n2\n"), returned(None, stdout="1\n2"))
    assert not same_behaviour(returned(None, stdout=" 1"), returned(None, stdout="1"))


def test_funcoder_defect_14_what_an_iterator_yields_is_behaviour() -> None:
    assert same_behaviour(returned({"iterator": [1, 2]}), returned({"iterator": [1, 2]}))
    assert not same_behaviour(returned({"iterator": [1, 2]}), returned({"iterator": [2, 1]}))


def test_exceptions_are_the_same_by_type_whatever_they_say() -> None:
    assert same_behaviour(raised("ValueError", "empty"), raised("ValueError", "no items"))
    assert not same_behaviour(raised("ValueError"), raised("KeyError"))
    assert not same_behaviour(raised("ValueError"), returned(None))


@pytest.mark.parametrize("outcome", ["timeout", "memory", "too_large", "crashed"])
def test_what_was_cut_off_is_the_same_as_nothing(outcome: Any) -> None:
    seen = Observation(outcome=outcome)
    assert not same_behaviour(seen, seen)
    assert not same_behaviour(seen, returned(None))


def test_the_tolerance_of_values_holds_for_behaviour() -> None:
    assert same_behaviour(returned(real(1.0)), returned(real(1.04)), relative=0.1)
    assert same_behaviour(returned(1), returned(real(1.0)), numbers=True)
    assert not same_behaviour(returned(1), returned(real(1.0)))
