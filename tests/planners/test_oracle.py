"""The oracle performs what an environment says solves it, by the ordinary tools, and asks no model."""

import pytest
from agentflow_planners.oracle import oracle

from agentflow import Environment, Result, Runner, RunResult, Task, action
from agentflow.environments import Move
from agentflow.errors import ExpansionError, ToolError
from agentflow.tools import Tool
from tests.parts import Scripted, shape
from tests.planners.scripts import notes_of

pytestmark = pytest.mark.anyio

made: list[str] = []


class Lock(Environment):
    """A lock with a combination that it knows."""

    def __init__(self, combination: str = "731", patience: int = 9) -> None:
        made.append(combination)
        self.combination, self.entered, self.patience = combination, "", patience

    def is_over(self) -> bool:
        return self.entered == self.combination or len(self.entered) >= self.patience

    def score(self) -> float:
        return float(self.entered == self.combination)

    def walkthrough(self) -> list[Move]:
        moves: list[Move] = [("turn", {"digit": int(digit)}) for digit in self.combination]
        return [*moves, ("listen", {})]

    @action
    def turn(self, digit: int) -> str:
        """Turn to a digit."""
        if digit == 0:
            raise ValueError("there is no 0")
        self.entered += str(digit)
        return "open" if self.score() else "click"

    @action
    def listen(self) -> str:
        """Listen."""
        return "silence"


class Pond(Environment):
    """It has no solution."""

    @action
    def fish(self) -> str:
        """Fish."""
        return "nothing"


async def performed(*tools: Tool[..., object], journal: str = ":memory:") -> RunResult[Result]:
    made.clear()
    model = Scripted(lambda _prompt: "the model was asked")
    runner = Runner(journal=journal, model=model, tools=tools)
    task = Task(goal="Open it.", tools=tuple(tool.name for tool in tools))
    result = await runner.run_async(oracle, task)
    assert model.asked == []
    return result


async def test_the_solution_is_performed_by_the_tools_until_the_episode_is_over(
    journal: str,
) -> None:
    tools = Lock.named("lock").tools()
    result = await performed(*tools, journal=journal)
    assert result.output == Result(output="open")
    steps = [step.name for step in result.record.steps.values()]
    assert steps == ["oracle", "lock_walkthrough", *["lock_turn"] * 3, "lock_listen"]
    assert notes_of(result) == "lock: over after 3 of 4 actions"
    made.clear()
    replayed = await Runner(journal=journal, tools=tools).replay(oracle, result.id)
    assert (replayed.output, shape(replayed.record)) == (result.output, shape(result.record))
    assert made == [], "a replay makes no lock"


async def test_each_environment_of_the_task_is_solved() -> None:
    tools = [*Lock.named("front", combination="12").tools(), *Lock.named("back").tools()]
    result = await performed(*tools)
    turned = [step.name for step in result.record.steps.values() if step.name.endswith("turn")]
    assert turned == ["front_turn"] * 2 + ["back_turn"] * 3


async def test_what_it_cannot_do_it_says() -> None:
    with pytest.raises(ExpansionError, match="pond does not know its own solution"):
        await performed(*Pond.named("pond").tools())
    with pytest.raises(ExpansionError, match="the task has no environment to act on"):
        await performed()
    with pytest.raises(ExpansionError, match="takes lock_turn, which the task may not use"):
        await performed(*Lock.named("lock").tools("listen"))
    with pytest.raises(ToolError, match="there is no 0"):
        await performed(*Lock.named("lock", combination="10").tools())
