"""A real text game: resumed, forked and replayed from its recorded commands, and played by a planner."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from adventure.game import Game
from agentflow_tools.adventure import Adventure

from agentflow import Change, Journal, Runner, flow
from agentflow.engine.notes import tools_in_reach
from agentflow.episodes import environments_in_reach
from agentflow.errors import EnvironmentRestoreError, EpisodeOverError
from tests import warm
from tests.wire import WireServer, calls, says

TASK = Path(__file__).parents[2] / "examples/cave/task.yaml"

pytestmark = pytest.mark.anyio

INTO_THE_CAVE = [
    "enter building",
    "take lamp",
    "take keys",
    "exit",
    "south",
    "south",
    "south",
    "unlock grate",
    "down",
]
told: list[str] = []
stop_before: list[str] = []


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the real game is told, in this process."""
    real = Game.do_command

    def do_command(self: Game, words: list[str]) -> str:
        told.append(" ".join(words))
        said: str = real(self, words)
        return said

    monkeypatch.setattr(Game, "do_command", do_command)
    told.clear()
    stop_before.clear()


@flow
async def walk(game: int, commands: list[str]) -> list[str]:
    """Tell one game a list of commands."""
    cave = await Adventure.open(seed=game)
    heard = []
    for command in commands:
        if command in stop_before:
            raise RuntimeError("the lamp went out")
        heard.append(await cave.tell(command))
    return heard


async def test_a_resumed_game_is_told_again_what_it_was_told_and_goes_on(journal: str) -> None:
    whole = await Runner(journal=":memory:").run_async(walk, 7, INTO_THE_CAVE)
    assert "BENEATH A" in whole.output[-1]
    stop_before.append("unlock grate")
    with pytest.raises(RuntimeError):
        await Runner(journal=journal).run_as("stopped", walk, 7, INTO_THE_CAVE)
    stop_before.clear()
    told.clear()
    resumed = await Runner(journal=journal).resume(walk, "stopped")
    assert resumed.output == whole.output
    assert told == ["no", *INTO_THE_CAVE], "a new game, told all of it, the new commands once"
    actions = [step for step in resumed.record.steps.values() if step.name == "Adventure.tell"]
    live = [step for step in actions if "origin" not in step.details]
    assert len(live) == len(INTO_THE_CAVE), "no command was recorded as done twice"


async def test_a_fork_tries_another_way_from_the_same_place(journal: str) -> None:
    runner = Runner(journal=journal)
    first = await runner.run_async(walk, 7, INTO_THE_CAVE)
    step = next(
        step.number
        for step in first.record.steps.values()
        if step.name == "Adventure.tell" and b"unlock" in step.input
    )
    told.clear()
    plan = await runner.plan_fork(
        walk, first.id, at=step, change=Change(input={"command": "inventory"})
    )
    assert told == [], "a dry run touches no game"
    assert [item.number for item in plan.reused] == list(range(2, step))
    assert plan.rerun[0].number == step
    forked = await runner.fork(
        walk, first.id, at=step, change=Change(input={"command": "inventory"})
    )
    assert "BRASS LANTERN" in forked.output[7].upper()
    assert "GRATE" in forked.output[8].upper(), "still locked, so the way down is closed"
    assert told[: step - 2] == ["no", *INTO_THE_CAVE[: step - 3]], "brought to the fork point"
    told.clear()
    replayed = await runner.replay(walk, forked.id)
    assert replayed.output == forked.output
    assert told == []


@flow
async def get_ready(game: int) -> list[str]:
    """A part of the walk that finishes and is then taken over as a whole."""
    return await steps_inside(game)


async def steps_inside(_game: int) -> list[str]:
    return [await caves[0].tell(command) for command in INTO_THE_CAVE[:4]]


caves: list[Adventure] = []


@flow
async def in_parts(game: int) -> list[str]:
    """Open in the root, act in a flow below, then act in the root."""
    caves[:] = [await Adventure.open(seed=game)]
    heard = await get_ready(game)
    for command in INTO_THE_CAVE[4:]:
        if command in stop_before:
            raise RuntimeError("the lamp went out")
        heard.append(await caves[0].tell(command))
    return heard


async def test_actions_inside_a_flow_that_was_taken_over_are_told_again_as_well(
    journal: str,
) -> None:
    whole = await Runner(journal=":memory:").run_async(in_parts, 3)
    stop_before.append("down")
    with pytest.raises(RuntimeError):
        await Runner(journal=journal).run_as("stopped", in_parts, 3)
    stop_before.clear()
    told.clear()
    resumed = await Runner(journal=journal).resume(in_parts, "stopped")
    assert resumed.output == whole.output
    assert told == ["no", *INTO_THE_CAVE]


async def test_a_game_that_answers_otherwise_when_it_is_told_again_is_an_error(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before.append("down")
    with pytest.raises(RuntimeError):
        await Runner(journal=journal).run_as("stopped", walk, 7, INTO_THE_CAVE)
    stop_before.clear()
    monkeypatch.setattr(Game, "do_command", lambda _self, words: f"something else: {words}")
    with pytest.raises(EnvironmentRestoreError, match=r"tell\(.*enter building.*otherwise"):
        await Runner(journal=journal).resume(walk, "stopped")


async def test_who_leaves_the_game_has_a_score_and_can_do_no_more() -> None:
    @flow
    async def leave() -> tuple[str, float | None]:
        tell, cave = tools_in_reach()["cave_tell"], environments_in_reach()["cave"]
        assert "REALLY WANT TO QUIT" in await tell("quit")
        said = await tell("yes")
        with pytest.raises(EpisodeOverError):
            await tell("enter")
        return said, await cave.score()

    cave = Adventure.named("cave", seed=3)
    result = await Runner(journal=":memory:", tools=cave.tools()).run_async(leave)
    said, score = result.output
    assert f"YOU SCORED {score:g} OUT OF" in said
    assert told == ["no", "quit", "yes"]


def test_the_example_is_played_through_a_model_resumed_in_the_middle_and_replayed(
    tmp_path: Path,
) -> None:
    def agentflow(*arguments: str, server: WireServer) -> subprocess.CompletedProcess[str]:
        environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.openai_url}
        environment["AGENTFLOW_JOURNAL"] = str(tmp_path / "j.db")
        words = ("-m", "agentflow.cli.main", *arguments)
        return warm.run(*words, env=os.environ | environment)

    def tells(*commands: str) -> list[tuple[str, dict[str, str]]]:
        return [("cave_tell", {"command": command}) for command in commands]

    answer = "I stand in the building with the lamp and the keys."
    with WireServer([calls(*tells("enter", "take lamp")), calls(*tells("dance"))]) as server:
        stopped = agentflow("run", str(TASK), "-m", "openai:gpt-5-mini", server=server)
        assert stopped.returncode == 1, stopped.stderr
        opening = server.requests[0].text
        assert "At the beginning cave shows:\nYOU ARE STANDING AT THE END OF A ROAD" in opening
    with WireServer([calls(*tells("take keys", "inventory")), says(answer)]) as server:
        done = agentflow("resume", "last", server=server)
        assert done.returncode == 0, done.stderr
        assert "BRASS LANTERN" in server.requests[-1].prompt
    assert done.stdout.strip() == answer
    replayed = agentflow("replay", "last", server=server)
    assert json.loads(replayed.stdout)["output"] == answer, replayed.stderr
    with Journal(tmp_path / "j.db") as journal:
        names = [step.name for step in journal.run("last").steps.values()]
    assert "cave_opening" in names
