"""ALFWorld: household tasks as a text game, with the engine and the games that the user has.

The engine is the package `alfworld` (extra `alfworld`), whose planner is compiled when it is installed;
the games are files `game.tw-pddl`, which `alfworld-download` fetches. Source: Shridhar et al., ALFWorld:
Aligning Text and Embodied Environments for Interactive Learning, arXiv:2010.03768.
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from agentflow import Environment, action
from agentflow.environments import Move
from agentflow.errors import InputError, MissingExtraError
from agentflow_tools.commands import commands_with

FORMS = (
    "`look`, `inventory`, `go to RECEPTACLE`, `open RECEPTACLE`, `close RECEPTACLE`, "
    "`take OBJECT from RECEPTACLE`, `move OBJECT to RECEPTACLE`, `clean OBJECT with RECEPTACLE`, "
    "`heat OBJECT with RECEPTACLE`, `cool OBJECT with RECEPTACLE`, `use OBJECT`, "
    "`examine RECEPTACLE`"
)


class Alfworld(Environment):
    """One game. It is worth one point, and over when that is won or after `step_limit` commands.

    `game` is the path of a file `game.tw-pddl`. The usual limit is 50; ReCode was published with 80.

    Raises:
        MissingExtraError: The engine is not installed.
        InputError: The file is not there, or no game.
    """

    def __init__(self, game: str, step_limit: int = 50) -> None:
        self._data = _read(Path(game).expanduser())
        self._left = step_limit
        self._game = _Game(self._data)
        self._shown: str = self._game.state.feedback

    def opening(self) -> str:
        """Return the room, the task and the forms of commands."""
        return (
            f"{self._shown.strip()}\n\nCommands are {FORMS}, with names as they are shown, such as "
            f"`take mug 1 from shelf 2`. You have {self._left} commands."
        )

    def score(self) -> float:
        """Return 1 when the task is done, else 0."""
        return float(self._game.is_won)

    def is_over(self) -> bool:
        """Return whether the task is done, or no commands are left."""
        return self._game.is_won or self._left <= 0

    def walkthrough(self) -> list[Move]:
        """Return what the engine's own planner finds, from the beginning on."""
        with closing(_Game(self._data, plans=True)) as game:
            commands: list[str] = game.state["policy_commands"]
        return [("act", {"command": command}) for command in commands]

    def close(self) -> None:
        """Release the engine."""
        self._game.close()

    @action
    def act(self, command: str) -> str:
        """Do one thing, such as `go to shelf 1`, `open fridge 1` or `take mug 1 from shelf 1`; returns what you see, and `Nothing happens.` where it is not possible."""
        self._left -= 1
        return self._game.told(command)

    @action
    def valid_commands(self, containing: str = "") -> list[str]:
        """List commands that are possible now and contain these words; costs nothing. At most 60 are listed."""
        commands: list[str] = self._game.state["admissible_commands"]
        return commands_with(commands, containing)


class _Game:
    """The engine with one game in it."""

    def __init__(self, data: dict[str, Any], *, plans: bool = False) -> None:
        try:
            from alfworld.agents.environment.alfred_tw_env import (  # noqa: PLC0415 - an extra
                AlfredDemangler,
            )
            from textworld import EnvInfos  # noqa: PLC0415 - an extra
            from textworld.envs.pddl import PddlEnv  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError(feature="ALFWorld", extra="alfworld") from error
        infos = EnvInfos(admissible_commands=True, won=True, policy_commands=plans)
        self._engine: Any = AlfredDemangler(PddlEnv(infos))
        self._engine.load(data)
        self.state: Any = self._engine.reset()
        self.is_won = bool(self.state["won"])

    def told(self, command: str) -> str:
        self.state, _score, _done = self._engine.step(command.strip())
        self.is_won = bool(self.state["won"])
        said: str = self.state.feedback
        return said.strip()

    def close(self) -> None:
        self._engine.close()


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"game: {path} cannot be read: {error.strerror or error}"
        raise InputError(step="alfworld", problem=problem) from error
    except ValueError as error:
        raise InputError(step="alfworld", problem=f"game: {path} is no JSON") from error
    missing = [
        name
        for name in ("pddl_domain", "grammar", "pddl_problem")
        if not isinstance(data, dict) or not isinstance(data.get(name), str)
    ]
    if missing:
        raise InputError(step="alfworld", problem=f"game: {path} has no {missing[0]}")
    found: dict[str, Any] = data
    return found
