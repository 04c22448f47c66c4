"""LLM-based algorithms: chunks side by side, exact aggregation, and as many calls as the analysis says."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.llm_algorithms import calls, llm_algorithms
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Budget, Runner, Task
from agentflow.errors import (
    BudgetExceededError,
    ExpansionError,
    InputError,
    MalformedReplyError,
    ModelRequestError,
)
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

NUMBERS = [31, 4, 15, 92, 65, 35, 89, 79, 32, 38, 46]


def chunk_of(prompt: str) -> Any:
    """Return the chunk that a prompt shows."""
    return json.loads(re.search(r"^items:\n(.*)$", prompt, re.MULTILINE)[1])  # type: ignore[index]


def over(*items: Any, **more: Any) -> Task:
    return Task(goal="Do it.", inputs={"items": list(items)}, **more)


def right(work: Callable[[list[Any]], Any], field: str) -> Callable[[str], str]:
    """Answer each chunk rightly."""
    return lambda prompt: json.dumps({field: work(chunk_of(prompt))})


@pytest.mark.parametrize("chunk", [1, 3, 4, 11, 100])
async def test_counts_maxima_and_orders_are_exact_when_every_chunk_is_right(
    chunk: int, journal: str
) -> None:
    def even(items: list[int]) -> int:
        return sum(item % 2 == 0 for item in items)

    for pattern, answer, exact in [
        ("counting", right(even, "count"), even(NUMBERS)),
        ("max", right(max, "answer"), max(NUMBERS)),
        ("sorting", right(sorted, "answer"), sorted(NUMBERS)),
    ]:
        model = Acting(answer)
        result = await solved(
            llm_algorithms, model, over(*NUMBERS), journal=journal, pattern=pattern, chunk=chunk
        )
        assert result.output.output == exact
        assert len(model.asked) == calls(len(NUMBERS), chunk) == -(-len(NUMBERS) // chunk)
        assert f"11 items in {len(model.asked)} chunks" in notes_of(result)


async def test_chunks_are_asked_about_side_by_side(journal: str) -> None:
    model = Meeting(right(sorted, "answer"), ["[31, 4]", "[15, 92]", "[65]"])
    task = over(*NUMBERS[:5])
    result = await solved(llm_algorithms, model, task, journal=journal, pattern="sorting", chunk=2)
    assert result.output.output == [4, 15, 31, 65, 92]


async def test_strings_are_sorted_too_and_the_other_way_round(journal: str) -> None:
    model = Acting(right(lambda items: sorted(items, reverse=True), "answer"))
    task = over("pear", "fig", "plum", "apple", "fig")
    result = await solved(
        llm_algorithms, model, task, journal=journal, pattern="sorting", chunk=2, descending=True
    )
    assert result.output.output == ["plum", "pear", "fig", "fig", "apple"]
    assert "The largest comes first." in model.asked[0]


@pytest.mark.parametrize(
    ("pattern", "bad", "said"),
    [
        ("sorting", [4], "31 is missing"),
        ("sorting", [4, 31, 31], "31.0 is not among the items, or there too often"),
        ("sorting", [31, 4], "31.0 comes before 4.0"),
        ("max", 32, "32.0 is not among the items"),
    ],
)
async def test_a_chunk_that_is_not_sound_is_asked_for_again_and_never_used(
    pattern: str, bad: Any, said: str, journal: str
) -> None:
    good = {"sorting": [4, 31], "max": 31}[pattern]
    replies = [bad, good, bad, bad, bad]

    def answer(_prompt: str) -> str:
        return json.dumps({"answer": replies.pop(0)})

    model = Acting(answer)
    options: dict[str, Any] = {"pattern": pattern, "journal": journal}
    result = await solved(llm_algorithms, model, over(31, 4), **options)
    assert result.output.output == good
    assert said.replace(".0", "") in model.asked[1].replace(".0", "")
    with pytest.raises(ExpansionError, match="nothing sound in 3 attempts; the last: "):
        await solved(llm_algorithms, model, over(31, 4), **options)


async def test_retrieval_takes_what_most_chunks_with_an_answer_say(journal: str) -> None:
    def answer(prompt: str) -> str:
        said = chunk_of(prompt)[0]
        return json.dumps({"found": said != "hay", "answer": None if said == "hay" else said})

    task = over("hay", "key 3", "hay", "key 7", "key 7")
    options: dict[str, Any] = {"pattern": "retrieval", "chunk": 1}
    result = await solved(llm_algorithms, Acting(answer), task, journal=journal, **options)
    assert result.output.output == "key 7"
    assert "3 of 5 chunks hold an answer, 2 of them the same" in notes_of(result)
    tie = over("hay", "key 3", "key 7")
    result = await solved(llm_algorithms, Acting(answer), tie, journal=journal, **options)
    assert result.output.output == "key 3", "the first of equals"
    with pytest.raises(ExpansionError, match="no chunk holds the answer"):
        await solved(llm_algorithms, Acting(answer), over("hay"), journal=journal, **options)


async def test_retrieval_answers_in_the_shape_of_the_task(journal: str) -> None:
    model = Acting(lambda _prompt: '{"found": true, "answer": 7}')
    task = over("key 7", output_schema={"type": "integer"})
    result = await solved(llm_algorithms, model, task, journal=journal, pattern="retrieval")
    assert result.output.output == 7


async def test_map_reduce_combines_in_groups_in_the_order_of_the_text(journal: str) -> None:
    def answer(prompt: str) -> str:
        if "Combine them" not in prompt:
            return "+".join(chunk_of(prompt))
        parts = re.findall(r"^\d+\. (.*)$", prompt, re.MULTILINE)
        whole = "+".join(parts)
        return json.dumps({"all": whole}) if "JSON of this schema" in prompt else whole

    schema = {"type": "object", "properties": {"all": {"type": "string"}}}
    task = Task(
        goal="Sum up.", inputs={"items": "a\nb\nc\nd\ne", "about": "letters"}, output_schema=schema
    )
    model = Acting(answer)
    result = await solved(
        llm_algorithms, model, task, journal=journal, chunk=1, fan_in=2, over="items"
    )
    assert result.output.output == {"all": "a+b+c+d+e"}
    assert len(model.asked) == calls(5, 1, 2) == 5 + 3 + 2 + 1
    assert all("about:\nletters" in prompt for prompt in model.asked)
    assert not any("items:" in prompt for prompt in model.asked[5:]), "the text is not sent again"


async def test_a_chunk_that_fails_takes_the_run_with_it(journal: str) -> None:
    def answer(prompt: str) -> str:
        return "many" if "15" in prompt or "fit" in prompt else '{"count": 1}'

    with pytest.raises(MalformedReplyError):
        await solved(
            llm_algorithms,
            Acting(answer),
            over(*NUMBERS),
            journal=journal,
            pattern="counting",
            chunk=2,
        )


async def test_a_resumed_run_asks_about_no_finished_chunk_again(journal: str) -> None:
    def answer(prompt: str) -> str:
        if "Combine them" in prompt and len(model.asked) == 4:
            raise ModelRequestError(model="scripted:model", problem="down")
        return "fine"

    model = Acting(answer)
    runner = Runner(journal=journal, model=model)
    with pytest.raises(ModelRequestError):
        await runner.run_as("r1", llm_algorithms, over(*NUMBERS), chunk=4)
    assert len(model.asked) == 4
    result = await runner.resume(llm_algorithms, "r1")
    assert result.output.output == "fine"
    assert len(model.asked) == 5, "the combining call alone"


async def test_the_budget_of_the_run_bounds_the_calls(journal: str) -> None:
    model = Acting(lambda _prompt: '{"count": 1}')
    runner = Runner(journal=journal, model=model, budget=Budget(steps=6))
    with pytest.raises(BudgetExceededError):
        await runner.run_async(llm_algorithms, over(*NUMBERS), pattern="counting", chunk=1)
    assert len(model.asked) < 6


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        ({}, {}, "give the input to split"),
        ({"items": []}, {}, "give the input to split"),
        ({"items": 3}, {}, "give the input to split"),
        ({"a": [1], "b": [2]}, {}, r"give the input to split.*\(inputs: a, b\)"),
        ({"a": [1]}, {"over": "b"}, "give the input to split"),
        ({"a": [1, "x"]}, {"pattern": "sorting"}, "must all be numbers, or all strings"),
        ({"a": [True]}, {"pattern": "max"}, "must all be numbers, or all strings"),
        ({"a": [1.0, float("nan")]}, {"pattern": "max"}, "must all be numbers, or all strings"),
        ({"a": [[1]]}, {"pattern": "max"}, "must all be numbers, or all strings"),
        ({"a": [1]}, {"chunk": 0}, "chunk"),
    ],
)
async def test_what_cannot_be_split_or_compared_is_a_typed_error(
    inputs: dict[str, Any], options: dict[str, Any], said: str, journal: str
) -> None:
    task = Task(goal="Do it.", inputs=inputs)
    with pytest.raises(InputError, match=said):
        await solved(llm_algorithms, Acting(str), task, journal=journal, **options)


@given(st.integers(1, 500), st.integers(1, 50), st.integers(2, 9))
def test_the_calls_of_the_analysis_are_those_of_a_tree(n: int, chunk: int, fan_in: int) -> None:
    parts = calls(n, chunk)
    assert (parts - 1) * chunk < n <= parts * chunk
    assert parts < calls(n, chunk, fan_in) <= 2 * parts + 10
