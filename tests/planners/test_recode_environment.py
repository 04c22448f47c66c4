"""ReCode acts on a real text game: its placeholders are written while the game stands where they left it."""

import pytest
from adventure.game import Game
from agentflow_tools.adventure import Adventure

from agentflow import Runner, Task
from agentflow.solving import Named, solve_task
from tests.parts import shape
from tests.planners.recode_parts import writer

pytestmark = pytest.mark.anyio

TASK = Task(goal="Fetch the lamp.", tools=("cave_tell",))
BODIES = {
    "solve": "enter_building()\nseen = fetch(item='lamp')\nreturn seen",
    "enter_building": "return cave_tell('enter')",
    "fetch": [
        "cave_tell(f'take {item}')\nreturn [][0]",
        "return cave_tell('inventory')",
    ],
}


def runner(journal: str) -> Runner:
    tools = Adventure.named("cave", seed=7).tools()
    return Runner(journal=journal, model=writer(BODIES), tools=tools)


async def test_placeholders_act_in_order_and_a_repair_does_not_act_again(journal: str) -> None:
    result = await runner(journal).run_async(solve_task, TASK, Named(name="recode"), ())
    assert "BRASS LANTERN" in str(result.output.output)
    actions = [step for step in result.record.steps.values() if step.name == "cave_tell"]
    told = [step.input for step in actions]
    assert len(told) == 3
    assert sum(b"take lamp" in recorded for recorded in told) == 1
    asked = [step for step in result.record.steps.values() if step.kind == "model"]
    assert any(b"must not be repeated" in step.input for step in asked)


async def test_a_replay_does_not_open_the_game(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await runner(journal).run_async(solve_task, TASK, Named(name="recode"), ())
    monkeypatch.setattr(Game, "__init__", lambda *_: pytest.fail("the game was opened"))
    again = await runner(journal).replay(solve_task, result.id)
    assert again.output == result.output
    assert shape(again.record) == shape(result.record)


async def test_what_the_game_shows_first_is_in_the_prompt(journal: str) -> None:
    model = writer(BODIES)
    tools = Adventure.named("cave", seed=7).tools()
    await Runner(journal=journal, model=model, tools=tools).run_async(
        solve_task, TASK, Named(name="recode"), ()
    )
    assert "SMALL BRICK" in model.asked[0]
