"""WideDeep: a reviewer for each aspect, both orders, neighbours' reviews, and no made-up scores."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.widedeep import widedeep

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, InputError, MalformedReplyError, ModelRequestError
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Explain rain.", inputs={"answers": ["Clouds.", "Water falls down."]})
SHOWN = re.compile(r"Answer 1:\n(.*)\n\nAnswer 2:\n(.*?)\n\n", re.DOTALL)
WORDS = Task(**{**TASK.model_dump(), "output_schema": {"type": "string"}})

Judge = Callable[[str, str], tuple[float, float]]


def reviewer(judge: Judge, aspects: tuple[str, ...] = ("truth", "style", "length")) -> Any:
    """Propose aspects, and score as `judge` does on the answers in the order shown."""

    def answer(prompt: str) -> str:
        if "points of view" in prompt:
            return json.dumps({"aspects": aspects})
        pair = SHOWN.findall(prompt)[0]
        first, second = judge(*pair)
        reason = f"compared {pair[0]}"
        return json.dumps({"reason": reason, "first": first, "second": second})

    return answer


def first_is_better(_first: str, _second: str) -> tuple[float, float]:
    return 9, 3


def longer_is_better(first: str, second: str) -> tuple[float, float]:
    return (8, 4) if len(first) > len(second) else (4, 8)


def longer_but_first_counts(first: str, second: str) -> tuple[float, float]:
    one, other = longer_is_better(first, second)
    return min(10, one + 5), other


@pytest.mark.parametrize("decide", ["average", "vote"])
async def test_a_judge_that_always_prefers_the_first_prefers_neither(
    journal: str, decide: str
) -> None:
    model = Acting(reviewer(first_is_better))
    result = await solved(widedeep, model, TASK, journal=journal, decide=decide)
    assert result.output.output == {
        "winner": "tie",
        "scores": [6.0, 6.0],
        "aspects": ["truth", "style", "length"],
    }


@pytest.mark.parametrize("decide", ["average", "vote"])
@pytest.mark.parametrize("answers", [["short", "much longer"], ["much longer", "short"]])
async def test_the_better_answer_wins_in_either_place_in_spite_of_a_bias(
    journal: str, answers: list[str], decide: str
) -> None:
    task = WORDS.model_copy(update={"inputs": {"answers": answers}})
    judge = longer_but_first_counts if decide == "average" else longer_is_better
    result = await solved(widedeep, Acting(reviewer(judge)), task, journal=journal, decide=decide)
    assert result.output.output == ("second" if answers[0] == "short" else "first")


async def test_every_aspect_has_a_neuron_in_every_layer_which_scores_both_orders(
    journal: str,
) -> None:
    model = Acting(reviewer(longer_is_better))
    result = await solved(widedeep, model, TASK, journal=journal)
    neurons = [step.name for step in result.record.steps.values() if step.name.startswith("neuron")]
    assert sorted(neurons) == [f"neuron {depth}.{place}" for depth in (1, 2) for place in (1, 2, 3)]
    assert len(model.asked) == 1 + 2 * 6
    orders = [SHOWN.findall(prompt)[0] for prompt in model.asked[1:]]
    assert orders.count(("Clouds.", "Water falls down.")) == 6
    assert "over 12 opinions" in notes_of(result)


async def test_the_second_layer_sees_its_own_and_its_neighbours_reviews_of_the_same_order(
    journal: str,
) -> None:
    model = Acting(reviewer(first_is_better))
    await solved(widedeep, model, TASK, journal=journal)
    second = [
        request for request in model.requests if "Earlier reviews" in request.messages[-1].text
    ]
    seen = {
        request.messages[0].text.partition("You look at: ")[2].partition(". ")[0]: request
        for request in second
    }
    assert list(seen) == ["truth, style", "style, truth, length", "length, style"]
    for request in second:
        prompt = request.messages[-1].text
        shown_first = SHOWN.findall(prompt)[0][0]
        assert set(re.findall(r"- compared (.*?) Scores", prompt)) == {shown_first}
    middle = seen["style, truth, length"].messages[-1].text
    assert middle.count("Scores: 9 and 3") == 3


async def test_aspects_that_are_given_are_not_asked_for_and_bounded(journal: str) -> None:
    model = Acting(reviewer(longer_is_better))
    result = await solved(
        widedeep, model, TASK, journal=journal, aspects=["a", "b", "c"], neurons=2, layers=1
    )
    assert result.output.output["aspects"] == ["a", "b"]
    assert len(model.asked) == 4


async def test_a_model_cannot_make_the_network_wider_than_allowed(journal: str) -> None:
    many = tuple(f"aspect {number}" for number in range(16))
    model = Acting(reviewer(longer_is_better, aspects=many))
    result = await solved(widedeep, model, TASK, journal=journal, neurons=3, layers=1)
    assert len(result.output.output["aspects"]) == 3
    assert len(model.asked) == 1 + 2 * 3


async def test_an_aspect_proposed_twice_has_one_neuron(journal: str) -> None:
    model = Acting(reviewer(longer_is_better, aspects=("truth", " truth ", "style")))
    result = await solved(widedeep, model, TASK, journal=journal, layers=1)
    assert result.output.output["aspects"] == ["truth", "style"]


@pytest.mark.parametrize(
    "reply", ['{"reason": "r", "first": 0, "second": 0}', "Score: 7", '{"first": 5, "second": 6}']
)
async def test_a_reviewer_without_scores_is_an_error_and_no_zeros(journal: str, reply: str) -> None:
    def answer(prompt: str) -> str:
        return json.dumps({"aspects": ["truth"]}) if "points of view" in prompt else reply

    with pytest.raises(MalformedReplyError):
        await solved(widedeep, Acting(answer), TASK, journal=journal)


@pytest.mark.parametrize(
    ("aspects", "error"),
    [([], MalformedReplyError), ([" "], ExpansionError), (["x"] * 50, MalformedReplyError)],
)
async def test_no_aspects_or_far_too_many_are_an_error(
    journal: str, aspects: list[str], error: type[Exception]
) -> None:
    model = Acting(lambda _prompt: json.dumps({"aspects": aspects}))
    with pytest.raises(error):
        await solved(widedeep, model, TASK, journal=journal)


@pytest.mark.parametrize("inputs", [{}, {"answers": ["one"]}, {"answers": "ab"}])
async def test_without_two_answers_it_asks_nobody(journal: str, inputs: dict[str, Any]) -> None:
    model = Acting(lambda _prompt: "")
    with pytest.raises(InputError, match="`answers` must be a list of two"):
        await solved(widedeep, model, Task(goal="x", inputs=inputs), journal=journal)
    assert model.asked == []


async def test_a_run_cut_off_in_the_second_layer_does_not_repeat_the_first(journal: str) -> None:
    def cut(prompt: str) -> str:
        if "Earlier reviews" in prompt:
            raise ModelRequestError(model="scripted:model", problem="no")
        return str(reviewer(longer_is_better)(prompt))

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(cut)).run_as("cut", widedeep, WORDS)
    model = Acting(reviewer(longer_is_better))
    resumed = await Runner(journal=journal, model=model).resume(widedeep, "cut")
    assert resumed.output.output == "second"
    assert all("Earlier reviews" in prompt for prompt in model.asked)
    assert len(model.asked) == 6
    replayed = await Runner(journal=journal).replay(widedeep, resumed.id)
    assert replayed.output == resumed.output
