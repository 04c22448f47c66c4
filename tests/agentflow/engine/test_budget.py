"""One budget per tree: refusals are typed, early and recorded."""

import anyio
import pytest

from agentflow import Budget, Runner, amounts_left, budget_left, flow, generate, parallel, tool
from agentflow.budget import Budget as Limits
from agentflow.engine.ledger import Ledger
from agentflow.errors import BudgetExceededError, ModelError
from agentflow.models.protocol import Price, Usage
from tests.parts import Scripted

pytestmark = pytest.mark.anyio


def runner(model: Scripted | None = None, **limits: float) -> Runner:
    return Runner(journal=":memory:", model=model, budget=Budget.model_validate(limits))


@flow
async def deeper(left: int) -> int:
    return 0 if left == 0 else 1 + await deeper(left - 1)


@flow
async def wider(count: int) -> int:
    return len(await parallel(deeper(0) for _ in range(count)))


@flow
async def says(prompt: str, times: int = 1) -> str:
    texts = [(await generate(prompt)).text for _ in range(times)]
    return texts[-1]


async def test_a_tree_within_its_limits_runs() -> None:
    assert (await runner(depth=3, steps=4).run_async(deeper, 3)).output == 3
    assert (await runner(width=5, steps=6).run_async(wider, 5)).output == 5


@pytest.mark.parametrize(("limits", "kind"), [({"depth": 3}, "depth"), ({"steps": 4}, "steps")])
async def test_depth_and_steps_are_refused_beyond_the_limit(
    limits: dict[str, float], kind: str
) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        await runner(None, **limits).run_async(deeper, 4)
    assert caught.value.kind == kind
    assert f"raise `budget.{kind}`" in str(caught.value)


async def test_width_counts_the_children_of_one_step() -> None:
    with pytest.raises(BudgetExceededError, match="width"):
        await runner(width=5).run_async(wider, 6)


@flow
async def handles_refusal() -> str:
    try:
        await deeper(5)
    except BudgetExceededError as refusal:
        return f"did without: {refusal.kind}"
    return "all done"


async def test_a_parent_can_handle_a_refusal_and_the_record_shows_it() -> None:
    result = await runner(depth=2).run_async(handles_refusal)
    assert result.output == "did without: depth"
    assert [step.status for step in result.record.steps.values()].count("refused") == 1


async def test_tokens_are_refused_before_they_are_spent() -> None:
    model = Scripted(lambda _prompt: "one two three")
    with pytest.raises(BudgetExceededError, match="tokens"):
        await runner(model, tokens=60).run_async(says, "a prompt of a few words", times=99)
    words = sum(len(prompt.split()) + 3 for prompt in model.asked)
    assert 0 < words <= 60


async def test_a_reply_is_capped_to_what_is_left() -> None:
    granted: list[int | None] = []

    class Watched(Scripted):
        async def complete(self, request, on_text):  # type: ignore[no-untyped-def]
            granted.append(request.max_tokens)
            return await super().complete(request, on_text)

    await runner(Watched(lambda _prompt: "ok"), tokens=200).run_async(says, "hi")
    assert granted[0] is not None
    assert 0 < granted[0] < 200


async def test_money_is_counted_by_the_models_price() -> None:
    model = Scripted(lambda _prompt: "yes", price=Price(input=1e4, output=2e4))
    result = await runner(model).run_async(says, "a b c d")
    assert result.cost_usd == pytest.approx((4 * 1e4 + 1 * 2e4) / 1e6)
    with pytest.raises(BudgetExceededError, match="usd"):
        await runner(model, usd=0.01).run_async(says, "a b c d")


async def test_a_budget_in_dollars_needs_a_known_price() -> None:
    with pytest.raises(ModelError, match="price is unknown"):
        await runner(Scripted(lambda _prompt: "yes"), usd=1.0).run_async(says, "hi")


async def test_unknown_prices_are_not_zero() -> None:
    result = await runner(Scripted(lambda _prompt: "yes")).run_async(says, "hi")
    assert result.cost_usd is None


@tool
async def hang() -> None:
    """Never return."""
    await anyio.sleep_forever()


@flow
async def asks_a_silent_model() -> str:
    return (await generate("hello")).text


async def test_wall_time_cuts_a_model_call_short() -> None:
    class Silent(Scripted):
        async def complete(self, request, on_text):  # type: ignore[no-untyped-def] # noqa: ARG002
            await anyio.sleep_forever()

    with pytest.raises(BudgetExceededError, match="seconds"):
        await runner(Silent(lambda _prompt: ""), seconds=0.05).run_async(asks_a_silent_model)


async def test_wall_time_cuts_a_tool_short() -> None:
    @flow
    async def calls() -> None:
        await hang()

    with pytest.raises(BudgetExceededError, match="seconds"):
        await runner(seconds=0.05).run_async(calls)


def test_promised_tokens_come_back_when_a_call_fails() -> None:
    ledger = Ledger(Limits(tokens=100))
    held = ledger.reserve("call", 80, 0.0)
    assert ledger.tokens_left() == 20
    ledger.release(held)
    ledger.release(held)
    assert ledger.tokens_left() == 100


@flow
async def reads_budget() -> str:
    return budget_left()


async def test_the_planner_can_read_what_is_left_in_words() -> None:
    assert (await runner(tokens=500, depth=3).run_async(reads_budget)).output == (
        "left: 500 tokens, 3 levels of depth"
    )


@flow
async def reads_amounts() -> dict[str, float]:
    return amounts_left()


async def test_a_flow_can_read_what_is_left_as_numbers() -> None:
    left = (
        await runner(tokens=500, steps=7, usd=2.0, seconds=60.0).run_async(reads_amounts)
    ).output
    assert left == {"tokens": 500, "usd": 2.0, "steps": 6}


def test_trees_that_draw_on_one_account_stop_together() -> None:
    shared = Ledger(Limits(tokens=100))
    first, second = Ledger(Limits(tokens=90), within=shared), Ledger(Limits(), within=shared)
    first.settle(first.reserve("call", 50, 0.0), Usage(input_tokens=60), 0.5)
    assert (shared.tokens_left(), first.tokens_left()) == (40, 30)
    with pytest.raises(BudgetExceededError, match="tokens"):
        second.reserve("call", 41, 0.0)
    assert (shared.usage.total_tokens, shared.cost_usd) == (60, 0.5)
    second.release(second.reserve("call", 40, 0.0))
    assert shared.tokens_left() == 40


def test_a_call_that_its_own_budget_refuses_takes_nothing_from_the_shared_account() -> None:
    shared = Ledger(Limits(tokens=100))
    with pytest.raises(BudgetExceededError):
        Ledger(Limits(tokens=10), within=shared).reserve("call", 20, 0.0)
    assert shared.tokens_left() == 100


async def test_a_limit_that_others_share_changes_no_request() -> None:
    limits: list[int | None] = []

    class Curious(Scripted):
        async def complete(self, request, on_text):  # type: ignore[no-untyped-def]
            limits.append(request.max_tokens)
            return await super().complete(request, on_text)

    model = Curious(lambda _prompt: "so")
    shared = Ledger(Limits(tokens=5000))
    alone = Runner(model=model, journal=":memory:", within=shared)
    await alone.run_async(asks_a_silent_model)
    await Runner(
        model=model, journal=":memory:", within=shared, budget=Budget(tokens=900)
    ).run_async(asks_a_silent_model)
    assert limits[0] is None
    assert limits[1] is not None
    assert 0 < shared.usage.total_tokens < 5000
