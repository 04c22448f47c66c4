"""Colossal Cave Adventure, the text game of 1977, as an environment.

The game itself is Brandon Rhodes' port (package `adventure`, extra `games`). With the same seed the same
commands lead to the same places, so a run that was stopped in the cave goes on there, and a fork may try
another way.
"""

from typing import Any

from agentflow import Environment, action
from agentflow.errors import MissingExtraError


class Adventure(Environment):
    """One game; `seed` decides what chance does.

    Raises:
        MissingExtraError: The game is not installed.
    """

    def __init__(self, seed: int = 1) -> None:
        try:
            from adventure import load_advent_dat  # noqa: PLC0415 - an extra
            from adventure.game import Game  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError(feature="the adventure game", extra="games") from error
        self._game: Any = Game(seed)
        load_advent_dat(self._game)
        self._game.start()
        self._opening = _line(self._game.do_command(["no"]))  # no instructions

    def opening(self) -> str:
        """Return where the game begins."""
        return self._opening

    def score(self) -> float:
        """Return the points so far; 350 is the most there are."""
        points, _most = self._game.compute_score()
        return float(points)

    def is_over(self) -> bool:
        """Return whether the player has died for good, or has left the game."""
        return bool(self._game.is_finished)

    @action
    def tell(self, command: str) -> str:
        """Tell the game what to do in one to three words, such as `enter building`, and return what it says."""
        words = command.lower().split()
        if not words:
            return "Say something."
        return _line(self._game.do_command(words))


def _line(said: str) -> str:
    return " ".join(said.split())
