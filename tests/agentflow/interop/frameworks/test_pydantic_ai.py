"""Agents of pydantic-ai in real runs, with a real model client and a local server as the model."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow import Budget, Runner
from agentflow.errors import BudgetExceededError, ModelError, ToolError
from agentflow.flows import Flow
from agentflow.models.protocol import ModelSpec
from tests.wire import Scripted, Seen, WireServer, calls, fails, gives_json, says

pytest.importorskip("pydantic_ai", reason="the extra pydantic-ai is not installed")

from pydantic_ai import Agent, ModelRetry, RunContext, ToolOutput
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.tools import DeferredToolRequests

from agentflow.interop.frameworks.failures import FrameworkError
from agentflow.interop.pydantic_ai import from_pydantic_ai

pytestmark = pytest.mark.anyio


class City(BaseModel):
    name: str
    people: int


@dataclass
class Store:
    """What the tools of the test work on."""

    taken: list[str]
    broken: bool = False


def runner(server: WireServer, journal: str, **rest: Any) -> Runner:
    spec = ModelSpec(provider="openai", name="m", base_url=server.openai_url, retries=2)
    return Runner(model=spec, journal=journal, **rest)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def adapted(agent: Any, **rest: Any) -> Flow[..., Any]:
    """Return the flow under test, typed alike whether pydantic-ai is installed or not."""
    return from_pydantic_ai(agent, **rest)


def shop(**rest: Any) -> Agent[Store, Any]:
    agent: Agent[Store, Any] = Agent(name="shop", deps_type=Store, instructions="You sell.", **rest)

    @agent.tool  # type: ignore[untyped-decorator, unused-ignore]
    def take(ctx: RunContext[Store], item: str) -> str:
        """Take an item from the store."""
        ctx.deps.taken.append(item)
        if item == "ghost":
            raise ModelRetry("there is no ghost, take something else")
        if ctx.deps.broken:
            raise ConnectionError("the store is closed")
        return f"{item} taken"

    return agent


async def test_an_agent_answers_through_our_model_layer(journal: str) -> None:
    agent: Agent[None, str] = Agent(
        name="guide",
        system_prompt="Be brief.",
        instructions="Be right.",
        model_settings={"temperature": 0.5},
    )
    flow = adapted(agent)
    with WireServer([says("Paris", ".")]) as server:
        result = await runner(server, journal).run_async(flow, "Capital?")
        assert result.output == "Paris."
        assert server.requests[0].turns == [
            ("system", "Be brief."),
            ("system", "Be right."),
            ("user", "Capital?"),
        ]
        assert server.requests[0].body["temperature"] == 0.5
        kinds = [(step.name, step.kind) for step in result.record.steps.values()]
        assert kinds == [("guide", "flow"), ("generate", "model")]
        assert result.record.usage.input_tokens == 12
        replayed = await runner(server, journal).replay(flow, result.id)
    assert replayed.output == "Paris."
    assert len(server.requests) == 1


async def test_an_output_type_is_kept_and_a_misfit_is_asked_again(journal: str) -> None:
    flow = adapted(Agent(name="atlas", output_type=City))
    answers = [gives_json({"name": "Rome"}), gives_json({"name": "Rome", "people": 3})]
    with WireServer(answers) as server:
        result = await runner(server, journal).run_async(flow, "Rome?")
        assert result.output == City(name="Rome", people=3)
        assert "json_schema" in str(server.requests[0].body)
        assert "people" in server.requests[1].prompt, "the agent tells the model what is missing"
        replayed = await runner(server, journal).replay(flow, result.id)
    assert replayed.output == City(name="Rome", people=3)


async def test_an_output_by_a_tool_is_no_step_of_its_own(journal: str) -> None:
    flow = adapted(Agent(name="atlas", output_type=ToolOutput(City, name="give")))
    with WireServer([calls(("give", {"name": "Oslo", "people": 7}))]) as server:
        result = await runner(server, journal).run_async(flow, "Oslo?")
    assert result.output == City(name="Oslo", people=7)
    assert [step.kind for step in result.record.steps.values()] == ["flow", "model"]


async def test_tools_are_steps_and_their_retries_go_the_same_way_in_a_replay(journal: str) -> None:
    store = Store([])
    flow = adapted(shop(), deps=store, effects=["take"])
    answers = [
        calls(("take", {"item": "ghost"})),
        calls(("take", {"item": "tea"}), ("take", {"item": "milk"})),
        says("done"),
    ]
    with WireServer(answers) as server:
        result = await runner(server, journal).run_async(flow, "Tea with milk")
        assert result.output == "done"
        assert "there is no ghost" in server.requests[1].text
        assert "milk taken" in server.requests[2].text
        steps = [
            (step.name, step.status, step.details.get("effect"))
            for step in result.record.steps.values()
            if step.kind == "tool"
        ]
        assert steps == [("take", "succeeded", True)] * 3
        replayed = await runner(server, journal).replay(flow, result.id)
    assert replayed.output == "done"
    assert sorted(store.taken) == ["ghost", "milk", "tea"]


async def test_a_resume_repeats_neither_finished_model_calls_nor_finished_tools(
    journal: str,
) -> None:
    store = Store([])
    flow = adapted(shop(), deps=store)
    broken = [calls(("take", {"item": "tea"})), fails(400, "not today")]
    with WireServer(broken) as server, pytest.raises(ModelError, match="not today"):
        await runner(server, journal).run_as("r", flow, "Tea")
    with WireServer([says("here you are")]) as server:
        spec = ModelSpec(provider="openai", name="m", base_url=server.openai_url)
        result = await Runner(model=spec, journal=journal).resume(flow, "r")
        assert result.output == "here you are"
        assert len(server.requests) == 1
        assert "tea taken" in server.requests[0].text
    assert store.taken == ["tea"]


async def test_a_broken_tool_ends_the_run_and_runs_again_in_a_resume(journal: str) -> None:
    store = Store([], broken=True)
    flow = adapted(shop(), deps=store)
    with WireServer([calls(("take", {"item": "tea"})), says("here")]) as server:
        with pytest.raises(ToolError, match="ConnectionError: the store is closed"):
            await runner(server, journal).run_as("r", flow, "Tea")
        store.broken = False
        assert (await runner(server, journal).resume(flow, "r")).output == "here"
    assert store.taken == ["tea", "tea"]


async def test_a_busy_server_is_asked_again_by_our_layer(journal: str) -> None:
    flow = adapted(Agent(name="guide"))
    with WireServer([fails(429, retry_after="0.001"), says("at last")]) as server:
        result = await runner(server, journal).run_async(flow, "?")
    assert result.output == "at last"
    assert [s.details["attempts"] for s in result.record.steps.values() if s.kind == "model"] == [2]


async def test_the_budget_of_the_tree_holds(journal: str) -> None:
    flow = adapted(shop(), deps=Store([]))

    def again(seen: Seen) -> Scripted:
        return calls(("take", {"item": f"tea {len(seen.turns)}"}))

    with WireServer(again) as server:
        tight = runner(server, journal, budget=Budget(steps=6))
        with pytest.raises(BudgetExceededError, match="steps"):
            await tight.run_async(flow, "Tea, always")


async def test_an_agent_that_gives_up_says_so_in_its_own_words(journal: str) -> None:
    flow = adapted(Agent(name="atlas", output_type=City, retries=1))
    with (
        WireServer([gives_json({}), gives_json({})]) as server,
        pytest.raises(UnexpectedModelBehavior, match="retries"),
    ):
        await runner(server, journal).run_async(flow, "?")


async def test_what_does_not_map_is_a_typed_error(journal: str) -> None:
    with pytest.raises(FrameworkError, match="call `ask` in the tool"):
        from_pydantic_ai(Agent(name="a", output_type=[str, DeferredToolRequests]))
    with pytest.raises(TypeError, match="no name"):
        from_pydantic_ai(Agent())
    flow = adapted(Agent(name="a", model_settings={"top_p": 0.5}))
    with WireServer([]) as server, pytest.raises(FrameworkError, match="'top_p' does not map"):
        await runner(server, journal).run_async(flow, "?")


async def test_a_tool_that_always_asks_for_another_call_ends_as_in_the_agent_itself(
    journal: str,
) -> None:
    flow = adapted(shop(retries=1), deps=Store([]))
    ghost = calls(("take", {"item": "ghost"}))
    with WireServer([ghost, ghost]) as server:
        ours = runner(server, journal)
        with pytest.raises(UnexpectedModelBehavior, match="take"):
            await ours.run_as("r", flow, "A ghost")
        with pytest.raises(Exception, match="take"):
            await ours.replay(flow, "r")
