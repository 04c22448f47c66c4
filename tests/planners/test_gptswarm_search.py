"""The search for swarms: edges learnt by REINFORCE, prompts by advice, both measured on unseen cases."""

import json
import random
from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
from agentflow_planners.gptswarm import gptswarm
from agentflow_planners.gptswarm_search import Chances, edges_of, gptswarm_edges, gptswarm_prompts
from agentflow_planners.optimising.cases import cases_of
from agentflow_planners.shared.swarms import Agent, agent, possible_edges

from agentflow import Budget, Runner, Task
from agentflow.errors import GraphError, InputError, ModelRequestError
from tests.planners.scripts import Acting, solved

pytestmark = pytest.mark.anyio

ANN, BOB = agent("ann", "Recall!"), agent("bob", "Answer!")
NEEDED = [("ann", "bob"), ("bob", "decision")]


def task_of(count: int) -> Task:
    cases = [
        {
            "id": f"c{number}",
            "task": {"goal": f"What is number {number}?"},
            "checks": [{"name": "exact", "options": {"equals": f"right {number}"}}],
        }
        for number in range(count)
    ]
    return Task(goal="Find the best swarm.", inputs={"cases": cases})


def number_of(prompt: str) -> str:
    return prompt.split("number ")[1].split("?")[0]


def only_together(prompt: str) -> str:
    """Answer right only as bob, and only if ann has been heard; ann herself is never right."""
    if prompt.endswith("Recall!"):
        return "a fact"
    return f"right {number_of(prompt)}" if "ann/1 says:\na fact" in prompt else "unknown"


def joined(result: Any) -> list[tuple[str, str]]:
    return sorted((one, other) for one, other in result.output.output["options"]["edges"])


LEARN: dict[str, Any] = {
    "agents": (ANN, BOB),
    "decision": "majority_vote",
    "iterations": 20,
    "rate": 0.4,
}


async def test_the_edges_that_the_answer_needs_are_found_and_the_ones_that_hurt_are_not(
    journal: str,
) -> None:
    model = Acting(only_together)
    result = await solved(gptswarm_edges, model, task_of(6), journal=journal, **LEARN)
    found = result.output.output
    assert joined(result) == NEEDED
    assert found["planner"] == "gptswarm"
    assert (found["scores"]["held_out"]["mean"], found["scores"]["base_held_out"]["mean"]) == (1, 0)
    assert found["stopped"] == "done"


async def test_what_was_found_is_a_swarm_that_a_flow_file_can_hold(journal: str) -> None:
    model = Acting(only_together)
    runner = Runner(journal=journal, model=model)
    found = (await runner.run_async(gptswarm_edges, task_of(6), **LEARN)).output.output
    options = json.loads(json.dumps(found["options"]))
    assert options == found["options"], "nothing in it is more than JSON"
    answer = await runner.run_async(gptswarm, Task(goal="What is number 77?"), **options)
    assert answer.output.output == "right 77"


async def test_graphs_are_drawn_on_cases_to_learn_from_and_no_others(journal: str) -> None:
    cases = cases_of(task_of(9))
    runner = Runner(journal=journal, model=Acting(only_together))
    options = LEARN | {"iterations": 3}
    result = await runner.run_async(gptswarm_edges, task_of(9), **options)
    steps = result.record.steps
    met: dict[str, set[str]] = {}
    for step in steps.values():
        if step.name.startswith("case ") and step.parent is not None:
            met.setdefault(steps[step.parent].name.split(" ")[0], set()).add(step.name[5:])
    assert met["graph"] == {case.id for case in cases.train}
    assert met["select,"] == {case.id for case in cases.select}
    assert met["held"] == {case.id for case in cases.held_out}


async def test_a_swarm_that_learning_does_not_improve_is_kept_as_it_was(journal: str) -> None:
    model = Acting(lambda prompt: f"right {number_of(prompt)}")
    options = LEARN | {"iterations": 2}
    result = await solved(gptswarm_edges, model, task_of(3), journal=journal, **options)
    assert joined(result) == [("ann", "decision"), ("bob", "decision")]
    assert result.output.output["improved"] is False


async def test_the_search_ends_while_its_result_can_still_be_measured(journal: str) -> None:
    runner = Runner(journal=journal, model=Acting(only_together), budget=Budget(steps=300))
    found = (await runner.run_async(gptswarm_edges, task_of(6), **LEARN)).output.output
    assert "budget" in found["stopped"]
    assert found["scores"]["held_out"] is not None


async def test_a_search_cut_off_goes_on_from_the_graph_where_it_was(journal: str) -> None:
    options = LEARN | {"iterations": 6}

    def cut(prompt: str) -> str:
        if len(model.asked) > 40:
            raise ModelRequestError(model="scripted:model", problem="no")
        return only_together(prompt)

    model = Acting(cut)
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=model).run_as(
            "cut", gptswarm_edges, task_of(6), **options
        )
    whole, again = Acting(only_together), Acting(only_together)
    through = await Runner(journal=journal, model=whole).run_async(
        gptswarm_edges, task_of(6), **options
    )
    resumed = await Runner(journal=journal, model=again).resume(gptswarm_edges, "cut")
    assert resumed.output == through.output
    assert len(again.asked) <= len(whole.asked) - 35


@pytest.mark.parametrize("planner", [gptswarm_edges, gptswarm_prompts])
async def test_without_cases_nothing_is_searched(planner: Any, journal: str) -> None:
    model = Acting(only_together)
    with pytest.raises(InputError, match="no `cases`"):
        await solved(planner, model, Task(goal="Find it."), journal=journal)
    assert model.asked == []


async def test_a_swarm_that_cannot_be_run_is_refused_before_it_is_searched(journal: str) -> None:
    model = Acting(only_together)
    circle: dict[str, Any] = {
        "agents": (ANN, BOB),
        "edges": [("ann", "bob"), ("bob", "ann"), *NEEDED],
    }
    with pytest.raises(GraphError, match="in a circle"):
        await solved(gptswarm_prompts, model, task_of(3), journal=journal, **circle)
    with pytest.raises(GraphError, match="names of their own"):
        await solved(gptswarm_edges, model, task_of(3), journal=journal, agents=(ANN, ANN))
    assert model.asked == []


def test_no_graph_that_is_drawn_or_kept_has_a_circle() -> None:
    agents = tuple(agent(name, "Answer!") for name in "abcd")
    chances, draws = Chances(possible_edges(agents), 0.5), random.Random(3)
    for _round in range(60):
        drawn = chances.drawn(draws)
        assert nx.is_directed_acyclic_graph(nx.DiGraph(edges_of(drawn)))
        chances.learn([drawn, chances.drawn(draws)], [float(len(edges_of(drawn))), 0.0])
        assert nx.is_directed_acyclic_graph(nx.DiGraph(edges_of(chances.kept())))


def test_an_edge_that_could_not_be_drawn_is_not_learnt_from() -> None:
    chances = Chances((("a", "b"), ("b", "a")), 0.1)
    draws = random.Random(0)
    both = next(one for one in (chances.drawn(draws) for _ in range(99)) if one["a", "b"])
    assert both == {("a", "b"): True}, "the other edge was not drawn for"
    chances.learn([both, {("a", "b"): False}], [1.0, 0.0])
    assert chances.by_edge()["a", "b"] > 0.5
    assert chances.by_edge()["b", "a"] == 0.5


def test_what_is_never_better_or_worse_teaches_nothing_and_no_edge_is_kept_by_chance() -> None:
    chances, draws = Chances(possible_edges((ANN, BOB)), 0.1), random.Random(0)
    for _round in range(20):
        chances.learn([chances.drawn(draws) for _ in range(4)], [0.7] * 4)
    assert set(chances.by_edge().values()) == {0.5}
    assert edges_of(chances.kept()) == []


def script(**parts: Any) -> Callable[[str], str]:
    """Answer for the adviser, for the writer of prompts (one by one), and for agents."""

    def answer(prompt: str) -> str:
        if "Give advice in one sentence" in prompt:
            return str(parts.get("advice", "Say which number."))
        if "Rewrite it by this advice" in prompt:
            return json.dumps({"prompt": parts["prompts"].pop(0)})
        return str(parts["agent"](prompt))

    return answer


def told(prompt: str) -> str:
    """Be right when told to name the number, as a swarm of one."""
    return f"right {number_of(prompt)}" if "number is" in prompt else "unknown"


ONE: dict[str, Any] = {"agents": (BOB,), "decision": "majority_vote"}


def prompt_of(result: Any) -> str:
    return str(result.output.output["options"]["agents"][0]["nodes"][0]["prompt"])


async def test_a_prompt_rewritten_by_advice_on_what_went_wrong_is_kept_if_it_helps(
    journal: str,
) -> None:
    prompts = ["Be bold!", "Say what the number is!", "Hm!"]
    model = Acting(script(agent=told, prompts=prompts))
    result = await solved(gptswarm_prompts, model, task_of(9), journal=journal, **ONE)
    assert prompt_of(result) == "Say what the number is!"
    assert result.output.output["scores"]["held_out"]["mean"] == 1
    advise = next(prompt for prompt in model.asked if "Give advice" in prompt)
    assert "What is number" in advise
    assert "Its answer was wrong:\nunknown" in advise
    assert "by this advice: Say which number." in next(p for p in model.asked if "Rewrite" in p)


async def test_a_prompt_that_is_only_as_good_does_not_replace_what_was_there(journal: str) -> None:
    model = Acting(script(agent=lambda _prompt: "unknown", prompts=["A!", "B!", "C!"]))
    result = await solved(gptswarm_prompts, model, task_of(9), journal=journal, **ONE)
    assert prompt_of(result) == "Answer!"
    assert result.output.output["trials"] == 1


async def test_what_goes_right_is_not_rewritten(journal: str) -> None:
    model = Acting(script(agent=lambda prompt: f"right {number_of(prompt)}", prompts=[]))
    result = await solved(gptswarm_prompts, model, task_of(9), journal=journal, **ONE)
    assert prompt_of(result) == "Answer!"
    assert not any("advice" in prompt for prompt in model.asked)


async def test_a_prompt_that_helps_where_it_was_learnt_and_nowhere_else_is_not_chosen(
    journal: str,
) -> None:
    learnt = {case.task.goal for case in cases_of(task_of(9)).train}

    def by_heart(prompt: str) -> str:
        is_known = "number is" in prompt and prompt.split("\n")[0] in learnt
        return f"right {number_of(prompt)}" if is_known else "unknown"

    model = Acting(script(agent=by_heart, prompts=["Say what the number is!"] * 3))
    result = await solved(gptswarm_prompts, model, task_of(9), journal=journal, **ONE)
    assert result.output.output["trials"] == 2
    assert prompt_of(result) == "Answer!"


async def test_every_node_of_every_agent_is_looked_at_in_every_round(journal: str) -> None:
    pair = (agent("ann", "First!", "Second!"), agent("bob", "Answer!"))
    model = Acting(script(agent=lambda _prompt: "unknown", prompts=["A!"] * 99))
    options: dict[str, Any] = {"agents": pair, "decision": "majority_vote", "rounds": 2}
    await solved(gptswarm_prompts, model, task_of(3), journal=journal, **options)
    rewritten = [prompt.split("\n")[1] for prompt in model.asked if "Rewrite it" in prompt]
    assert rewritten == ["First!", "Second!", "Answer!"] * 2


async def test_no_more_prompts_are_tried_than_are_allowed(journal: str) -> None:
    model = Acting(script(agent=told, prompts=["A!", "B!"]))
    options = ONE | {"candidates": 2, "records": 3}
    await solved(gptswarm_prompts, model, task_of(9), journal=journal, **options)
    assert sum("Rewrite it" in prompt for prompt in model.asked) == 2


async def test_a_rewriter_that_never_has_the_form_changes_nothing(journal: str) -> None:
    def broken(prompt: str) -> str:
        return "no JSON" if "Rewrite" in prompt or "does not fit" in prompt else told(prompt)

    result = await solved(gptswarm_prompts, Acting(broken), task_of(3), journal=journal, **ONE)
    assert prompt_of(result) == "Answer!"


async def test_a_swarm_of_a_flow_file_keeps_voices_and_edges_through_the_search(
    journal: str,
) -> None:
    heard = Agent(name="bob", nodes=BOB.nodes, max_tokens=99)
    model = Acting(script(agent=told, prompts=["Say what the number is!"] * 9))
    options: dict[str, Any] = {"agents": (ANN, heard), "edges": NEEDED, "decision": "majority_vote"}
    result = await solved(gptswarm_prompts, model, task_of(3), journal=journal, **options)
    assert joined(result) == NEEDED
    bob = result.output.output["options"]["agents"][1]
    assert (bob["max_tokens"], bob["nodes"][0]["prompt"]) == (99, "Say what the number is!")
