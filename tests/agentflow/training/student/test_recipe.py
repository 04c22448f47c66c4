"""A recipe's problems are one line with a place; one that is right reads back as what it was."""

from pathlib import Path

import pytest

from agentflow.errors import TaskFileError
from agentflow.training.student.recipe import Recipe
from agentflow.training.student.recipe_file import load_recipe, write_recipe

GOOD = """\
agentflow_recipe: 1
data:
  pairs: pairs.jsonl
model:
  layers: [gated_delta_net, gru]
  d_model: 64
training:
  steps: 3
"""
LAYERS = "layers: [gated_delta_net, gru]"


def loaded(folder: Path, text: str = GOOD) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("recipe: 1", "recipe: 2", "1: write `agentflow_recipe: 1`, found the number 2"),
        (GOOD, "- 1", "1: a recipe is a mapping, found a list"),
        (GOOD, "", "1: the file is empty; start it with `agentflow_recipe: 1`"),
        ("steps: 3", "step: 3", "8: unknown key `training.step`; did you mean `steps`?"),
        ("steps: 3", "steps: 2.5", "8: `training.steps` must be a whole number, found the number"),
        ("steps: 3", "steps: 0", "8: `training.steps` must be greater than 0, found the number 0"),
        ("steps: 3", "clip: 1", "7: `training`: say how long: steps or tokens"),
        ("steps: 3", "steps: 3\n  tokens: 9", "7: `training`: say how long: steps or tokens"),
        ("d_model: 64", "d_model: 63", "4: `model`: heads: 4 does not divide d_model 63"),
        (LAYERS, "layers: [grru]", "5: `model.layers.0` must be 'aaren', "),
        (
            LAYERS,
            "transformer: {layers: 2, d_modl: 8}",
            "5: unknown key `model.transformer.d_modl`",
        ),
        ("pairs: pairs.jsonl", "pears: x", "3: unknown key `data.pears`; did you mean `pairs`?"),
        ("pairs: pairs.jsonl", "journal: {path: a, kep: 1}", "3: unknown key `data.journal.kep`;"),
        (
            "pairs: pairs.jsonl",
            "pairs: a\n  traces: {use: b}",
            "2: `data`: name one source: traces, pairs or journal",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_in_a_line(
    tmp_path: Path, line: str, instead: str, said: str
) -> None:
    with pytest.raises(TaskFileError) as caught:
        loaded(tmp_path, GOOD.replace(line, instead))
    assert str(caught.value).startswith(f"{tmp_path}/recipe.yaml:{said}")


@pytest.mark.parametrize(
    "changed",
    [
        GOOD,
        GOOD.replace(LAYERS, "transformer: {layers: 2, d_model: 8}").replace("  d_model: 64\n", ""),
        GOOD.replace("pairs: pairs.jsonl", "traces: {use: a_game, games: [x, {y: 1}]}"),
        GOOD + "evaluation: {suite: ./s.py:S, budget: {tokens: 9}, options: {path: data}}\n",
    ],
)
def test_what_is_written_reads_back_the_same(tmp_path: Path, changed: str) -> None:
    recipe = loaded(tmp_path, changed)
    write_recipe(recipe, tmp_path / "copy.yaml")
    assert load_recipe(tmp_path / "copy.yaml") == recipe


def test_a_transformer_is_not_trained_beyond_its_context(tmp_path: Path) -> None:
    small = "transformer: {layers: 2, d_model: 8, context: 64}"
    text = GOOD.replace(LAYERS, small).replace("  d_model: 64\n", "")
    with pytest.raises(TaskFileError, match="longest 4096 is more than the transformer's context"):
        loaded(tmp_path, text)


def test_steps_given_take_the_place_of_tokens(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, GOOD.replace("steps: 3", "tokens: 500")).changed(steps=7, seed=4)
    assert (recipe.training.steps, recipe.training.tokens, recipe.seed) == (7, None, 4)


def test_a_recipe_to_give_away_names_no_place_of_this_machine(tmp_path: Path) -> None:
    text = GOOD.replace("pairs: pairs.jsonl", "journal: {path: 'postgresql://me:pw@host/runs'}")
    text += "evaluation: {suite: /home/me/suite, options: {path: ~/data.jsonl, form: a/b}}\n"
    written = loaded(tmp_path, text).without_places().model_dump_json()
    assert "runs" in written
    assert "a/b" in written
    assert not any(word in written for word in ("pw", "host", "home", "~"))
