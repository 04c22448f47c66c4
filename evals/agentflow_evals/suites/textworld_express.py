"""TextWorld Express as a suite: its eight games, generated from the seeds of one fold.

Owns which seeds are used and what counts as solved; listing it starts no Java.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

from agentflow_tools.textworld_express import FIRST_SEEDS, SEEDS, Fold, Game

from agentflow import Task
from agentflow.errors import MissingExtraError, SuiteError
from agentflow.solving import Named
from agentflow_evals.suite import Origin, Sample, Suite
from agentflow_evals.suites.worlds import GOAL

GAMES: tuple[str, ...] = get_args(Game)


class TextWorldExpressSuite(Suite):
    """TextWorld Express: eight kinds of generated text games, scored 0 to 1 (needs Java).

    `games` are names, empty for all; of each the first `seeds` seeds of `fold`. A sample passes with the
    whole point; `best` counts the best score so far, else the last.
    """

    def __init__(
        self,
        games: Sequence[Game] = (),
        seeds: int = 5,
        fold: Fold = "test",
        step_limit: int = 100,
        best: bool = True,
    ) -> None:
        if not 1 <= seeds <= SEEDS:
            problem = f"seeds: 1 to {SEEDS}, not {seeds}"
            raise SuiteError(suite="textworld_express", problem=problem)
        self._games, self._seeds, self._fold = tuple(games) or GAMES, seeds, fold
        self._step_limit, self._best = step_limit, best

    def samples(self) -> Iterator[Sample]:
        """Yield the games in their order, seed by seed."""
        first = FIRST_SEEDS[self._fold]
        for game in self._games:
            for seed in range(first, first + self._seeds):
                yield self._sample(game, seed)

    def origin(self) -> Origin:
        """Return the version of the games."""
        try:
            found = version("textworld-express")
        except PackageNotFoundError as error:
            raise MissingExtraError(
                feature="the suite textworld_express", extra="worlds"
            ) from error
        return Origin(source="textworld-express (PyPI)", version=found, licence="Apache-2.0")

    def _sample(self, game: str, seed: int) -> Sample:
        options: dict[str, Any] = {"game": game, "seed": seed, "fold": self._fold}
        world = Named(name="textworld_express", options={**options, "step_limit": self._step_limit})
        reward = {"environment": "world", "full": 1, "best": self._best}
        return Sample(
            id=f"{game}-{seed}",
            task=Task(goal=GOAL),
            checks=(Named(name="reward", options=reward),),
            environments={"world": world},
            group=game,
            metadata=options,
        )
