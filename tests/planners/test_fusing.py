"""Vote, rank and fuse: small flows that take many answers to fewer."""

import json
from typing import Any

import pytest
from agentflow_planners.shared.fusing import (
    Candidate,
    Election,
    Voice,
    chosen_numbers,
    fuse,
    rank,
    surviving,
    vote,
)

from agentflow import Runner, Task, flow, generate
from agentflow.errors import ExpansionError, MalformedReplyError, ModelRequestError
from agentflow.models.protocol import ModelSpec
from tests.planners.scripts import Acting, in_turn, notes_of

pytestmark = pytest.mark.anyio

TASK = Task(goal="Name a town.")
THREE = tuple(Candidate(answer=town) for town in ("Ulm", "Bonn", "Trier"))


def order(*numbers: int) -> str:
    return json.dumps({"reason": "so", "numbers": numbers})


async def run(journal: str, called: Any, *args: Any, replies: tuple[str, ...] = ()) -> Any:
    runner = Runner(journal=journal, model=Acting(in_turn(*replies)))
    return (await runner.run_async(called, *args)).output


async def test_the_answer_given_most_often_wins_in_the_form_it_first_had(journal: str) -> None:
    elected = await run(journal, vote, ("9", "18", 18.0, "$18."))
    assert elected == Election(winner="18", votes=(3, 1), share=0.75, is_level=False)


async def test_among_equals_the_first_wins_and_the_vote_says_so(journal: str) -> None:
    elected = await run(journal, vote, ("b", "a"))
    assert (elected.winner, elected.is_level) == ("b", True)


async def test_a_ranking_keeps_the_best_in_its_order(journal: str) -> None:
    best = await run(journal, rank, TASK, THREE, 2, Voice(), replies=(order(3, 1, 2),))
    assert [one.answer for one in best] == ["Trier", "Ulm"]


async def test_what_a_ranking_leaves_out_or_repeats_comes_last_and_once(journal: str) -> None:
    best = await run(journal, rank, TASK, THREE, 3, Voice(), replies=(order(3, 3),))
    assert [one.answer for one in best] == ["Trier", "Ulm", "Bonn"]


async def test_one_candidate_is_ranked_without_a_call(journal: str) -> None:
    assert await run(journal, rank, TASK, THREE[:1], 1, Voice()) == THREE[:1]


async def test_a_ranking_of_other_answers_is_an_error(journal: str) -> None:
    with pytest.raises(MalformedReplyError):
        await run(journal, rank, TASK, THREE, 1, Voice(), replies=(order(4), order(), order(0)))


async def test_fusing_shows_every_answer_with_its_critique(journal: str) -> None:
    model = Acting(in_turn("Ulm and Bonn"))
    pair = (THREE[0], Candidate(answer="Bonn", critique="too far"))
    result = await Runner(journal=journal, model=model).run_async(fuse, TASK, pair, Voice())
    assert result.output == "Ulm and Bonn"
    assert "[1]\nUlm\n\n[2]\nBonn\n\nOf [2] a critic says:\ntoo far" in model.asked[0]


async def test_an_empty_fusion_is_an_error(journal: str) -> None:
    with pytest.raises(ExpansionError, match="reply is empty"):
        await run(journal, fuse, TASK, THREE, Voice(), replies=(" ",))


async def test_a_fusion_has_the_shape_that_the_task_wants(journal: str) -> None:
    task = TASK.model_copy(update={"output_schema": {"type": "integer"}})
    assert await run(journal, fuse, task, THREE, Voice(), replies=("7",)) == 7


async def test_branches_without_an_answer_are_noted_and_others_fail_the_run(journal: str) -> None:
    async def said(word: str) -> str:
        if word == "none":
            raise ExpansionError(step="answer", problem="empty")
        if word == "refused":
            raise ModelRequestError(model="scripted:model", problem="no")
        return word

    @flow
    async def drawn(words: tuple[str, ...]) -> list[str]:
        return await surviving(said(word) for word in words)

    result = await Runner(journal=journal).run_async(drawn, ("a", "none", "b"))
    assert result.output == ["a", "b"]
    assert "1 of 3 gave no answer" in notes_of(result)
    with pytest.raises(ExpansionError):
        await Runner(journal=journal).run_async(drawn, ("none",))
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal).run_async(drawn, ("a", "refused"))


async def test_no_number_may_be_chosen_where_none_is_asked_for(journal: str) -> None:
    @flow
    async def chosen() -> list[int]:
        return await chosen_numbers("Which?", 3, Voice())

    assert await run(journal, chosen, replies=(order(),)) == []


async def test_samples_of_a_local_voice_differ_by_seed_and_of_a_hosted_one_by_chance(
    journal: str,
) -> None:
    @flow
    async def options(voice: Voice) -> list[dict[str, Any]]:
        return [await voice.sample(number) for number in (0, 1)]

    local = [{"temperature": 0.7, "seed": 0}, {"temperature": 0.7, "seed": 1}]
    for name in ("gguf:small", "qwen2.5-coder-0.5b"):
        drawn = await run(journal, options, Voice(model=name))
        assert drawn == [{**one, "model": name} for one in local]
    hosted = {"cache": False, "model": "openai:big", "temperature": 1.0}
    drawn = await run(journal, options, Voice(model="openai:big", temperature=1.0))
    assert drawn == [hosted, hosted]


async def test_a_voice_without_a_model_samples_as_the_runs_model_does(journal: str) -> None:
    @flow
    async def asked(voice: Voice) -> Any:
        return (await generate("Go.", **await voice.sample(2))).text

    model = Acting(lambda _prompt: "gone")
    model.spec = ModelSpec(provider="gguf", name="model", retries=0)
    await Runner(journal=journal, model=model).run_async(asked, Voice(max_tokens=9))
    request = model.requests[0]
    assert (request.temperature, request.seed, request.max_tokens) == (0.7, 2, 9)
