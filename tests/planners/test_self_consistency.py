"""Self-consistency: chains side by side, typed votes, seeded ties, stopping and abstaining."""

import itertools
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import anyio
import pytest
from agentflow_planners.functions.consensus import cannot_be_caught
from agentflow_planners.self_consistency import self_consistency
from agentflow_planners.shared.votes import ballots, same_key
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Budget, Runner, Task
from agentflow.errors import BudgetExceededError, CredentialsError, ExpansionError
from agentflow.models.protocol import ModelSpec, Reply, Request
from tests.planners.scripts import Acting, in_turn, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="How many eggs?")


def answers(*values: str) -> Callable[[str], str]:
    return in_turn(*(f"Thinking.\nAnswer: {value}" for value in values))


async def test_the_majority_of_the_answers_wins(journal: str) -> None:
    model = Acting(answers("9", "18", "18.0", "26", "$18."))
    result = await solved(self_consistency, model, TASK, journal=journal, samples=5)
    assert same_key(result.output.output) == same_key(18)
    assert "3 of 5 chains came to the answer" in notes_of(result)


async def test_the_chains_run_side_by_side(journal: str) -> None:
    class Together(Acting):
        asked_for, everybody = 0, anyio.Event()

        async def complete(self, request: Request, on_text: Any) -> Reply:
            Together.asked_for += 1
            if Together.asked_for == 4:
                self.everybody.set()
            await self.everybody.wait()
            return await super().complete(request, on_text)

    model = Together(answers("1", "1", "1", "1"))
    await solved(self_consistency, model, TASK, journal=journal, samples=4)


async def test_a_tie_is_broken_by_the_seed_alone(journal: str) -> None:
    async def winner(seed: int) -> Any:
        model = Acting(answers("1", "2", "2", "1"))
        result = await solved(self_consistency, model, TASK, journal=journal, samples=4, seed=seed)
        assert "2 answers were level" in notes_of(result)
        return result.output.output

    found = [await winner(seed) for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert set(found) == {"1", "2"}


async def test_waves_stop_when_the_leader_cannot_be_caught(journal: str) -> None:
    model = Acting(answers("1", "1", "2", "1", "1", "1"))
    result = await solved(self_consistency, model, TASK, journal=journal, samples=7, wave=2)
    assert result.output.output == "1"
    assert len(model.asked) == 6, "after four it is 3 to 1 with three left; after six 5 to 1"


async def test_it_abstains_below_the_share_asked_for(journal: str) -> None:
    model = Acting(answers("1", "2", "3", "1"))
    too_few = pytest.raises(ExpansionError, match="has 50% of the chains, less than 60%")
    with too_few:
        await solved(self_consistency, model, TASK, journal=journal, samples=4, abstain_below=0.6)


async def test_a_chain_without_an_answer_has_no_vote_and_is_counted(journal: str) -> None:
    model = Acting(lambda prompt: "" if "nothing else" in prompt else replies.pop(0))
    replies = ["", "Answer: 3", "Answer: 3"]
    result = await solved(self_consistency, model, TASK, journal=journal, samples=3)
    assert result.output.output == "3"
    assert "2 of 3 chains came to the answer, 1 gave none" in notes_of(result)


async def test_without_any_answer_the_first_failure_is_raised(journal: str) -> None:
    with pytest.raises(ExpansionError, match="gave no answer"):
        await solved(self_consistency, Acting(lambda _prompt: ""), TASK, journal=journal, samples=2)


async def test_a_budget_that_covers_some_chains_lets_these_vote(journal: str) -> None:
    runner = Runner(
        journal=journal, model=Acting(lambda _prompt: "Answer: 3"), budget=Budget(steps=6)
    )
    result = await runner.run_async(self_consistency, TASK, samples=4)
    assert result.output.output == "3"
    poor = Runner(
        journal=journal, model=Acting(lambda _prompt: "Answer: 3"), budget=Budget(steps=1)
    )
    with pytest.raises(BudgetExceededError):
        await poor.run_async(self_consistency, TASK, samples=4)


async def test_a_failure_that_is_no_ones_vote_is_raised(journal: str) -> None:
    def locked(_prompt: str) -> str:
        raise CredentialsError(model="scripted:model", problem="no key")

    with pytest.raises(CredentialsError):
        await solved(self_consistency, Acting(locked), TASK, journal=journal)


async def test_samples_of_a_local_model_differ_by_seed_and_of_a_hosted_one_by_chance(
    journal: str,
) -> None:
    hosted, local = Acting(lambda _prompt: "Answer: 3"), Acting(lambda _prompt: "Answer: 3")
    local.spec = ModelSpec(provider="gguf", name="model", retries=0)
    for model in (hosted, local):
        await solved(self_consistency, model, TASK, journal=journal, samples=2)
    assert [(request.temperature, request.seed) for request in hosted.requests] == [
        (None, None)
    ] * 2
    assert [(request.temperature, request.seed) for request in local.requests] == [
        (0.7, 0),
        (0.7, 1),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (18, 18.0),
        ("18", "$18.00"),
        ("1,234", "1234"),
        (" Paris. ", "paris"),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}),
        (0.1 + 0.2, 0.3),
        (10**400, 10**400),
    ],
)
def test_the_same_answer_in_another_form_is_one_answer(one: Any, other: Any) -> None:
    assert same_key(one) == same_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(True, 1), (None, "none"), ("a b", "ab"), ([1, 2], [2, 1]), ({"a": 1}, {"a": True}), (1, [1])],
)
def test_different_answers_are_two(one: Any, other: Any) -> None:
    assert same_key(one) != same_key(other)


def test_ballots_are_in_the_order_of_votes_then_of_the_first_vote() -> None:
    found = ballots(["b", "a", "c", "a", "c"])
    assert [(ballot.answer, ballot.voters) for ballot in found] == [
        ("a", (1, 3)),
        ("c", (2, 4)),
        ("b", (0,)),
    ]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), st.integers(0, 3))
def test_who_cannot_be_caught_wins_whatever_comes(cast: Sequence[str], left: int) -> None:
    found = ballots(cast)
    if not cannot_be_caught([len(ballot.voters) for ballot in found], left):
        return
    for rest in itertools.product("abcd", repeat=left):
        end = ballots([*cast, *rest])
        assert end[0].answer == found[0].answer
        assert len(end) == 1 or len(end[0].voters) > len(end[1].voters)


def test_a_number_is_compared_to_nine_digits() -> None:
    assert same_key(float(Decimal("1.0000000001"))) == same_key(1)
    assert same_key(1.0001) != same_key(1)
