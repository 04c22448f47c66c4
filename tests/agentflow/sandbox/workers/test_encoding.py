"""The encoder, the decoder and the host's check of the encoded form agree on every plain value."""

import json
import math
import os
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.sandbox.workers.encoded import NotEncodedError, check_encoded
from agentflow.sandbox.workers.inside.decoder import Opaque, from_text
from agentflow.sandbox.workers.inside.encoder import Encoder, TooLargeError
from agentflow.sandbox.workers.inside.wire import HEADER_BYTES, Header
from agentflow.sandbox.workers.results import read_trial

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.datetimes()
)
KEYS = st.recursive(
    ATOMS.filter(lambda value: value == value),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
VALUES = st.recursive(
    ATOMS | st.binary().map(bytearray) | st.builds(range, st.integers(-99, 99)),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["list", "dict", "float"]), inner),
    max_leaves=15,
)  # fmt: skip


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal with their types, nan being equal to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (
            struct.pack("d", left) == struct.pack("d", right)
            or math.isnan(left) == math.isnan(right) is True
        )
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    return bool(left == right)


@given(VALUES)
def test_what_is_encoded_is_decoded_to_the_same(value: Any) -> None:
    text = Encoder(1 << 20, "solution").text(value)
    assert text.isascii()
    check_encoded(json.loads(text))
    assert same(from_text(text), value)


@given(VALUES, st.integers(1, 200))
def test_no_encoded_value_is_longer_than_its_limit(value: Any, limit: int) -> None:
    try:
        text = Encoder(limit, "solution").text(value)
    except TooLargeError:
        assert len(Encoder(1 << 20, "solution").text(value)) > limit // 10
    else:
        assert len(text) <= limit


@given(ANYTHING)
def test_data_that_passes_the_check_holds_no_raw_lists_or_floats(data: Any) -> None:
    try:
        check_encoded(data)
    except NotEncodedError:
        return
    assert not isinstance(data, list | float)


@given(st.binary(max_size=200))
def test_reading_takes_any_bytes(data: bytes) -> None:
    read_trial(data, 1000)
    read_trial(struct.pack("!I", len(data)) + data, 1000)
    loaded = b'{"failure":null}'
    first = struct.pack("!I", len(loaded)) + loaded
    assert read_trial(first + data, 1000)[0] is not None


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_data_is_refused(depth: int) -> None:
    text = b'{"outcome":"returned","value":' + b'{"list":[' * depth + b"]}" * depth + b"}"
    loaded = b'{"failure":null}'
    data = b"".join(struct.pack("!I", len(part)) + part for part in (loaded, text))
    assert read_trial(data, 1 << 22)[1] == []


def test_an_object_of_the_other_process_equals_nothing() -> None:
    stranger = from_text('{"object":"A","fields":{}}')
    assert isinstance(stranger, Opaque)
    assert stranger != stranger
    assert stranger != 42


def test_a_header_is_read_as_it_was_written_and_nothing_else_is_one() -> None:
    header = Header(1, 2, 0.5, 1.5, 3, 4)
    assert Header.unpack(header.pack()) == header
    with pytest.raises(ValueError, match="header"):
        Header.unpack(os.urandom(HEADER_BYTES - 1) + b"\0")
