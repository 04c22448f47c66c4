"""The quasi-exact match of GAIA."""

from typing import Any

import pytest
from agentflow_evals.scorers.gaia import gaia, quasi_exact
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("output", "answer", "passed"),
    [
        ("I looked it up.\nFINAL ANSWER: 1,234", "1234", True),
        ("$12.50", "12.5", True),
        ("about 12", "12", False),
        (17, "17", True),
        ("Sea gull!", "seagull", True),
        ("the seagull", "seagull", False),
        ("a, 2,C", "A, 2.0, c", True),
        ("a, c, 2", "a, 2, c", False),
        ("a, b", "a, b, c", False),
        ("a.b, c", "ab, c", False),
        (["x", 3], "x, 3", True),
        (None, "x", False),
    ],
)
async def test_the_kind_of_the_reference_decides_what_matches(
    output: Any, answer: str, passed: bool
) -> None:
    assert (await gaia(output, {"answer": answer})).passed is passed


@given(st.text(alphabet="abcXYZ !-.", min_size=1).filter(str.strip), st.integers(0, 5))
async def test_words_match_whatever_their_case_and_spaces(text: str, at: int) -> None:
    assert quasi_exact(f"{text[:at]} {text[at:]}".upper(), text)
