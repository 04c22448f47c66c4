"""TextWorld Express: eight kinds of text games, generated from a seed.

The games are the package `textworld-express` (extra `worlds`), which needs Java. Source: Jansen and
Cote, TextWorldExpress: Simulating Text Games at One Million Steps Per Second, arXiv:2208.01174. The same
seed gives the same game, and the same actions lead to the same places.
"""

import json
from typing import Any, Literal

from agentflow import Environment, action
from agentflow.environments import Move
from agentflow.errors import InputError, MissingExtraError
from agentflow_tools.commands import commands_with
from agentflow_tools.java import Jvm

Game = Literal[
    "arithmetic",
    "coin",
    "cookingworld",
    "mapreader",
    "peckingorder",
    "simonsays",
    "sorting",
    "twc",
]
Fold = Literal["train", "dev", "test"]
FEATURE = "TextWorld Express"
FIRST_SEEDS: dict[Fold, int] = {"train": 0, "dev": 10_000, "test": 20_000}
SEEDS = 1_000  # of each fold


class TextWorldExpress(Environment):
    """One generated game. Points are from 0 to 1; the episode ends when it is won or lost.

    `seed` is one of the thousand of its `fold`: from 0, 10000 and 20000 on. `parameters` are the game's own,
    such as `numLocations=5, includeDoors=0`; without them it is of the usual size.

    Raises:
        MissingExtraError: The games are not installed.
        MissingProgramError: There is no Java.
        InputError: The parameters or the seed are not what the game takes.
    """

    def __init__(
        self,
        game: Game = "coin",
        seed: int = 0,
        fold: Fold = "train",
        parameters: str = "",
        step_limit: int = 100,
    ) -> None:
        self._fold, self._step_limit = fold, step_limit
        self._jvm = _machine()
        try:
            self._world = self._jvm.names.textworldexpress.runtime.PythonInterface()
            self._load(game, parameters)
            self.begin(seed)
        except BaseException:
            self._jvm.close()
            raise

    def begin(self, seed: int) -> None:
        """Begin the game of another seed of the same fold, as if it had just been made.

        Raises:
            InputError: It is not one of the fold.
        """
        first = FIRST_SEEDS[self._fold]
        if not first <= seed < first + SEEDS:
            problem = f"seed: {self._fold} has {first} to {first + SEEDS - 1}, not {seed}"
            raise InputError(step="textworld_express", problem=problem)
        state = self._world.generateNewGameJSON(seed, self._fold, True)
        self._state: dict[str, Any] = json.loads(state)
        self._solution = list(self._world.getGoldActionSequence())
        self._left, self._best = self._step_limit, 0.0

    def opening(self) -> str:
        """Return the task, what is seen first, and how to find commands."""
        task: str = self._world.getTaskDescription()
        return (
            f"{task.strip()}\n\n{self._state['observation'].strip()}\n\n"
            f"{_examples(self._state['validActions'])}You have {self._left} commands."
        )

    def score(self) -> float:
        """Return the points now; 1 is all."""
        return float(self._state["score"])

    def best_score(self) -> float:
        """Return the most points so far."""
        return self._best

    def is_over(self) -> bool:
        """Return whether the game is won or lost, or no commands are left."""
        state = self._state
        return bool(state["tasksuccess"] or state["taskfailure"]) or self._left <= 0

    def walkthrough(self) -> list[Move]:
        """Return the game's own solution."""
        return [("act", {"command": command}) for command in self._solution]

    def close(self) -> None:
        """End the game."""
        self._jvm.close()

    @action
    def act(self, command: str) -> str:
        """Do one thing in the words of the game; returns what happens.

        Such as `look around`, `open door to north`, `close door to south`, `move east`, `move west`, `take knife`, `put coin in
        box`, `read cookbook`, `chop apple`, `cook apple in oven`, `eat meal`, `task` or `inventory`.
        """
        self._left -= 1
        self._state = json.loads(self._world.stepJSON(command.strip()))
        self._best = max(self._best, self.score())
        said: str = self._state["observation"]
        return said.strip()

    @action
    def valid_commands(self, containing: str = "") -> list[str]:
        """List commands that are possible now and contain these words; costs nothing. At most 60 are listed."""
        commands = sorted(set(self._state["validActions"]))
        return commands_with(commands, containing)

    def _load(self, game: Game, parameters: str) -> None:
        if problem := self._world.load(game, parameters):
            raise InputError(step="textworld_express", problem=f"parameters: {problem}")


def _examples(commands: list[str]) -> str:
    """Return the forms of commands as the first ones of this game show them."""
    shown = ", ".join(f"`{command}`" for command in sorted(set(commands))[:12])
    return f"Commands possible now include {shown}. " if shown else ""


def _machine() -> Jvm:
    try:
        from textworld_express.constants import JAR_PATH  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(feature=FEATURE, extra="worlds") from error
    return Jvm(FEATURE, JAR_PATH)
