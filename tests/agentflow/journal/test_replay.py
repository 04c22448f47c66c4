"""Replay is closed: no tool or model is called, and what does not fit is an error."""

import anyio
import pytest

from agentflow import Runner, ask, flow, parallel, tool
from agentflow.budget import Budget
from agentflow.errors import (
    AskError,
    BudgetExceededError,
    DriftError,
    MissingStepError,
    RecordedError,
    ToolError,
)
from tests.parts import shape

pytestmark = pytest.mark.anyio

calls: list[int] = []


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


@tool
async def square(x: int) -> int:
    """Return `x` squared, refusing 13."""
    calls.append(x)
    for _ in range(x % 5):
        await anyio.sleep(0)
    if x == 13:
        raise ValueError("unlucky")
    return x * x


@flow
async def squares(xs: list[int]) -> int:
    return sum(await parallel(square(x) for x in xs))


async def test_replay_calls_no_tool_and_gives_the_same_tree_and_output(journal: str) -> None:
    runner = Runner(journal=journal)
    result = await runner.run_async(squares, [3, 1, 2, 4])
    calls.clear()
    replayed = await runner.replay(squares, result.id)
    assert calls == []
    assert replayed.output == result.output
    assert shape(replayed.record) == shape(result.record)


@flow
async def survives(xs: list[int]) -> str:
    try:
        return str(await squares(xs))
    except ToolError as error:
        return f"{error.name} in {error.tool}"


async def test_a_recorded_failure_is_raised_again_and_siblings_fall_the_same_way(
    journal: str,
) -> None:
    runner = Runner(journal=journal)
    result = await runner.run_async(survives, [4, 13, 0, 9])
    assert result.output == "ValueError in square"
    calls.clear()
    replayed = await runner.replay(survives, result.id)
    assert calls == []
    assert replayed.output == result.output
    assert shape(replayed.record) == shape(result.record)


async def test_a_failed_run_replays_to_the_same_failure(journal: str) -> None:
    runner = Runner(journal=journal)
    with pytest.raises(ToolError, match="unlucky"):
        await runner.run_async(squares, [13])
    with pytest.raises(ToolError, match="unlucky"):
        await runner.replay(squares, "last")


async def test_a_refusal_is_replayed_without_a_budget(journal: str) -> None:
    with pytest.raises(BudgetExceededError, match="width"):
        await Runner(journal=journal, budget=Budget(width=2)).run_async(squares, [1, 2, 3])
    with pytest.raises(BudgetExceededError, match="width"):
        await Runner(journal=journal).replay(squares, "last")


async def test_another_input_to_a_step_is_drift(journal: str) -> None:
    offset = 0

    @flow
    async def shifted(x: int) -> int:
        return await square(x + offset)

    runner = Runner(journal=journal)
    result = await runner.run_async(shifted, 3)
    offset = 1
    with pytest.raises(DriftError, match=r'step 2 \(square\): input differs .*"x":3.*"x":4'):
        await runner.replay(shifted, result.id)


async def test_a_step_that_was_never_recorded_is_missing(journal: str) -> None:
    more = False

    @flow
    async def growing() -> int:
        first = await square(2)
        return first + (await square(3) if more else 0)

    runner = Runner(journal=journal)
    result = await runner.run_async(growing)
    more = True
    with pytest.raises(MissingStepError, match="holds no result for step 3"):
        await runner.replay(growing, result.id)
    assert calls == [2]


async def test_another_result_from_the_same_answers_is_drift(journal: str) -> None:
    factor = 1

    @flow
    async def scaled() -> int:
        return factor * await square(2)

    runner = Runner(journal=journal)
    result = await runner.run_async(scaled)
    factor = 2
    with pytest.raises(DriftError, match=r"result of step 1 \(scaled\)"):
        await runner.replay(scaled, result.id)


@flow
async def greets() -> str:
    return "hello " + await ask("who?", output=str)


async def test_a_persons_answer_is_recorded(journal: str) -> None:
    result = await Runner(journal=journal, ask=lambda question: question.text[:3]).run_async(greets)
    assert result.output == "hello who"
    assert (await Runner(journal=journal).replay(greets, result.id)).output == "hello who"


async def test_a_question_that_nobody_can_ever_answer_is_a_typed_error() -> None:
    with pytest.raises(AskError, match=r"ask 'who\?': nobody is there"):
        await Runner(journal=":memory:").run_async(greets)


async def test_the_order_of_finishing_is_replayed_so_races_fall_the_same_way(journal: str) -> None:
    @flow
    async def race(xs: list[int]) -> list[int]:
        finished: list[int] = []

        async def one(x: int) -> None:
            finished.append(await square(x))

        await parallel(one(x) for x in xs)
        return finished

    runner = Runner(journal=journal)
    result = await runner.run_async(race, [4, 9, 0, 3, 1, 2])
    assert result.output != [16, 81, 0, 9, 1, 4]
    assert (await runner.replay(race, result.id)).output == result.output


async def test_resume_repeats_nothing_that_was_finished(journal: str) -> None:
    lucky = False

    @tool
    async def risky(x: int) -> int:
        """Fail until luck turns."""
        calls.append(100 + x)
        if not lucky:
            raise ValueError("not yet")
        return x

    @flow
    async def two_parts() -> int:
        return await squares([2, 3]) + await risky(1)

    runner = Runner(journal=journal)
    with pytest.raises(ToolError):
        await runner.run_async(two_parts)
    assert calls == [2, 3, 101]
    lucky = True
    result = await runner.resume(two_parts, "last")
    assert result.output == 14
    assert calls == [2, 3, 101, 101]
    assert (await runner.replay(two_parts, result.id)).output == 14


async def test_resuming_with_another_input_is_drift(journal: str) -> None:
    offset = 0

    @flow
    async def shifted() -> int:
        return await square(3 + offset) + await square(13)

    runner = Runner(journal=journal)
    with pytest.raises(ToolError):
        await runner.run_async(shifted)
    offset = 1
    with pytest.raises(DriftError):
        await runner.resume(shifted, "last")


async def test_an_error_of_a_foreign_type_is_kept_by_name(journal: str) -> None:
    from agentflow.errors import rebuild

    error = rebuild("SomebodysError", "their words", {})
    assert isinstance(error, RecordedError)
    assert str(error) == "SomebodysError: their words"
