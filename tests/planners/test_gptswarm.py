"""GPTSwarm: agents as graphs of prompts, edges between them as data, and one decision."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.gptswarm import gptswarm

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, GraphError, InputError, ModelRequestError
from agentflow.models.protocol import ModelSpec
from tests.planners.delegates import overlap
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="How many eggs?", inputs={"hens": 3})


def agent(name: str, *prompts: str, **voice: Any) -> dict[str, Any]:
    """Return an agent whose nodes are named after their prompts, each after the one before."""
    nodes = [
        {"id": prompt, "prompt": f"{prompt}!", "needs": prompts[place - 1 : place]}
        for place, prompt in enumerate(prompts)
    ]
    return {"name": name, "nodes": nodes, **voice}


def script(**replies: str) -> Callable[[str], str]:
    """Answer a prompt by its last line."""

    def answer(prompt: str) -> str:
        last = prompt.rsplit("\n\n", 1)[-1]
        return next(reply for word, reply in replies.items() if last.startswith(word))

    return answer


PAIR = (agent("ann", "Count"), agent("bob", "Guess"))
ALL = (("ann", "decision"), ("bob", "decision"))


async def test_agents_without_an_edge_between_them_overlap_and_with_one_they_do_not(
    journal: str,
) -> None:
    votes: dict[str, Any] = {"agents": PAIR, "decision": "majority_vote"}
    model = Meeting(script(Count="3", Guess="4"), ["Count!", "Guess!"])
    result = await solved(gptswarm, model, TASK, journal=journal, **votes)
    assert overlap(journal, result.id, "ann/Count", "bob/Guess")
    plain, edges = Acting(script(Count="3", Guess="4")), (("bob", "ann"), *ALL)
    joined = await solved(gptswarm, plain, TASK, journal=journal, edges=edges, **votes)
    assert not overlap(journal, joined.id, "ann/Count", "bob/Guess")


async def test_an_agent_starts_as_soon_as_those_before_it_are_done_and_not_with_its_level(
    journal: str,
) -> None:
    # `slow` is answered when `end` is asked: a level by level order would wait here for ever.
    agents = (agent("slow", "Slow"), agent("fast", "Fast"), agent("end", "End"))
    model = Meeting(script(Slow="1", Fast="2", End="2"), ["Slow!", "End!"])
    edges = (("fast", "end"), ("slow", "decision"), ("end", "decision"))
    options: dict[str, Any] = {"agents": agents, "edges": edges, "decision": "majority_vote"}
    result = await solved(gptswarm, model, TASK, journal=journal, **options)
    assert overlap(journal, result.id, "slow/Slow", "end/End")


async def test_an_edge_shows_what_the_first_says_to_the_second_and_to_nobody_else(
    journal: str,
) -> None:
    edges = (("ann", "bob"), ("bob", "decision"))
    model = Acting(script(Count="three eggs", Guess="4"))
    options: dict[str, Any] = {"agents": PAIR, "edges": edges, "decision": "majority_vote"}
    result = await solved(gptswarm, model, TASK, journal=journal, **options)
    assert result.output.output == "4"
    assert model.asked == [
        "How many eggs?\n\nhens:\n3\n\nCount!",
        "How many eggs?\n\nhens:\n3\n\nann/Count says:\nthree eggs\n\nGuess!",
    ]


async def test_nodes_of_an_agent_see_its_own_and_only_the_first_what_others_say(
    journal: str,
) -> None:
    agents = (agent("ann", "Count"), agent("bob", "Think", "Say"))
    model = Acting(script(Count="three", Think="hm", Say="4"))
    edges = (("ann", "bob"), ("bob", "decision"))
    options: dict[str, Any] = {"agents": agents, "edges": edges, "decision": "majority_vote"}
    await solved(gptswarm, model, TASK, journal=journal, **options)
    assert "ann/Count says:\nthree" in model.asked[1]
    assert "bob/Think says:\nhm" in model.asked[2]
    assert "three" not in model.asked[2]


async def test_only_last_nodes_answer_in_the_shape_of_the_task(journal: str) -> None:
    task = TASK.model_copy(update={"output_schema": {"type": "integer"}})
    agents = (agent("bob", "Think", "Say"),)
    model = Acting(script(Think="hm", Say="4"))
    options: dict[str, Any] = {"agents": agents, "decision": "majority_vote"}
    result = await solved(gptswarm, model, task, journal=journal, **options)
    assert result.output.output == 4
    assert [request.output_schema for request in model.requests] == [None, {"type": "integer"}]


@pytest.mark.parametrize(
    ("decision", "reply", "answer"),
    [
        ("majority_vote", "", "4"),
        ("select_best", json.dumps({"reason": "so", "numbers": [1, 3, 2]}), "3"),
        ("self_consistency", json.dumps({"reason": "so", "numbers": [2]}), "4"),
        ("references", "three or four", "three or four"),
    ],
)
async def test_the_decision_votes_or_chooses_or_writes(
    decision: str, reply: str, answer: str, journal: str
) -> None:
    agents = (*PAIR, agent("cid", "Guess"))

    def answered(prompt: str) -> str:
        return script(Count="3", Guess="4")(prompt) if prompt.endswith("!") else reply

    model = Acting(answered)
    options: dict[str, Any] = {"agents": agents, "decision": decision}
    result = await solved(gptswarm, model, TASK, journal=journal, **options)
    assert result.output.output == answer
    assert len(model.asked) == (3 if decision == "majority_vote" else 4)
    if decision != "majority_vote":
        assert "[1]\n3\n\n[2]\n4\n\n[3]\n4" in model.asked[-1]


@pytest.mark.parametrize(
    ("agents", "edges", "problem"),
    [
        (PAIR, (("ann", "bob"), ("bob", "ann"), *ALL), "in a circle: .*ann/Count"),
        (PAIR, (("ann", "ann"), *ALL), "in a circle: ann/Count -> ann/Count"),
        (PAIR, (("ann", "zoe"), *ALL), "'ann' -> 'zoe': there is no agent 'zoe'"),
        (PAIR, (("decision", "ann"), *ALL), "nothing comes after the decision"),
        (PAIR, (("ann", "bob"),), "nobody's answer reaches it"),
        ((PAIR[0], PAIR[0]), ALL, "names of their own"),
        ((agent("decision", "Count"),), (("decision", "decision"),), "names of their own"),
        ((agent("ann", "Count", "Count"),), (ALL[0],), "names of their own"),
    ],
)
async def test_what_is_no_swarm_is_an_error_and_nothing_is_asked(
    agents: Any, edges: Any, problem: str, journal: str
) -> None:
    model = Acting(script())
    with pytest.raises(GraphError, match=problem):
        await solved(gptswarm, model, TASK, journal=journal, agents=agents, edges=edges)
    assert model.asked == []


async def test_a_setting_that_an_agent_does_not_have_is_refused(journal: str) -> None:
    with pytest.raises(InputError, match=r"agents\.0\.mood"):
        await solved(
            gptswarm, Acting(script()), TASK, journal=journal, agents=(agent("a", "A", mood=1),)
        )


async def test_an_agent_that_says_nothing_takes_nobody_with_it_and_is_noted(journal: str) -> None:
    agents = (agent("ann", "Count", "Say"), agent("bob", "Guess"))
    model = Acting(script(Count=" ", Guess="4"))
    edges = (("ann", "bob"), *ALL)
    options: dict[str, Any] = {"agents": agents, "edges": edges, "decision": "majority_vote"}
    result = await solved(gptswarm, model, TASK, journal=journal, **options)
    assert result.output.output == "4"
    assert len(model.asked) == 2, "what needs the missing answer within its agent is not asked"
    assert "decision goes on without ann/Say" in notes_of(result)
    assert "not asked: 'ann/Count' says nothing" in notes_of(result)


async def test_that_no_agent_has_an_answer_is_an_error(journal: str) -> None:
    model = Acting(script(Count="", Guess=""))
    with pytest.raises(ExpansionError, match="reply is empty"):
        await solved(gptswarm, model, TASK, journal=journal, agents=PAIR)


async def test_a_refused_call_is_no_missing_answer(journal: str) -> None:
    def refuses(prompt: str) -> str:
        if prompt.endswith("Guess!"):
            raise ModelRequestError(model="scripted:model", problem="no")
        return "3"

    with pytest.raises(ModelRequestError):
        await solved(gptswarm, Acting(refuses), TASK, journal=journal, agents=PAIR)


async def test_agents_of_one_prompt_are_different_samples_and_keep_their_own_voice(
    journal: str,
) -> None:
    agents = (agent("ann", "Count"), agent("bob", "Count"), agent("cid", "Count", max_tokens=9))
    model = Acting(script(Count="3"))
    model.spec = ModelSpec(provider="gguf", name="model", retries=0)
    options: dict[str, Any] = {"agents": agents, "decision": "majority_vote"}
    await solved(gptswarm, model, TASK, journal=journal, **options)
    found = sorted((request.seed, request.max_tokens) for request in model.requests)
    assert found == [(0, None), (1, None), (2, 9)]


async def test_a_resumed_swarm_asks_only_what_was_not_answered(journal: str) -> None:
    def cut(prompt: str) -> str:
        if prompt.endswith("Guess!"):
            raise ModelRequestError(model="scripted:model", problem="no")
        return "3"

    edges = (("ann", "bob"), *ALL)
    options: dict[str, Any] = {"agents": PAIR, "edges": edges, "decision": "majority_vote"}
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(cut)).run_as("cut", gptswarm, TASK, **options)
    model = Acting(script(Guess="3"))
    resumed = await Runner(journal=journal, model=model).resume(gptswarm, "cut")
    assert resumed.output.output == "3"
    assert len(model.asked) == 1
    replayed = await Runner(journal=journal).replay(gptswarm, "cut")
    assert replayed.output == resumed.output


async def test_the_swarm_that_nobody_has_described_asks_three_agents_and_writes_one_answer(
    journal: str,
) -> None:
    model = Acting(lambda _prompt: "3")
    result = await solved(gptswarm, model, TASK, journal=journal)
    assert result.output.output == "3"
    assert len(model.asked) == 7
