"""AgentKit: prompts as a graph given as data, which may grow for the length of one evaluation."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.agentkit import PromptNode, agentkit

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, GraphError, InputError, ModelRequestError
from tests.parts import Scripted
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Cross the river.", inputs={"boat": "red"})


def node(key: str, prompt: str, *needs: str, **rest: Any) -> dict[str, Any]:
    return {"key": key, "prompt": prompt, "needs": needs, **rest}


def replies(**answers: Any) -> Callable[[str], str]:
    """Answer a prompt by its first word; a list is answered one after the other."""

    def answer(prompt: str) -> str:
        reply = answers[prompt.split()[0].rstrip(".")]
        reply = reply.pop(0) if isinstance(reply, list) else reply
        return reply if isinstance(reply, str) else json.dumps(reply)

    return answer


def turns(model: Acting, word: str) -> list[tuple[str, str]]:
    """Return the last conversation that ended in a prompt with that first word, without the system."""
    found = [r for r in model.requests if r.messages[-1].text.startswith(word)]
    return [(turn.role, turn.text) for turn in found[-1].messages[1:]]


async def test_what_a_node_needs_comes_as_questions_and_answers_and_the_rest_does_not(
    journal: str,
) -> None:
    graph = (
        node("look", "Look at $db.task.inputs.boat$ and $db.depth."),
        node("wait", "Wait."),
        node("plan", "Plan it."),
        node("end", "End it.", "plan", "look", after=("wait",)),
    )
    model = Acting(replies(Look="a boat", Wait="waited", Plan="row", End="across"))
    options: dict[str, Any] = {"graph": graph, "db": {"depth": {"m": 3}}}
    result = await solved(agentkit, model, TASK, journal=journal, **options)
    assert result.output.output == "across"
    assert turns(model, "End") == [
        ("user", 'Look at red and {"m": 3}.'),
        ("assistant", "a boat"),
        ("user", "Plan it."),
        ("assistant", "row"),
        ("user", "End it."),
    ]
    assert model.asked[-1] == "End it.", "it waits for what it only comes after"


async def test_nodes_that_do_not_depend_on_each_other_are_asked_side_by_side(journal: str) -> None:
    graph = (node("a", "Left?"), node("b", "Right?"), node("end", "End", "a", "b"))
    model = Meeting(replies(**{"Left?": "l", "Right?": "r", "End": "e"}), ["Left?", "Right?"])
    assert (await solved(agentkit, model, TASK, journal=journal, graph=graph)).output.output == "e"


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        ((node("a", "A", "z"),), "'z' -> 'a': there is no node 'z'"),
        ((node("a", "A", "b"), node("b", "B", after=("a",))), "in a circle: a -> b -> a"),
        ((node("a", "A"), node("a", "B")), "give at least one node, and each its own key"),
        ((node("a/b", "A"),), "each its own key, without `/`"),
        ((node("a", "See $db.sky.blue"),), r"a: input: nothing is at \$db.sky.blue"),
        ((), "give at least one node"),
    ],
)
async def test_a_graph_that_cannot_be_evaluated_is_an_error_and_nothing_is_asked(
    graph: tuple[dict[str, Any], ...], problem: str, journal: str
) -> None:
    model = Acting(replies())
    with pytest.raises((GraphError, InputError), match=problem):
        await solved(agentkit, model, TASK, journal=journal, graph=graph)
    assert model.asked == []


SCHEMA = {"type": "object", "properties": {"m": {"type": "integer"}}, "required": ["m"]}


async def test_a_reply_that_does_not_parse_is_asked_for_again_and_stored_as_data(
    journal: str,
) -> None:
    graph = (
        node("depth", "Depth?", output=SCHEMA, store="depth"),
        node("end", "End $db.depth.m", "depth"),
    )
    model = Acting(replies(**{"Depth?": "deep", "That": {"m": 3}, "End": "wade"}))
    result = await solved(agentkit, model, TASK, journal=journal, graph=graph)
    assert result.output.output == "wade"
    assert model.asked[1].startswith("That reply does not fit:")
    assert model.asked[2] == "End 3"


async def test_a_node_that_never_parses_fails_and_takes_only_those_with_it_that_need_it(
    journal: str,
) -> None:
    graph = (
        node("depth", "Depth?", output=SCHEMA),
        node("needs", "Needs", "depth"),
        node("waits", "Waits", after=("depth",)),
    )
    answers = replies(**{"Depth?": "deep", "That": "deep", "Waits": "here"})
    model = Acting(answers)
    result = await solved(agentkit, model, TASK, journal=journal, graph=graph)
    assert result.output.output == "here"
    assert len(model.asked) == 4, "three attempts and the node that only waited"
    with pytest.raises(ExpansionError, match="'needs': not asked, since 'depth' failed: 3 replies"):
        await solved(agentkit, model, TASK, journal=journal, graph=(graph[0], graph[2], graph[1]))


async def test_a_node_sees_only_what_nodes_before_it_have_stored(journal: str) -> None:
    """What runs beside it may have stored by then, or not: so it must not be seen."""
    graph = (
        node("a", "A", store="x"),
        node("b", "B", "a", store="x"),
        node("beside", "Beside", "a"),
        node("c", "C $db.x", after=("beside",)),
        node("d", "D $db.x", "b", "c"),
    )
    model = Acting(replies(A="from a", B="from b", Beside="-", C="-", D="end"))
    await solved(agentkit, model, TASK, journal=journal, graph=graph)
    assert {"C from a", "D from b"} <= set(model.asked)


def grown(answer: str, *nodes: dict[str, Any], edges: Any = ()) -> dict[str, Any]:
    return {"answer": answer, "nodes": nodes, "edges": edges}


def added(key: str, prompt: str, before: str, *needs: str) -> dict[str, Any]:
    return {"key": key, "prompt": prompt, "before": before, "needs": needs}


GROWING = (
    node("look", "Look"),
    node("doubt", "Doubt", adds=True),
    node("plan", "Plan", "doubt"),
    node("act", "Act", "plan"),
)


async def test_an_added_node_runs_before_its_target_and_is_gone_at_the_next_evaluation(
    journal: str,
) -> None:
    growth = grown("deep?", added("q", "Ask $db.task.goal", "act", "look"), edges=[["look", "act"]])
    doubts = [growth, grown("no doubt")]
    model = Acting(replies(Look="water", Doubt=doubts, Plan="row", Ask="2 m", Act=["one", "two"]))
    first = await solved(agentkit, model, TASK, journal=journal, graph=GROWING)
    assert first.output.output == "one"
    asked = [prompt.split()[0] for prompt in model.asked]
    assert asked.index("Doubt") < asked.index("Ask") < asked.index("Act")
    assert turns(model, "Act")[:-1] == [
        *[("user", "Look"), ("assistant", "water")],
        *[("user", "Plan"), ("assistant", "row")],
        *[("user", "Ask $db.task.goal"), ("assistant", "2 m")],
    ]
    assert "doubt added 1 nodes and 1 edges" in notes_of(first)

    doubts[:] = [growth, grown("no doubt")]
    model = Acting(replies(Look="water", Doubt=doubts, Plan="row", Ask="2 m", Act=["one", "two"]))
    second = await solved(agentkit, model, TASK, journal=journal, graph=GROWING, evaluations=2)
    assert second.output.output == "two"
    assert turns(model, "Act")[:-1] == [("user", "Plan"), ("assistant", "row")]
    assert sum(prompt.startswith("Ask") for prompt in model.asked) == 1


@pytest.mark.parametrize(
    ("growth", "problem"),
    [
        (grown("x", added("q", "Ask", "look")), "'look' may have started, or is no node"),
        (grown("x", added("q", "Ask", "doubt")), "'doubt' may have started, or is no node"),
        (grown("x", added("q", "Ask", "sky")), "'sky' may have started, or is no node"),
        (grown("x", added("q", "Ask", "plan", "sky")), "there is no node 'sky'"),
        (grown("x", added("q", "Ask", "plan", "act")), "'act' comes after 'plan'"),
        (grown("x", edges=[["act", "plan"]]), "'act' comes after 'plan'"),
        (grown("x", edges=[["plan", "plan"]]), "'plan' comes after 'plan'"),
        (grown("x", *[added(f"q{n}", "Ask", "act") for n in range(5)]), "give at most 4 nodes"),
        (grown("x", added("q", "A", "act"), added("q", "B", "act")), "each with its own key"),
    ],
)
async def test_an_addition_that_is_refused_is_asked_for_again_with_the_reason(
    growth: dict[str, Any], problem: str, journal: str
) -> None:
    answers = replies(Look="-", Doubt=[growth], That=grown("fine"), Plan="-", Act="end")
    model = Acting(answers)
    result = await solved(agentkit, model, TASK, journal=journal, graph=GROWING)
    assert result.output.output == "end"
    again = next(prompt for prompt in model.asked if prompt.startswith("That cannot be added"))
    assert problem in again


async def test_additions_that_are_refused_to_the_end_fail_the_node(journal: str) -> None:
    bad = grown("x", added("q", "Ask", "look"))
    model = Acting(replies(Look="-", Doubt=bad, That=bad))
    with pytest.raises(ExpansionError, match="'act': not asked, since 'plan' failed: not asked, s"):
        await solved(agentkit, model, TASK, journal=journal, graph=GROWING)
    assert len(model.asked) == 4, "the node beside it, and three attempts"


async def test_two_nodes_that_run_side_by_side_may_add_nodes_of_the_same_name(journal: str) -> None:
    graph = (
        node("a", "Left", adds=True),
        node("b", "Right", adds=True),
        node("end", "End", "a", "b"),
    )
    one, two = grown("l", added("q", "One", "end")), grown("r", added("q", "Two", "end"))
    model = Meeting(replies(Left=one, Right=two, One="1", Two="2", End="e"), ["Left", "Right"])
    await solved(agentkit, model, TASK, journal=journal, graph=graph)
    assert [text for role, text in turns(model, "End") if role == "assistant"] == [*"lr", *"12"]


async def test_evaluations_share_the_database(journal: str) -> None:
    graph = (node("row", "Row $db.strokes", store="strokes"),)
    model = Acting(replies(Row=["two", "four", "six"]))
    options: dict[str, Any] = {"graph": graph, "db": {"strokes": "none"}, "evaluations": 3}
    result = await solved(agentkit, model, TASK, journal=journal, **options)
    assert result.output.output == "six"
    assert model.asked == ["Row none", "Row two", "Row four"]


async def test_the_answer_has_the_shape_of_the_task_and_there_is_a_graph_by_default(
    journal: str,
) -> None:
    model = Acting(lambda prompt: '{"m": 3}' if "Follow the steps" in prompt else "think")
    task = TASK.model_copy(update={"output_schema": SCHEMA})
    result = await solved(agentkit, model, task, journal=journal)
    assert result.output.output == {"m": 3}


async def test_a_run_that_was_cut_off_goes_on_and_comes_to_the_same_tree(journal: str) -> None:
    growth = grown("deep?", added("q", "Ask", "act", "look"))
    answers = {"Look": "water", "Doubt": growth, "Plan": "row", "Ask": "2 m", "Act": "across"}
    whole = await solved(agentkit, Acting(replies(**answers)), TASK, journal=journal, graph=GROWING)

    def refuses(prompt: str) -> str:
        if prompt.startswith("Ask"):
            raise ModelRequestError(model="scripted:model", problem="no")
        return replies(**answers)(prompt)

    runner = Runner(journal=journal, model=Scripted(refuses))
    nodes = map(PromptNode.model_validate, GROWING)
    with pytest.raises(ModelRequestError):
        await runner.run_as("cut", agentkit, TASK, graph=tuple(nodes))
    model = Scripted(replies(**answers))
    resumed = await Runner(journal=journal, model=model).resume(agentkit, "cut")
    assert resumed.output == whole.output
    assert "Doubt" not in [prompt.split()[0] for prompt in model.asked]
    ended = {step.key: step for step in resumed.record.steps.values()}
    assert {(key, step.name, step.status) for key, step in ended.items()} == {
        (step.key, step.name, step.status) for step in whole.record.steps.values()
    }
