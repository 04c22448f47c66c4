"""Suites of environments: what is in a sample, without starting any world."""

import json
from pathlib import Path

import pytest
from agentflow_evals.scorer import read_options
from agentflow_evals.scorers.reward import RewardOptions
from agentflow_evals.suite import Sample, Suite
from agentflow_evals.suites.by_path.alfworld import AlfworldSuite
from agentflow_evals.suites.scienceworld import VARIATIONS, ScienceWorldSuite, variations
from agentflow_evals.suites.textworld_express import TextWorldExpressSuite
from agentflow_tools.alfworld import Alfworld
from agentflow_tools.scienceworld import ScienceWorld, _loaded, _machine
from agentflow_tools.textworld_express import TextWorldExpress

from agentflow import Environment
from agentflow.errors import SuiteError
from tests.tools.games import needs

KINDS: dict[str, type[Environment]] = {
    "scienceworld": ScienceWorld,
    "textworld_express": TextWorldExpress,
    "alfworld": Alfworld,
}


def read(suite: Suite) -> list[Sample]:
    """Return its samples, each of which has a world that its options fit and a check that reads it."""
    samples = list(suite.samples())
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        ((name, world),) = sample.environments.items()
        named = KINDS[world.name].named(name, **world.options)
        assert "world_act" in [tool.name for tool in named.tools()]
        (check,) = sample.checks
        assert read_options(RewardOptions, "reward", check.options).environment == name
    return samples


def test_scienceworld_has_every_task_once_and_no_variation_in_two_parts() -> None:
    samples = read(ScienceWorldSuite())
    assert [sample.group for sample in samples] == list(VARIATIONS)
    assert samples[0].id == "boil-21"
    for task, count in VARIATIONS.items():
        parts = [variations(task, part) for part in ("train", "dev", "test")]
        assert [number for part in parts for number in part] == list(range(count))


def test_scienceworld_gives_what_was_asked_for() -> None:
    suite = ScienceWorldSuite(tasks=["boil", "melt"], split="dev", per_task=3, best=False)
    samples = read(suite)
    assert [sample.id for sample in samples] == [
        *("boil-14", "boil-15", "boil-16"),
        *("melt-14", "melt-15", "melt-16"),
    ]
    assert samples[0].checks[0].options["best"] is False


def test_what_a_suite_does_not_have_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="there is no task 'fly'; there are boil"):
        ScienceWorldSuite(tasks=["fly"])
    with pytest.raises(SuiteError, match="per_task: at least 1, not 0"):
        ScienceWorldSuite(per_task=0)
    with pytest.raises(SuiteError, match="seeds: 1 to 1000, not 1001"):
        TextWorldExpressSuite(seeds=1001)
    with pytest.raises(SuiteError, match="there is no folder"):
        AlfworldSuite(path=str(tmp_path))
    with pytest.raises(SuiteError, match="no type 'juggle'"):
        AlfworldSuite(path=str(tmp_path), types=["juggle"])


def test_textworld_express_has_each_game_with_each_seed() -> None:
    samples = read(TextWorldExpressSuite(games=["coin", "twc"], seeds=2, fold="dev"))
    assert [sample.id for sample in samples] == [
        *("coin-10000", "coin-10001"),
        *("twc-10000", "twc-10001"),
    ]
    assert {sample.group for sample in samples} == {"coin", "twc"}
    assert len(read(TextWorldExpressSuite())) == 8 * 5


def household(root: Path, place: str, *, kind: str, solvable: bool = True) -> None:
    """Lay down the two files of a game as far as the suite reads them."""
    folder = root / "json_2.1.1/valid_unseen" / place
    folder.mkdir(parents=True)
    (folder / "game.tw-pddl").write_text(json.dumps({"solvable": solvable}))
    (folder / "traj_data.json").write_text(json.dumps({"task_type": kind}))


def test_alfworld_has_the_games_that_its_own_loader_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    household(tmp_path, "b/trial 2", kind="pick_and_place_simple")
    household(tmp_path, "a/trial_1", kind="pick_two_obj_and_place")
    household(tmp_path, "c/trial_3", kind="pick_and_place_simple", solvable=False)
    household(tmp_path, "d_movable/trial_4", kind="pick_and_place_with_movable_recep")
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))
    samples = read(AlfworldSuite())
    assert [(sample.id, sample.group) for sample in samples] == [
        ("a/trial_1", "pick_two_obj_and_place"),
        ("b/trial_2", "pick_and_place_simple"),
    ]
    only = AlfworldSuite(path=str(tmp_path / "json_2.1.1"), types=["pick_two_obj_and_place"])
    assert [sample.id for sample in read(only)] == ["a/trial_1"]
    before = only.origin().sha256
    (tmp_path / "json_2.1.1/valid_unseen/a/trial_1/game.tw-pddl").write_text('{"solvable": true} ')
    again = AlfworldSuite(path=str(tmp_path), types=["pick_two_obj_and_place"])
    assert again.origin().sha256 != before


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_game_is_named(tmp_path: Path, content: str) -> None:
    household(tmp_path, "a/trial_1", kind="pick_and_place_simple")
    path = tmp_path / "json_2.1.1/valid_unseen/a/trial_1/traj_data.json"
    path.write_text(content)
    with pytest.raises(SuiteError, match=r"trial_1/traj_data\.json: it "):
        list(AlfworldSuite(path=str(tmp_path)).samples())


@pytest.mark.slow
@needs("scienceworld")
def test_the_table_of_variations_is_the_simulators_own() -> None:
    machine = _machine()
    try:
        world = _loaded(machine, "boil", 0, "easy")
        found = {name: world.getTaskMaxVariations(name) for name in world.getTaskNames()}
        assert found == VARIATIONS
        for task in ("boil", "identify-life-stages-2", "power-component"):
            world = _loaded(machine, task, 0, "easy")
            assert list(world.getVariationsDev()) == list(variations(task, "dev"))
            assert list(world.getVariationsTest()) == list(variations(task, "test"))
    finally:
        machine.close()
    assert ScienceWorldSuite().origin().version.startswith("1.2.")
