"""Final answers of mathematics: where they stand, and when two are one."""

from typing import Any

import pytest
from agentflow_evals.scorers.math_answer import final_answer, last_boxed, math_answer
from agentflow_evals.scorers.math_equal import normal, same_answer
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import InputError

SAME = [
    ("1/2", "\\frac{1}{2}"),
    ("0.5", "\\dfrac12"),
    ("\\frac{\\sqrt{3}}{2}", "\\sqrt{3}/2"),
    ("3\\frac{1}{2}", "7/2"),
    ("(1,2)", "( 1 , 2 )"),
    ("[0,\\infty)", "\\left[0,\\infty\\right)"),
    ("x=5", "5"),
    ("x \\in (0,1)", "(0,1)"),
    ("90^\\circ", "90"),
    ("50\\%", "50"),
    ("10{,}000", "10,000"),
    ("10,000", "10^4"),
    ("5\\text{ cm}", "5"),
    ("5 cm^2", "5"),
    ("6 \\text{ inches}", "6"),
    ("\\text{Tuesday}", "tuesday"),
    ("\\text{(B)}", "B"),
    ("1,-2", "-2,1"),
    ("\\{1,2\\}", "2 or 1"),
    ("2\\sqrt3", "\\sqrt{12}"),
    ("x^2+2x+1", "(x+1)^2"),
    ("1 \\pm \\sqrt{2}", "1-\\sqrt2, 1+\\sqrt2"),
    ("(-\\infty,1)\\cup(2,3)", "(2,3) \\cup (-\\infty, 1)"),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
    ("y=2x+1", "y = 1+2x"),
    ("\\$18.90", "18.9"),
    ("2\\pi r", "2 \\pi  r"),
    ("1011_2", "1011_{2}"),
    ("100!/99!", "100"),
    ("\\sqrt[3]{-8}", "-2"),
]
DIFFERENT = [
    ("1/2", "1/3"),
    ("(1,2)", "(2,1)"),
    ("(0,1)", "[0,1]"),
    ("2xy", "2"),
    ("0.333", "1/3"),
    ("x+1", "x-1"),
    ("A", "B"),
    ("1,2", "1,2,3"),
    ("7", "(7,8)"),
    ("2^{100}+1", "2^{100}"),
    ("1011_2", "1011"),
    ("", "5"),
    ("x", "y"),
    ("9^{9^{9^9}}", "1"),
    ("1/0", "2/0"),
    ("__import__('os')", "5"),
]
DIGITS = st.integers(0, 999).map(str)
ATOMS = st.one_of(DIGITS, st.sampled_from(["x", "\\pi", "\\frac{1}{2}", "\\sqrt{2}", "(a+b)"]))
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"\\frac{{{pair[0]}}}{{{pair[1]}}}"),
        inner.map(lambda one: f"({one})"),
    ),
    max_leaves=6,
)
ANSWERS = st.one_of(
    EXPRESSIONS,
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda pair: f"({pair[0]}, {pair[1]})"),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(", ".join),
)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_an_answer_are_one(one: str, other: str) -> None:
    assert same_answer(one, other)
    assert same_answer(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_answers_that_differ_are_told_apart(one: str, other: str) -> None:
    assert not same_answer(one, other)
    assert not same_answer(other, one)


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_the_same_as_itself(text: str) -> None:
    assert same_answer(text, text)


@given(ANSWERS)
def test_spaces_and_sizes_of_brackets_do_not_matter(answer: str) -> None:
    spaced = "".join(f" {letter} " if letter in "+-*/(),{}" else letter for letter in answer)
    sized = answer.replace("(", "\\left(").replace(")", "\\right)")
    assert normal(spaced) == normal(answer) == normal(sized)
    assert same_answer(spaced, answer)


@given(ANSWERS)
def test_braces_dollars_and_a_full_stop_around_an_answer_do_not_matter(answer: str) -> None:
    assert normal(f"{{{answer}}}") == normal(f"${answer}$.") == normal(answer)


@given(ANSWERS, ANSWERS)
def test_which_of_two_answers_is_the_reference_does_not_matter(one: str, other: str) -> None:
    assert same_answer(one, other) is same_answer(other, one)


@pytest.mark.parametrize(
    "hostile", ["(" * 1999, "\\sqrt" * 300, "2^" * 900 + "2", "1+" * 900 + "1", "x!" * 900]
)
def test_an_answer_made_to_exhaust_the_reader_is_only_wrong(hostile: str) -> None:
    assert not same_answer(hostile, "5")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so \\boxed{\\frac{1}{2}} or \\boxed{\\{1\\}}.", "\\{1\\}"),
        ("\\boxed{1} and \\boxed{2", "1"),
        ("Then\n#### 18", "18"),
        ("The answer is: **42**.\nBye", "42"),
        ("x + 1", "x + 1"),
        ("first 3\nthen 4 apples", "4"),
        ("no idea\nat all", ""),
    ],
)
def test_the_final_answer_is_found_where_solutions_put_it(text: str, found: str) -> None:
    assert final_answer(text) == found


def test_a_box_that_is_never_closed_is_none() -> None:
    assert last_boxed("\\boxed{1 + {2}") is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("output", "kind", "passed"),
    [
        ("It makes $18 in all.\n#### 18 dollars", "number", True),
        ("He has 18 or 19", "number", False),
        (18, "number", True),
        (18.0, "any", True),
        ("\\boxed{1,800}", "number", False),
        (None, "any", False),
        pytest.param(10**5000, "any", False, id="huge"),
        ({"n": 18}, "any", False),
    ],
)
async def test_a_number_is_scored_among_words_only_if_asked(
    output: Any, kind: str, passed: bool
) -> None:
    assert (await math_answer(output, {"answer": "18", "kind": kind})).passed is passed


@pytest.mark.anyio
async def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(InputError, match=r"check math_answer: .*answer"):
        await math_answer("1", {"answer": " "})
