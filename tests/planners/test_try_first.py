"""Trying first: few tries where they agree, division only where they fail."""

import pytest
from agentflow_planners.try_first import try_first

from agentflow import Runner
from tests.parts import shape
from tests.planners.coders import Coder, called, carried_out, code_task
from tests.planners.test_funcoder import DIVIDED, DOUBLE, HELPERS, PLAIN, RIGHT, TOTAL, WRONG

pytestmark = pytest.mark.anyio

OTHER = "def double(x: int) -> int:\n    return x * x"


async def test_two_tries_that_agree_and_pass_the_examples_are_enough() -> None:
    result, model = await carried_out(try_first, {"write double": RIGHT}, code_task(DOUBLE))
    assert called(result.output.output, "double(5)") == 10
    assert model.asked == ["write double"] * 2


async def test_it_draws_on_until_one_behaviour_leads() -> None:
    script = {"write double": [RIGHT, WRONG, RIGHT, RIGHT]}
    result, model = await carried_out(try_first, script, code_task(PLAIN))
    assert called(result.output.output, "double(5)") == 10
    assert model.asked == ["write double"] * 4


async def test_it_stops_when_the_leader_cannot_be_caught() -> None:
    script = {"write double": [RIGHT, WRONG, RIGHT, OTHER, RIGHT]}
    _, model = await carried_out(try_first, script, code_task(PLAIN), lead=5)
    assert model.asked.count("write double") == 5
    assert "divide double" not in model.asked


async def test_what_fails_the_examples_is_repaired_before_anything_is_divided() -> None:
    doc = DOUBLE.replace("double(2)\n    4", "double(3)\n    6")
    script = {"write double": WRONG, "repair double": RIGHT}
    result, model = await carried_out(try_first, script, code_task(doc), tries=3)
    assert called(result.output.output, "double(5)") == 10
    assert "divide double" not in model.asked


async def test_it_divides_when_the_tries_fail() -> None:
    doc = TOTAL.replace('text."""', 'text.\n\n    >>> total("1 2")\n    3\n    """')
    whole = "def total(text: str) -> int:\n    return add(numbers(text))"
    script = {
        "write total": whole,  # without its helpers it is no candidate
        "divide total": DIVIDED,
        **HELPERS,
    }
    result, model = await carried_out(try_first, script, code_task(doc), tries=2, samples=2)
    assert called(result.output.output, "total('4 5')") == 9
    assert "divide total" in model.asked


async def test_it_spends_a_fraction_of_what_funcoder_spends() -> None:
    from agentflow_planners.funcoder import funcoder

    script = {"write double": RIGHT, "divide double": RIGHT}
    small, _ = await carried_out(try_first, script, code_task(DOUBLE))
    large, _ = await carried_out(funcoder, script, code_task(DOUBLE))
    assert small.usage.total_tokens < 0.3 * large.usage.total_tokens


async def test_a_replay_asks_nobody(sqlite_journal: str) -> None:
    script = {"write double": [RIGHT, WRONG, RIGHT, RIGHT]}
    result, _ = await carried_out(try_first, script, code_task(PLAIN), journal=sqlite_journal)
    empty = Coder({})
    again = await Runner(model=empty, journal=sqlite_journal).replay(try_first, result.id)
    assert again.output == result.output
    assert shape(again.record) == shape(result.record)
    assert empty.asked == []
