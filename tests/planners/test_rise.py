"""RISE: turns that see the last attempts, where they stop, how they vote, and what is exported of them."""

import math
from pathlib import Path

import pytest
from agentflow_planners.rise import rise

from agentflow import Journal, Named, Runner, Task
from agentflow.errors import ExpansionError, ModelRequestError
from agentflow.journal.records import RunRecord
from agentflow.training import Filters, collect, write
from tests.planners.scripts import Acting, in_turn, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="What is 6 times 7?", output_schema={"type": "integer"})
RIGHT = Named(name="numeric", options={"value": 42})
EXPORT = Filters(keep=1, only="all-model-calls")


def says(number: int) -> str:
    return f"I think.\nAnswer: {number}"


async def test_it_stops_at_the_first_right_answer(journal: str) -> None:
    model = Acting(in_turn(says(40), says(41), says(42), says(43)))
    result = await solved(rise, model, TASK, journal=journal, verify=RIGHT)
    assert result.output.output == 42
    assert len(model.asked) == 3


async def test_a_turn_sees_the_last_two_attempts_and_never_the_verifiers_words(
    journal: str,
) -> None:
    model = Acting(in_turn(*map(says, (1, 2, 3, 4, 5))))
    await solved(rise, model, TASK, journal=journal, verify=RIGHT)
    said = [[turn.text for turn in each.messages] for each in model.requests]
    attempts = [[text for text in texts if text.startswith("I think")] for texts in said]
    assert attempts == [
        [],
        [says(1)],
        [says(1), says(2)],
        [says(2), says(3)],
        [says(3), says(4)],
    ]
    assert "What is 6 times 7?" in said[4][1], "the task is always shown"
    assert not any("42" in text for texts in said for text in texts)


async def test_without_a_verifier_every_turn_is_made_and_the_most_frequent_answer_wins(
    journal: str,
) -> None:
    model = Acting(in_turn(*map(says, (40, 42, 41, 42, 43))))
    result = await solved(rise, model, TASK, journal=journal)
    assert result.output.output == 42
    assert len(model.asked) == 5
    assert "2 of 5 votes" in notes_of(result)


async def test_only_the_attempts_with_the_highest_reward_vote(journal: str) -> None:
    task = Task(goal="Name fruit.")
    share = Named(name="contains", options={"all": ["fig"], "ignore_case": True})
    model = Acting(in_turn("Answer: plum", "Answer: plum", "Answer: a fig"))
    result = await solved(rise, model, task, journal=journal, turns=3, verify=share)
    assert result.output.output == "a fig"


async def test_a_later_turn_takes_the_best_of_its_samples(journal: str) -> None:
    model = Acting(in_turn(says(1), says(2), says(42), says(3)))
    result = await solved(rise, model, TASK, journal=journal, samples=3, verify=RIGHT)
    assert result.output.output == 42
    assert len(model.asked) == 4, "one attempt in the first turn, three in the second"


async def test_an_attempt_without_an_answer_has_no_vote_and_costs_no_further_call(
    journal: str,
) -> None:
    model = Acting(in_turn("Hm.", "Answer: seven", says(42)))
    result = await solved(rise, model, TASK, journal=journal, turns=3)
    assert result.output.output == 42
    with pytest.raises(ExpansionError, match="none of 2 attempts states an answer"):
        await solved(rise, Acting(in_turn("Hm.", "")), TASK, journal=journal, turns=2)


def weights_of(record: RunRecord) -> dict[int, float]:
    """Return the weight of each call of a model, by its step: the note of the attempt it belongs to."""
    return {
        child.number: noted.details["weight"]
        for step in record.steps.values()
        for noted in step.notes
        if "weight" in noted.details
        for child in step.children
        if child.kind == "model"
    }


async def test_an_export_has_the_improving_attempts_with_their_weights(
    journal: str, tmp_path: Path
) -> None:
    model = Acting(in_turn(says(40), says(41), says(42)))
    result = await solved(rise, model, TASK, journal=journal, verify=RIGHT, tau=0.5)
    with Journal(journal) as opened:
        data = collect(opened, [result.id], EXPORT)
        whole = collect(opened, [result.id], EXPORT.model_copy(update={"failed": True}))
    assert [pair.reply.text for pair in data.pairs] == [says(42)]
    shown = [turn.text for turn in data.pairs[0].prompt if turn.role == "assistant"]
    assert shown == [says(40), says(41)], "it learns to get from these to a right one"
    weights = weights_of(result.record)
    assert [weights[pair.origin.step] for pair in whole.pairs] == [1.0, 1.0, math.exp(1 / 0.5)]
    assert data.pairs[0].origin.name == "turn 3.2"
    write(data, tmp_path / "pairs.jsonl", "prompt-completion")
    assert (tmp_path / "pairs.jsonl").read_text().count("\n") == 1


async def test_an_attempt_that_is_no_better_is_not_exported_even_if_it_has_a_reward(
    journal: str,
) -> None:
    task = Task(goal="Name fruit.")
    share = Named(name="mentions", options={"reference": ["fig", "plum"]})
    said = ("Answer: fig", "Answer: a fig", "Answer: fig and plum")
    model = Acting(in_turn(*said))
    result = await solved(rise, model, task, journal=journal, verify=share)
    with Journal(journal) as opened:
        data = collect(opened, [result.id], EXPORT)
    assert [pair.reply.text for pair in data.pairs] == [said[0], said[2]]


async def test_the_trajectory_has_rewards_and_weights(journal: str) -> None:
    model = Acting(in_turn(says(40), says(42)))
    result = await solved(
        rise, model, TASK, journal=journal, verify=RIGHT, tau=2.0, trajectory=True
    )
    output = result.output.output
    assert output["answer"] == 42
    rows = [(row["answer"], row["reward"], row["improves"]) for row in output["turns"]]
    assert rows == [(40, 0.0, False), (42, 1.0, True)]
    assert [row["weight"] for row in output["turns"]] == [1.0, math.exp(0.5)]


async def test_a_run_that_was_cut_off_goes_on_where_it_stood(journal: str) -> None:
    replies = [says(40), says(41), says(42)]

    def refuses(_prompt: str) -> str:
        if len(replies) == 1:
            raise ModelRequestError(model="scripted:model", problem="no")
        return replies.pop(0)

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(refuses)).run_as("cut", rise, TASK, verify=RIGHT)
    rest = Acting(in_turn(*replies))
    resumed = await Runner(journal=journal, model=rest).resume(rise, "cut")
    assert resumed.output.output == 42
    assert len(rest.asked) == 1
