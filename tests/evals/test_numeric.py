"""Which number a text says."""

import pytest
from agentflow_evals.scorers.numeric import number_in, numeric
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import InputError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 42", 42),
        ("$1,234.50", 1234.5),
        ("-$5", -5),
        ("\N{MINUS SIGN}5", -5),
        ("It is 3/4.", 0.75),
        (r"\frac{3}{4}", 0.75),
        (r"-\dfrac{1}{2}", -0.5),
        (r"so 2 + 2 = \boxed{4}", 4),
        (r"\boxed{\frac{3}{4}}", 0.75),
        ("1{,}234", 1234),
        ("first\n#### 3\nno, rather\n#### 4", 4),
        ("10/10/2020", None),
        ("3/0", None),
        ("1/2 or 3", None),
        (r"5 or \boxed{}", 5),
        ("5\n#### none", None),
        ("2 + 2 = 4", None),
    ],
)
def test_text_says_one_number_or_none(text: str, number: float | None) -> None:
    assert number_in(text) == number


@settings(deadline=None)
@given(
    st.integers(-(10**9), 10**9), st.sampled_from(["{}", "${}", "#### {}", "about {} cups", "{}."])
)
def test_a_whole_number_is_found_with_and_without_commas(value: int, form: str) -> None:
    assert number_in(form.format(value).replace("$-", "-$")) == value
    assert number_in(form.format(f"{value:,}").replace("$-", "-$")) == value


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    number_in(text)
    number_in(f"1/{text}")


async def test_the_value_itself_may_be_written_like_an_answer() -> None:
    assert (await numeric(9, {"value": "4 + 5 = 9\n#### 9"})).passed
    with pytest.raises(InputError, match=r"value: .*'4 or 5' is not one number"):
        await numeric(9, {"value": "4 or 5"})
