"""DreamGarden: a tree that grows by itself, that a person prunes, and of which only what is touched grows."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from agentflow_planners.dreamgarden import dreamgarden

from agentflow import Journal, Reply, Runner, Task
from agentflow.engine.people import Question
from agentflow.errors import MalformedReplyError, ModelRequestError, RunPausedError
from agentflow.models.protocol import OnText, Request
from tests.parts import Scripted
from tests.planners.scripts import Acting, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="An island with a lighthouse.")
CODE = "```python\ndef main():\n    return 6 * 7\n```"


def split(*parts: str) -> str:
    return json.dumps({"how": "split", "parts": parts})


def tool(how: str) -> str:
    return json.dumps({"how": how})


def last(prompt: str) -> str:
    """Return the last line of the way from the seed: the node that the prompt is about."""
    return [line for line in prompt.splitlines() if line[:1].isdigit()][-1]


def gardener(prompt: str) -> str:
    """Divide the seed into a map and a story; write whatever is a leaf."""
    return {
        "1 An": split("Draw the map", "Write the story"),
        "1.1 ": tool("text"),
        "1.2 ": tool("text"),
    }[last(prompt)[:4]]


class Garden(Acting):
    """A model in two roles: `plans` as the gardener, `makes` as the tools."""

    def __init__(
        self, plans: Callable[[str], str] = gardener, makes: Callable[[str], str] | None = None
    ) -> None:
        super().__init__(plans)
        self._plans, self.system = plans, ""
        self._makes = makes or (
            lambda prompt: CODE if "main()" in self.system else f"Once: {last(prompt)}"
        )

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self.system = request.messages[0].text
        self._answer = self._plans if "gardener" in self.system else self._makes
        return await super().complete(request, on_text)


def below(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all nodes by id."""
    found = {tree["id"]: tree}
    for child in tree["children"]:
        found |= below(child)
    return found


async def test_a_seed_grows_into_a_tree_whose_leaves_hold_artefacts(journal: str) -> None:
    model = Garden(lambda prompt: tool("code") if "1.1 " in prompt else gardener(prompt))
    result = await solved(dreamgarden, model, TASK, journal=journal, people=False)
    nodes = below(result.output.output)
    assert list(nodes) == ["1", "1.1", "1.2"]
    assert nodes["1"]["artefact"] is None
    assert nodes["1.1"]["artefact"]["result"] == "42\n", "the code has run"
    assert nodes["1.2"]["artefact"]["text"] == "Once: 1.2 Write the story"
    assert len(model.asked) == 5


async def pause(runner: Runner, name: str, **options: Any) -> str:
    """Start a garden that a person tends; return the question at which its process may end."""
    with pytest.raises(RunPausedError) as caught:
        await runner.run_as(name, dreamgarden, TASK, **options)
    return str(caught.value.questions[0]["text"])


async def paused_again(journal: str, model: Scripted, *edits: dict[str, str]) -> str:
    """Answer the garden that waits, go on in another runner, and return its next question."""
    with Journal(journal) as opened:
        opened.answer("garden", json.dumps(edits))
    with pytest.raises(RunPausedError) as caught:
        await Runner(journal=journal, model=model).resume(dreamgarden, "garden")
    return str(caught.value.questions[0]["text"])


GO_ON: tuple[dict[str, str], ...] = ()


async def ended(journal: str, model: Scripted) -> dict[str, dict[str, Any]]:
    """Answer the garden that waits with no edits, and return all nodes of its answer."""
    with Journal(journal) as opened:
        opened.answer("garden", "[]")
    result = await Runner(journal=journal, model=model).resume(dreamgarden, "garden")
    return below(result.output.output)


async def test_only_what_an_edit_names_grows_again(journal: str) -> None:
    first, second, third, fourth = Garden(), Garden(), Garden(), Garden()
    plan = await pause(Runner(journal=journal, model=first), "garden")
    assert "1.1 Draw the map [text]\n" in plan
    assert len(first.asked) == 3, "the person sees the plan before anything is made"
    made = await paused_again(journal, second, *GO_ON)
    assert "1.1 Draw the map [text] Once: 1.1" in made
    sadder = {"node": "1.2", "do": "regrow", "text": "sadder"}
    question = await paused_again(journal, third, sadder)
    assert "1.1 Draw the map [text] Once: 1.1" in question
    assert "1.2 Write the story [text]\n" in question
    await paused_again(journal, fourth, *GO_ON)
    grown = third.asked + fourth.asked
    assert [last(prompt)[:3] for prompt in grown] == ["1.2", "1.2"]
    assert all("feedback: sadder" in prompt for prompt in grown)
    nodes = await ended(journal, Garden(lambda _prompt: "nothing is asked for"))
    assert nodes["1.2"]["notes"] == ["sadder"]
    assert nodes["1.1"]["artefact"]["text"] == "Once: 1.1 Draw the map"


async def test_what_is_pruned_from_the_plan_is_never_made(journal: str) -> None:
    model, asked = Garden(), list[str]()

    async def person(question: Question) -> str:
        asked.append(question.text)
        edits = [{"node": name, "do": "prune"} for name in ("1.1", "1.2")]
        return json.dumps(edits if len(asked) == 1 else [])

    runner = Runner(journal=journal, model=model, ask=person)
    result = await runner.run_async(dreamgarden, TASK)
    assert len(model.asked) == 3
    assert list(below(result.output.output)) == ["1"], "and the seed is not planned again"
    assert "1.2" not in asked[1]
    replayed = await Runner(journal=journal).replay(dreamgarden, result.id)
    assert replayed.output == result.output


async def test_the_person_is_asked_so_often_and_the_garden_then_grows_by_itself(
    journal: str,
) -> None:
    asked = list[str]()

    async def person(question: Question) -> str:
        asked.append(question.text)
        return json.dumps([{"node": "1.1", "do": "regrow"}])

    runner = Runner(journal=journal, model=Garden(), ask=person)
    result = await runner.run_async(dreamgarden, TASK, rounds=2)
    assert len(asked) == 2
    assert all(below(result.output.output)[name]["artefact"] for name in ("1.1", "1.2"))


async def test_a_new_goal_is_planned_with_the_notes_and_takes_the_place_of_the_old(
    journal: str,
) -> None:
    await pause(Runner(journal=journal, model=Garden()), "garden")
    edits = (
        {"node": "1.2", "do": "goal", "text": "Write a song"},
        {"node": "1", "do": "note", "text": "in winter"},
        {"node": "7", "do": "regrow"},
        {"node": "1", "do": "prune"},
    )
    model = Garden()
    question = await paused_again(journal, model, *edits)
    await paused_again(journal, model, *GO_ON)
    songs = [prompt for prompt in model.asked if last(prompt) == "1.2 Write a song"]
    assert len(songs) == 2, "planned and made"
    assert len(model.asked) == 3, "beside the other leaf, which was still to be made"
    assert all("feedback: in winter" in prompt for prompt in model.asked)
    assert "There was no '7' to regrow.\nThere was no '1' to prune.\n1 An island" in question


async def test_what_grew_below_an_edited_node_is_gone(journal: str) -> None:
    await pause(Runner(journal=journal, model=Garden()), "garden")
    model = Garden(lambda _prompt: tool("text"))
    question = await paused_again(journal, model, {"node": "1", "do": "regrow"})
    assert "\n  1.1" not in question
    assert len(model.asked) == 1


async def test_the_tree_stays_within_its_depth_width_and_total(journal: str) -> None:
    def greedy(prompt: str) -> str:
        if "into 2 to " not in prompt:
            return json.dumps("text")
        room = int(prompt.split("into 2 to ")[1].split()[0])
        return split(*(sha256(f"{prompt} {part}".encode()).hexdigest() for part in range(room)))

    model = Garden()
    model._plans = lambda prompt: greedy(f"{model.system}\n{prompt}")
    options: dict[str, Any] = {"people": False, "depth": 2, "width": 3, "total": 14}
    result = await solved(dreamgarden, model, TASK, journal=journal, **options)
    nodes = below(result.output.output)
    assert 3 < len(nodes) - 1 <= 14
    assert max(name.count(".") for name in nodes) == 2
    assert max(len(node["children"]) for node in nodes.values()) == 3


async def test_a_plan_with_too_many_parts_or_the_node_itself_is_sent_back(journal: str) -> None:
    wrong = [
        split("An island with a lighthouse.", "A boat"),
        split("a", "b", "c", "d", "e"),
        tool("text"),
    ]
    model = Garden(lambda _prompt: wrong.pop(0))
    await solved(dreamgarden, model, TASK, journal=journal, people=False, width=4)
    assert "nearly the whole task" in model.asked[1]
    assert "give 2 to 4 parts, not 5" in model.asked[2]


@pytest.mark.parametrize(("corrections", "works"), [(2, True), (0, False)])
async def test_code_is_corrected_from_what_its_run_says(
    corrections: int, works: bool, journal: str
) -> None:
    broken = CODE.replace("6 * 7", "6 / 0")
    model = Garden(
        lambda _prompt: tool("code"), lambda p: CODE if "ZeroDivisionError" in p else broken
    )
    options: dict[str, Any] = {"people": False, "corrections": corrections}
    result = await solved(dreamgarden, model, TASK, journal=journal, **options)
    artefact = result.output.output["artefact"]
    assert artefact["result"] == ("42\n" if works else "")
    assert ("ZeroDivisionError" in artefact["problem"]) is not works


async def test_a_leaf_that_fails_keeps_its_problem_and_the_garden_grows_on(journal: str) -> None:
    model = Garden(
        lambda prompt: gardener(prompt) if "1.1 " not in prompt and "1 An" in prompt else "?"
    )
    result = await solved(dreamgarden, model, TASK, journal=journal, people=False)
    nodes = below(result.output.output)
    assert "did not fit" in nodes["1.1"]["artefact"]["problem"]
    assert nodes["1.2"]["artefact"]["problem"] == ""
    with pytest.raises(MalformedReplyError):
        await solved(dreamgarden, Garden(lambda _: "?"), TASK, journal=journal, people=False)


async def test_a_garden_whose_growth_broke_off_grows_on_where_it_stood(journal: str) -> None:
    def refuses(prompt: str) -> str:
        raise ModelRequestError(model="scripted:model", problem="no")

    broken, rest = Garden(makes=refuses), Garden()
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=broken).run_as("cut", dreamgarden, TASK, people=False)
    resumed = await Runner(journal=journal, model=rest).resume(dreamgarden, "cut")
    assert len(rest.asked) == 2, "what is planned is not planned again"
    whole = await solved(dreamgarden, Garden(), TASK, journal=journal, people=False)
    assert resumed.output == whole.output
