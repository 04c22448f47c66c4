"""The real engine on a household of our own; real games are a download that no test makes."""

import importlib.util
import json
from contextlib import closing
from pathlib import Path

import pytest
from agentflow_tools.alfworld import Alfworld

from agentflow.errors import InputError, MissingExtraError
from tests.tools.games import do
from tests.tools.household import write_game

HAS_ENGINE = all(map(importlib.util.find_spec, ("alfworld", "textworld", "fast_downward")))
needs_engine = pytest.mark.skipif(not HAS_ENGINE, reason="needs the package alfworld")

CLEAN = "(and (isClean plate_bar_1) (inReceptacle plate_bar_1 drawer_bar_1))"
COOL = "(and (isCool apple_bar_1) (inReceptacle apple_bar_1 shelf_bar_1))"


@pytest.mark.slow
@needs_engine
@pytest.mark.parametrize(("task", "goal"), [("clean a plate", CLEAN), ("cool an apple", COOL)])
def test_the_planners_solution_wins(tmp_path: Path, task: str, goal: str) -> None:
    with closing(Alfworld(str(write_game(tmp_path / "game", task, goal)))) as world:
        assert f"Your task is to: {task}" in world.opening()
        assert "go to fridge 1" in do(world, "valid_commands", containing="go to")
        assert do(world, "act", command="fly") == "Nothing happens."
        assert (world.score(), world.is_over()) == (0.0, False)
        for action, arguments in world.walkthrough():
            do(world, action, **arguments)
        assert (world.score(), world.is_over()) == (1.0, True)


@pytest.mark.slow
@needs_engine
def test_it_is_over_after_its_commands(tmp_path: Path) -> None:
    path = write_game(tmp_path / "game", "cool an apple", COOL)
    with closing(Alfworld(str(path), step_limit=1)) as world:
        assert do(world, "act", command="go to fridge 1").startswith("You arrive at fridge 1.")
        assert (world.score(), world.is_over()) == (0.0, True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is no JSON"),
        ("[]", "has no pddl_domain"),
        (json.dumps({"pddl_domain": "", "grammar": 1}), "has no grammar"),
    ],
)
def test_a_file_that_is_no_game_is_refused(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    path = tmp_path / "game.tw-pddl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=problem):
        Alfworld(str(path))


@pytest.mark.skipif(HAS_ENGINE, reason="the engine is installed")
def test_without_the_engine_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    path = tmp_path / "game.tw-pddl"
    path.write_text(json.dumps({"pddl_domain": "", "grammar": "", "pddl_problem": ""}))
    with pytest.raises(MissingExtraError, match=r"agentflow\[alfworld\]"):
        Alfworld(str(path))
