"""Facts that an answer mentions."""

from typing import Any

import pytest
from agentflow_evals.scorers.mentions import mentions

from agentflow.errors import InputError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("Brasília", "It is BRASILIA.", 1),
        ({"Macau": 680000}, "Macau has 680,000 people", 1),
        ({"Macau": 680000.0}, {"Macau": 680000}, 1),
        ({"Kia": 68.9}, "The Kia is 68.9 inches high", 1),
        ({"Kia": 68.9}, "The Kia is 68.95 inches high", 0.5),
        (["$1.027 billion", "J. J. Abrams"], "J.J. Abrams made $1.027 billion", 1),
        (["Art", "9"], "Party on 19 May", 0),
        (True, "Yes, it does.", 1),
        (["a", ["b", {"c": None}]], "a c", 2 / 3),
        ("x", None, 0),
    ],
)
async def test_the_share_of_facts_is_the_value(reference: Any, answer: Any, value: float) -> None:
    found = await mentions(answer, {"reference": reference})
    assert found.value == pytest.approx(value)
    assert found.passed is (value == 1)


async def test_a_missing_fact_is_named() -> None:
    found = await mentions("Ada", {"reference": ["Ada", "Lovelace"]})
    assert found.explanation == "1 of 2 facts are missing, such as 'Lovelace'"


@pytest.mark.parametrize("reference", [None, [], {}, "...", [None]])
async def test_a_reference_without_a_fact_is_a_mistake(reference: Any) -> None:
    with pytest.raises(InputError, match=r"check mentions: .*it holds no fact"):
        await mentions("x", {"reference": reference})


async def test_a_deep_or_huge_answer_is_read_all_the_same() -> None:
    deep: Any = "Ada"
    for _ in range(5000):
        deep = [deep]
    assert (await mentions(deep, {"reference": "ada"})).passed
    assert not (await mentions("x " * 1_000_000, {"reference": "ada"})).passed
