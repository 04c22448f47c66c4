"""Planners of every kind act on the real ScienceWorld: what they do counts, not what they say."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_evals.scorers.reward import reward
from agentflow_planners.codeact import codeact
from agentflow_planners.oracle import oracle
from agentflow_planners.plan_and_execute import plan_and_execute
from agentflow_planners.react import react
from agentflow_planners.recode import recode
from agentflow_tools.scienceworld import ScienceWorld

from agentflow import Flow, Result, Runner, Task, flow
from agentflow.episodes import episode, with_openings
from tests.parts import Scripted, shape
from tests.planners.recode_parts import writer
from tests.planners.scripts import Acting, in_turn
from tests.tools.games import needs

pytestmark = [pytest.mark.anyio, pytest.mark.slow, needs("scienceworld")]

GO, FOCUS = "teleport to outside", "focus on crocodile"


def call(command: str) -> str:
    return f"CALL world_act {json.dumps({'command': command})}"


def acting() -> Scripted:
    return Acting(in_turn(call(GO), call(FOCUS), "done"))


def planning() -> Scripted:
    parts = [{"id": "all", "goal": "Find it.", "needs": []}]
    return Acting(in_turn(json.dumps({"subtasks": parts}), call(GO), call(FOCUS), "done"))


def coding() -> Scripted:
    first = f"```python\nworld_act({GO!r})\nprint(world_valid_commands('focus crocodile'))\n```"
    return Acting(in_turn(first, f"```python\nworld_act({FOCUS!r})\nreturn 'done'\n```"))


def writing() -> Scripted:
    find = f"world_act({GO!r})\nreturn world_valid_commands('focus crocodile')[0]"
    return writer(
        {"solve": "command = find_oldest()\nreturn world_act(command)", "find_oldest": find}
    )


def nobody() -> Scripted:
    return Scripted(lambda _prompt: pytest.fail("the oracle asks no model"))


@pytest.mark.parametrize(
    ("planner", "model"),
    [
        (react, acting),
        (plan_and_execute, planning),
        (codeact, coding),
        (recode, writing),
        (oracle, nobody),
    ],
    ids=["react", "plan_and_execute", "codeact", "recode", "oracle"],
)
async def test_a_planner_that_finds_the_oldest_animal_has_all_points(
    planner: Flow[..., Result], model: Callable[[], Scripted], journal: str
) -> None:
    @flow
    async def trial(task: Task) -> dict[str, Any]:
        async with episode():
            result = await planner(await with_openings(task))
            score = await reward(result.output, {"environment": "world", "full": 100})
        return {"value": score.value, "passed": score.passed}

    world = ScienceWorld.named("world", task="lifespan-longest-lived", variation=93)
    tools = world.tools()
    task = Task(goal="Do the task.", tools=tuple(tool.name for tool in tools))
    runner = Runner(journal=journal, model=model(), tools=tools)
    result = await runner.run_async(trial, task)
    assert result.output == {"value": 1.0, "passed": True}
    replayed = await Runner(journal=journal, tools=tools).replay(trial, result.id)
    assert shape(replayed.record) == shape(result.record)
