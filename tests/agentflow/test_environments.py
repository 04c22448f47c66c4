"""Environments under a name: tools of a run, one fresh instance an episode, brought back by what they were told."""

from collections.abc import Iterator
from typing import Any

import pytest
from agentflow_planners.react import react

from agentflow import Budget, Change, Environment, Program, Runner, Task, action, flow, run_program
from agentflow.engine.notes import tools_in_reach
from agentflow.environments import ActionTaken, Move
from agentflow.episodes import environments_in_reach, episode, with_openings
from agentflow.errors import (
    BudgetExceededError,
    DriftError,
    EnvironmentRestoreError,
    EpisodeOverError,
    InputError,
    ToolError,
)
from agentflow.expansion import Unwritten
from agentflow.journal.journal import Journal
from agentflow.models.protocol import ToolSpec
from agentflow.runner import RunResult
from tests.wire import Scripted, WireServer, calls, says

pytestmark = pytest.mark.anyio

log: list[str] = []
broken = {"is": False}


@pytest.fixture(autouse=True)
def clean() -> None:
    log.clear()
    broken["is"] = False


class Corridor(Environment):
    """A corridor with a door at its end."""

    def __init__(self, length: int = 4, dark: bool = False) -> None:
        self.place, self.length, self.dark = 0, length, dark
        log.append("made")

    def opening(self) -> str:
        return "A dark corridor." if self.dark else f"A corridor of {self.length} steps."

    def score(self) -> float:
        return self.place / self.length

    def is_over(self) -> bool:
        return self.place == self.length

    @action
    def walk(self, steps: int) -> str:
        """Walk some steps; returns where you are then."""
        log.append(f"walk {steps}")
        if steps < 0:
            raise ValueError("there is no way back")
        self.place = min(self.place + steps, self.length)
        return f"at {self.place}"

    @action
    async def look(self) -> int:
        """Count the steps to the door."""
        log.append("look")
        return self.length - self.place

    def close(self) -> None:
        log.append("closed")


class Silent(Environment):
    """It has nothing to say and takes no options."""

    @action
    def wait(self) -> None:
        """Wait."""


script: list[Scripted] = []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    script.clear()
    with WireServer(script) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
        yield running


def runner(journal: str = ":memory:", length: int = 4) -> Runner:
    hall = Corridor.named("hall", length=length)
    return Runner(journal=journal, model="openai:gpt-5-mini", tools=hall.tools())


@flow
async def to_the_door(strides: list[int]) -> list[str]:
    """Walk, unless something is broken before the last stride."""
    walk = tools_in_reach()["hall_walk"]
    heard = []
    for stride in strides:
        if stride == strides[-1] and broken["is"]:
            raise RuntimeError("the light went out")
        heard.append(await walk(stride))
    return heard


async def stopped(journal: str) -> None:
    broken["is"] = True
    with pytest.raises(RuntimeError):
        await runner(journal).run_as("stopped", to_the_door, [1, 2, 3])
    broken["is"] = False
    log.clear()


def names(result: RunResult[Any]) -> list[str]:
    return [step.name for step in result.record.steps.values()]


# As tools ----------------------------------------------------------------------------------


def test_an_action_is_a_tool_with_the_name_of_both() -> None:
    walk, look = Corridor.named("hall").tools()
    assert walk.spec == ToolSpec(
        name="hall_walk",
        description="Walk some steps; returns where you are then.",
        parameters={
            "type": "object",
            "properties": {"steps": {"title": "Steps", "type": "integer"}},
            "required": ["steps"],
            "additionalProperties": False,
        },
    )
    assert (look.spec.name, look.effect) == ("hall_look", True)
    assert [tool.name for tool in Corridor.named("hall").tools("look")] == ["hall_look"]
    assert log == [], "nothing is made before it is needed"


def test_what_cannot_be_named_or_made_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="identifier, not 'the hall'"):
        Corridor.named("the hall")
    with pytest.raises(InputError, match=r"^hall: input: length: .*integer.*'long'"):
        Corridor.named("hall", length="long")
    with pytest.raises(InputError, match="unexpected keyword argument 'lenght'"):
        Corridor.named("hall", lenght=3)
    with pytest.raises(ValueError, match=r"hall has no action 'run' \(it has walk, look\)"):
        Corridor.named("hall").tools("run")


async def test_two_of_one_name_are_refused() -> None:
    hall = Corridor.named("hall")
    with pytest.raises(ValueError, match="two tools are called 'hall_walk'"):
        Runner(tools=[*hall.tools(), *hall.tools("walk")]).services()
    other = Corridor.named("hall", length=9)
    with pytest.raises(ValueError, match="two environments are called 'hall'"):
        Runner(tools=[*hall.tools("walk"), *other.tools("look")]).services()


async def test_a_program_acts_in_order_and_hears_of_failures() -> None:
    @flow
    async def programmed(code: str) -> object:
        program = Program(code=code, tools=("hall_walk", "hall_look"))
        return await run_program(program, nobody)

    good = await runner().run_async(
        programmed, "a = hall_walk(1)\nb = hall_look()\nc = hall_walk(2)\nreturn [a, b, c]"
    )
    assert good.output == ["at 1", 3, "at 3"]
    assert log == ["made", "walk 1", "look", "walk 2", "closed"]
    caught = "try:\n    {}\nexcept {} as error:\n    return str(error)"
    failing = caught.format("hall_walk(-1)", "ValueError")
    assert (await runner().run_async(programmed, failing)).output == "there is no way back"
    late = caught.format("hall_walk(9)\n    hall_look()", "RuntimeError")
    said = (await runner().run_async(programmed, late)).output
    assert "the episode is over, so nothing happened" in str(said)


@flow
async def nobody(call: Unwritten) -> None:
    raise AssertionError(call)


async def test_any_planner_that_uses_tools_plays_sees_the_opening_and_is_told_of_the_end(
    server: WireServer,
) -> None:
    script[:] = [
        calls(("hall_look", {}), ("hall_walk", {"steps": 1})),
        calls(("hall_walk", {"steps": 3})),
        calls(("hall_walk", {"steps": 1})),
        says("through the door"),
    ]

    @flow
    async def task(task: Task) -> tuple[object, float | None]:
        async with episode():
            result = await react(await with_openings(task))
            return result.output, await environments_in_reach()["hall"].score()

    given = Task(goal="Leave.", tools=("hall_walk", "hall_look"), context="Be quick.")
    result = await runner().run_async(task, given)
    assert result.output == ("through the door", 1.0)
    first, last = server.requests[0].text, server.requests[-1].text
    assert "Be quick.\n\nAt the beginning hall shows:\nA corridor of 4 steps." in first
    assert "EpisodeOverError: the episode is over, so nothing happened" in last
    assert log == ["made", "look", "walk 1", "walk 3", "closed"]
    assert names(result) == [
        "task",
        "hall_opening",
        "react",
        *("generate", "hall_look", "hall_walk"),
        *("generate", "hall_walk"),
        *("generate", "hall_walk"),
        "generate",
        "hall_score",
    ]
    log.clear()


async def test_an_environment_without_words_or_options_just_acts() -> None:
    @flow
    async def task(task: Task) -> tuple[str, float | None]:
        async with episode():
            context = (await with_openings(task)).context
            await tools_in_reach()["it_wait"]()
            return context, await environments_in_reach()["it"].score()

    result = await Runner(journal=":memory:", tools=Silent.named("it").tools()).run_async(
        task, Task(goal="Wait.", tools=("it_wait",))
    )
    assert result.output == ("", None)
    assert "it_opening" not in names(result)


# Episodes ----------------------------------------------------------------------------------


async def test_every_episode_and_every_run_has_its_own() -> None:
    @flow
    async def one() -> list[str]:
        async with episode():
            return await to_the_door([1, 2])

    @flow
    async def several() -> list[list[str]]:
        return [await one(), await one()]

    both = runner()
    result = await both.run_async(several)
    assert result.output == [["at 1", "at 3"]] * 2
    assert log == ["made", "walk 1", "walk 2", "closed"] * 2, "closed with its episode"
    assert (await both.run_async(to_the_door, [3])).output == ["at 3"]


async def test_an_end_is_typed_and_changes_nothing() -> None:
    with pytest.raises(EpisodeOverError) as caught:
        await runner().run_async(to_the_door, [4, 1])
    assert isinstance(caught.value, ToolError)
    assert caught.value.tool == "hall_walk"
    assert log == ["made", "walk 4", "closed"]


# Brought back ------------------------------------------------------------------------------


async def test_a_resume_tells_a_new_one_what_the_old_one_was_told(journal: str) -> None:
    await stopped(journal)
    resumed = await runner(journal).resume(to_the_door, "stopped")
    assert resumed.output == ["at 1", "at 3", "at 4"]
    assert log == ["made", "walk 1", "walk 2", "walk 3", "closed"]
    live = [step for step in resumed.record.steps.values() if step.name == "hall_walk"]
    assert len([step for step in live if "origin" not in step.details]) == 3


async def test_a_replay_makes_nothing(journal: str, server: WireServer) -> None:
    script[:] = [
        calls(("hall_walk", {"steps": 4})),
        calls(("hall_walk", {"steps": 1})),
        says("ok"),
    ]
    task = Task(goal="Leave.", tools=("hall_walk",))
    first = await runner(journal).run_async(react, task)
    log.clear()
    replayed = await runner(journal).replay(react, first.id)
    assert replayed.output == first.output
    assert log == []
    assert len(server.requests) == 3


async def test_a_fork_goes_another_way_from_the_same_place(journal: str) -> None:
    first = await runner(journal).run_async(to_the_door, [1, 1, 2])
    log.clear()
    change = Change(input={"steps": 0})
    plan = await runner(journal).plan_fork(to_the_door, first.id, at=3, change=change)
    assert log == [], "a dry run makes nothing"
    assert [step.number for step in plan.reused] == [2]
    forked = await runner(journal).fork(to_the_door, first.id, at=3, change=change)
    assert forked.output == ["at 1", "at 1", "at 3"]
    assert log == ["made", "walk 1", "walk 0", "walk 2", "closed"]
    assert (await runner(journal).replay(to_the_door, forked.id)).output == forked.output


async def test_one_made_otherwise_is_another_one(journal: str) -> None:
    await stopped(journal)
    with pytest.raises(DriftError, match="hall_walk"):
        await runner(journal, length=9).resume(to_the_door, "stopped")
    longer = runner(journal, length=9)
    resumed = await longer.resume(to_the_door, "stopped", accept_changes=True)
    assert resumed.output == ["at 1", "at 3", "at 6"]
    assert log.count("walk 2") == 1, "walked anew, since the old corridor was another one"


async def test_the_same_holds_for_one_that_a_flow_opens(journal: str) -> None:
    @flow
    async def through(length: int) -> str:
        return await (await Corridor.open(length=length)).walk(9)

    first = await Runner(journal=journal).run_async(through, 4)
    forked = await Runner(journal=journal).fork(
        through, first.id, at=1, change=Change(input={"length": 6})
    )
    assert (first.output, forked.output) == ("at 4", "at 6")


async def test_an_action_that_was_refused_or_failed_is_remembered_as_it_was(journal: str) -> None:
    @flow
    async def part() -> str:
        walk = tools_in_reach()["hall_walk"]
        await walk(1)
        with pytest.raises(ToolError):
            await walk(-1)
        with pytest.raises(InputError):
            await walk("far")
        assert await tools_in_reach()["hall_look"]() == 3
        await walk(3)
        with pytest.raises(EpisodeOverError):
            await walk(1)
        with pytest.raises(BudgetExceededError):
            await walk(2)
        return "done"

    @flow
    async def whole() -> str:
        said = await part()
        if broken["is"]:
            raise RuntimeError("the light went out")
        hall = environments_in_reach()["hall"]
        return f"{said} {await hall.score()}"

    hall = Corridor.named("hall")
    narrow = Runner(journal=journal, tools=hall.tools(), budget=Budget(width=5))
    broken["is"] = True
    with pytest.raises(RuntimeError):
        await narrow.run_as("stopped", whole)
    broken["is"] = False
    log.clear()
    result = await narrow.resume(whole, "stopped")
    assert result.output == "done 1.0"
    assert log == ["made", "walk 1", "walk -1", "look", "walk 3", "closed"]
    log.clear()
    assert (await narrow.replay(whole, "stopped")).output == "done 1.0"
    assert log == []


async def test_a_run_says_what_its_environments_were(journal: str) -> None:
    result = await runner(journal, length=3).run_async(to_the_door, [1])
    with Journal(journal) as opened:
        settings = opened.run(result.id).settings
    assert settings["tools"] == ["hall_walk", "hall_look"]
    assert settings["environments"] == {
        "hall": {
            "use": f"{Corridor.__module__}:Corridor",
            "options": {"length": 3, "dark": False},
            "actions": ["walk", "look"],
        }
    }


# What an environment knows of itself -------------------------------------------------------


class Scale(Environment):
    """It weighs with an error; what it said last decides how far off it is next time."""

    def __init__(self, error: int = 0) -> None:
        self.error, self.weighed = error, 0

    def score(self) -> float:
        return float(self.weighed % 2)

    def walkthrough(self) -> list[Move]:
        return [("weigh", {"what": "salt"})]

    def agrees(self, taken: ActionTaken, output: bytes | None) -> bool:
        return taken.name == "weigh" and output is not None

    @action
    def weigh(self, what: str) -> str:
        """Weigh something."""
        self.weighed += 1
        return f"{what}: {errors.pop(0)} g"

    @action
    def label(self) -> str:
        """Read the label."""
        return f"made in {errors.pop(0)}"


errors: list[int] = []


@flow
async def weigh_and_read() -> list[str]:
    """Weigh, read the label, and weigh again unless something is broken."""
    tools = tools_in_reach()
    heard = [await tools["scale_weigh"](what="salt"), await tools["scale_label"]()]
    if broken["is"]:
        raise RuntimeError("the light went out")
    return [*heard, await tools["scale_weigh"](what="pepper")]


async def weighed_again(journal: str, *said: int) -> list[str]:
    scales = Runner(journal=journal, tools=Scale.named("scale").tools())
    errors[:] = [10, 1990]
    broken["is"] = True
    with pytest.raises(RuntimeError):
        await scales.run_as("stopped", weigh_and_read)
    broken["is"] = False
    errors[:] = said
    found: list[str] = (await scales.resume(weigh_and_read, "stopped")).output
    return found


async def test_noise_that_an_environment_admits_is_no_drift(journal: str) -> None:
    heard = await weighed_again(journal, 11, 1990, 7)
    assert heard == ["salt: 10 g", "made in 1990", "pepper: 7 g"], "what was recorded stands"


async def test_what_is_no_noise_still_is_a_drift(journal: str) -> None:
    with pytest.raises(EnvironmentRestoreError, match=r"label.*otherwise than recorded"):
        await weighed_again(journal, 11, 1991, 7)


async def test_a_walkthrough_and_the_best_score_are_steps_and_no_tools(journal: str) -> None:
    @flow
    async def ask() -> tuple[list[Move] | None, list[Move] | None, float | None]:
        found = environments_in_reach()
        scale, hall = found["scale"], found["hall"]
        return await scale.walkthrough(), await hall.walkthrough(), await hall.best_score()

    tools = [*Scale.named("scale").tools(), *Corridor.named("hall").tools()]
    assert {tool.name for tool in tools}.isdisjoint({"scale_walkthrough", "hall_best_score"})
    asking = Runner(journal=journal, tools=tools)
    result = await asking.run_async(ask)
    assert result.output == ([("weigh", {"what": "salt"})], None, 0.0)
    assert names(result) == ["ask", "scale_walkthrough", "hall_best_score"]
    log.clear()
    assert (await asking.replay(ask, result.id)).output == result.output
    assert log == []
