"""The baselines: one call, and reasoning by turns with tools."""

from typing import Any

import pytest
from agentflow_planners.direct import direct
from agentflow_planners.react import react

from agentflow import Runner, RunResult, Task, tool
from agentflow.errors import ExpansionError
from tests.parts import Scripted
from tests.wire import WireServer, calls, gives_json, says

pytestmark = pytest.mark.anyio

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    if city == "Atlantis":
        raise ValueError("under water")
    return f"sunny in {city}"


async def test_direct_answers_with_text_or_with_the_wanted_shape() -> None:
    prompts = Scripted(lambda prompt: '{"n": 3}' if "JSON" in prompt else "three")
    runner = Runner(journal=":memory:", model=prompts)
    task = Task(goal="How many?", inputs={"apples": [1, 2, 3]})
    assert (await runner.run_async(direct, task)).output.output == "three"
    assert "apples:\n[1, 2, 3]" in prompts.asked[0]
    shaped = task.model_copy(update={"output_schema": NUMBER})
    assert (await runner.run_async(direct, shaped)).output.output == {"n": 3}


async def reacted(
    server: WireServer, monkeypatch: pytest.MonkeyPatch, **task: Any
) -> RunResult[Any]:
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    runner = Runner(journal=":memory:", model="openai:gpt-5-mini", tools=[weather])
    return await runner.run_async(react, Task(goal="Weather?", tools=("weather",), **task), turns=3)


async def test_react_calls_tools_side_by_side_and_then_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = [
        calls(("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})),
        says("sunny in both"),
    ]
    with WireServer(script) as server:
        result = await reacted(server, monkeypatch)
    assert result.output.output == "sunny in both"
    assert [step.name for step in result.record.steps.values()] == [
        "react",
        "generate",
        "weather",
        "weather",
        "generate",
    ]


async def test_react_tells_the_model_about_wrong_tools_and_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = [
        calls(
            ("climate", {"city": "Rome"}),
            ("weather", {"city": "Atlantis"}),
            ("weather", {"town": 1}),
        ),
        says("I could not find out"),
    ]
    with WireServer(script) as server:
        await reacted(server, monkeypatch)
        said = str(server.requests[1].body)
    assert "there is no tool 'climate'" in said
    assert "ValueError: under water" in said
    assert "missing a required argument: 'city'" in said or "unexpected keyword" in said


async def test_react_gives_the_answer_in_the_wanted_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer([says("it is three"), gives_json({"n": 3})]) as server:
        result = await reacted(server, monkeypatch, output_schema=NUMBER)
    assert result.output.output == {"n": 3}


async def test_react_stops_after_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    too_long = pytest.raises(ExpansionError, match="no answer after 3 turns; raise `turns`")
    with WireServer([calls(("weather", {"city": "Rome"}))] * 3) as server, too_long:
        await reacted(server, monkeypatch)
