"""ScienceWorld: thirty kinds of elementary school experiments in a simulated house.

The simulator is the package `scienceworld` (extra `worlds`), which needs Java. Source: Wang et al.,
ScienceWorld: Is your Agent Smarter than a 5th Grader?, arXiv:2203.07540. With the same actions the same
things happen, but for the last digits of what an instrument says.
"""

import json
import re
from contextlib import closing
from typing import Any

from agentflow import Environment, action
from agentflow.environments import ActionTaken, Move
from agentflow.errors import InputError, MissingExtraError
from agentflow_tools.commands import commands_with
from agentflow_tools.java import Jvm

READING = re.compile(rb"(temperature of )-?\d+")
FEATURE = "ScienceWorld"


class ScienceWorld(Environment):
    """One variation of one task. Points are from 0 to 100, or -100 when the task has been lost.

    `simplification` is the simulator's own: `easy`, or some of teleportAction, openDoors and so on,
    separated by commas, or empty. The episode ends with the task, or after `step_limit` commands.

    Raises:
        MissingExtraError: The simulator is not installed.
        MissingProgramError: There is no Java.
        InputError: There is no such task, variation or simplification.
    """

    def __init__(
        self,
        task: str = "find-living-thing",
        variation: int = 0,
        simplification: str = "easy",
        step_limit: int = 200,
    ) -> None:
        self._chosen = (task, variation, simplification)
        self._left = step_limit
        self._jvm = _machine()
        try:
            self._world = _loaded(self._jvm, *self._chosen)
            self._world.reset()
            # As in the simulator's own interface the first look is a move.
            self._seen = self._world.step("look around")
        except BaseException:
            self._jvm.close()
            raise
        self._points = self._best = 0.0
        self._is_lost = self._is_done = False

    def opening(self) -> str:
        """Return the task, what is seen first, and the forms of commands."""
        forms = ", ".join(sorted(self._world.getPossibleActions()))
        described: str = self._world.getTaskDescription()
        return (
            f"{described.strip()}\n\n{self._seen.strip()}\n\n"
            f"Commands are {forms}, where OBJ is a thing or a place as it is called here. "
            f"You have {self._left} commands. Focus only on what the task names: focusing on anything "
            "else loses it."
        )

    def score(self) -> float:
        """Return the points now."""
        return self._points

    def best_score(self) -> float:
        """Return the most points so far, which is what is usually published."""
        return self._best

    def is_over(self) -> bool:
        """Return whether the task is done or lost, or no commands are left."""
        return self._is_done or self._is_lost or self._left <= 0

    def walkthrough(self) -> list[Move]:
        """Return the simulator's own solution; for some tasks it takes a minute to find."""
        with closing(_machine()) as jvm:  # finding it changes what it is found in
            world = _loaded(jvm, *self._chosen, solved=True)
            return [("act", {"command": command}) for command in world.getGoldActionSequence()]

    def agrees(self, taken: ActionTaken, output: bytes | None) -> bool:
        """Return whether only what an instrument says differs: it errs by chance."""
        if taken.output is None or output is None:
            return False
        return READING.sub(rb"\1", taken.output) == READING.sub(rb"\1", output)

    def close(self) -> None:
        """End the simulator."""
        self._jvm.close()

    @action
    def act(self, command: str) -> str:
        """Do one thing, such as `open door to kitchen`, `pick up orange`, `move orange to cup`, `focus on orange`, `use thermometer on orange` or `wait`; returns what happens."""
        self._left -= 1
        said: str = self._world.step(command.strip())
        self._points = float(round(100 * self._world.getScore()))
        self._best = max(self._best, self._points)
        self._is_lost = self._points < 0
        self._is_done = bool(self._world.getCompleted())
        return said.strip()

    @action
    def look(self) -> str:
        """Describe the place you are in and what is in it; costs nothing."""
        said: str = self._world.freeActionLook()
        return said.strip()

    @action
    def inventory(self) -> str:
        """Say what you carry; costs nothing."""
        said: str = self._world.freeActionInventory()
        return said.strip()

    @action
    def valid_commands(self, containing: str = "") -> list[str]:
        """List commands that are possible here and contain these words, such as `pick up` or `thermometer`; costs nothing. At most 60 are listed, so ask for something."""
        listed = json.loads(self._world.getValidActionObjectCombinationsJSON())["validActions"]
        commands = sorted({found["action"] for found in listed})
        return commands_with(commands, containing)


def _machine() -> Jvm:
    try:
        from scienceworld.constants import JAR_PATH  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(feature=FEATURE, extra="worlds") from error
    return Jvm(FEATURE, JAR_PATH)


def _loaded(
    jvm: Jvm, task: str, variation: int, simplification: str, *, solved: bool = False
) -> Any:
    """Return a world with a task in it; `solved` also finds its solution."""
    world = jvm.names.scienceworld.runtime.pythonapi.PythonInterface()
    if task not in (names := list(world.getTaskNames())):
        raise InputError(
            step="scienceworld", problem=f"task: there is no {task!r}; there are {', '.join(names)}"
        )
    most = world.getTaskMaxVariations(task)
    if not 0 <= variation < most:
        problem = f"variation: {task} has 0 to {most - 1}, not {variation}"
        raise InputError(step="scienceworld", problem=problem)
    known = ["easy", *world.getPossibleSimplifications().split(", ")]
    unknown = [name for name in simplification.split(",") if name and name not in known]
    if unknown:
        problem = f"simplification: there is no {unknown[0]!r}; there are {', '.join(known)}"
        raise InputError(step="scienceworld", problem=problem)
    world.load(task, variation, simplification, solved)
    return world
