"""Plain data goes through JSON and comes back as it was."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentflow.data import Data, NotPlainError, encode, from_json, to_json

hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.dates()
    | st.decimals(allow_nan=False),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
plain = st.recursive(
    hashable
    | st.floats(allow_nan=False)
    | st.datetimes()
    | st.timedeltas()
    | st.complex_numbers(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.sets(hashable, max_size=4)
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal and of equal types, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@given(plain)
def test_any_plain_value_comes_back_with_its_types_and_order(value: Any) -> None:
    assert same(from_json(to_json(value)), value)


@given(st.sets(st.text()))
def test_equal_sets_have_one_form(value: set[str]) -> None:
    assert to_json(value) == to_json({*reversed(list(value))})


def test_nan_and_infinities_survive() -> None:
    back = from_json(to_json([math.inf, -math.inf, math.nan]))
    assert back[:2] == [math.inf, -math.inf]
    assert math.isnan(back[2])


@pytest.mark.parametrize("value", [{"$": "set"}, {"$": 1, "v": 2}, {1: "a", "1": "b"}, {(1,): {}}])
def test_dictionaries_that_look_like_tags_are_not_mistaken(value: dict[Any, Any]) -> None:
    assert same(from_json(to_json(value)), value)


def test_a_forged_tag_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown tag 'os\.system'"):
        from_json(b'{"$": "os.system", "v": "true"}')


def test_what_is_not_plain_is_named_with_its_place() -> None:
    with pytest.raises(NotPlainError, match=r"value\['a'\]\[1\] is a object"):
        encode({"a": [1, object()]})
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NotPlainError, match="nested too deeply"):
        encode(loop)


class Holder(BaseModel):
    held: Data


def test_a_field_of_a_model_keeps_what_json_lacks() -> None:
    value = {"when": dt.date(2020, 1, 2), "price": Decimal("1.10"), "pair": (1, {2})}
    assert Holder.model_validate_json(Holder(held=value).model_dump_json()).held == value
