"""Three ways of working on equal data, at equal size: recursion, one call a turn, one program a turn.

Trains a model for each form and each kind of network with the recipe of `pocket`, and tries it on games that it was
not trained on: other variations of its families, and families that nobody trained on.

    python -m benchmarks.forms --output forms --tokens 12000000 --seeds 25
    python -m benchmarks.forms --output forms --tokens 4000000 --share 0.5 --seeds 10
    python -m benchmarks.forms --output forms --only recursive:transformer

Each model is a folder below `--output`; what is finished is not done again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import anyio
import yaml
from agentflow_evals.cli.trial import Trial
from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation
from agentflow_evals.suites.textworld_express import GAMES

from agentflow.statistics import wilson
from agentflow.training.student.folder import DATA, StudentFolder
from agentflow.training.student.recipe import Recipe
from agentflow.training.student.student import make_student

RECIPE = Path(__file__).parent.parent / "examples" / "training" / "pocket.yaml"
FORMS = ("recursive", "flat", "code")
# About a million parameters each: with state tracking (negative eigenvalues and a nonlinear state), without, and attention.
NETWORKS: dict[str, dict[str, Any]] = {
    "delta_gru": {"layers": ["gated_delta_net", "gru"], "d_model": 192, "heads": 1},
    "mamba2": {"layers": ["mamba2", "mamba2"], "d_model": 192, "heads": 1},
    "transformer": {"transformer": {"layers": 3, "d_model": 192, "heads": 4, "feed_forward": 1.5}},
}
LEAST_SEEDS = 25


def recipe(form: str, network: str, tokens: int, share: float, seeds: int) -> Recipe:
    """Return the recipe of `pocket` for another form and network and a share of its episodes, tried on every game."""
    content = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    content["data"]["traces"]["form"] = form
    for part in (part for lesson in content["data"]["traces"]["lessons"] for part in lesson):
        part["episodes"] = round(part["episodes"] * share)
    content["model"] = NETWORKS[network]
    content["training"]["tokens"] = tokens
    content["evaluation"] = {
        "suite": "textworld_express",
        "options": {"games": list(GAMES), "seeds": seeds, "fold": "test"},
        "planner": f"trained{{form: {form}}}",
    }
    return Recipe.model_validate(content)


def made(wanted: Recipe, place: Path) -> dict[str, Any]:
    """Train and try one model, as far as that is not done; return what came of it."""
    with StudentFolder.opened(place, wanted, force=False) as folder:
        facts = make_student(wanted, folder, base=RECIPE.parent, device="cpu", tell=print)
        assert wanted.evaluation is not None, "it was put in"
        found = anyio.run(Trial(wanted.evaluation, 0, RECIPE.parent, folder).carry_out, _unheard)
        data = folder.read(DATA) or {}
    assert wanted.data.traces is not None, "so is the recipe"
    lessons = wanted.data.traces.options["lessons"]
    trained_on = {part["play"] for lesson in lessons for part in lesson}
    return {
        "parameters": facts["parameters"],
        "data_tokens": data["tokens"],
        "learnt_tokens": data["learnt_tokens"],
        "trained_tokens": facts["tokens"],
        "loss": facts["loss"],
        "seconds_an_episode": round(_took_s(found) / len(found.outcomes), 2),
        "variations": _summary([one for one in found.outcomes if one.group in trained_on]),
        "families": _summary([one for one in found.outcomes if one.group not in trained_on]),
        "games": {
            game: sum(o.status == "passed" for o in found.outcomes if o.group == game)
            for game in GAMES
        },
    }


def _summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    solved = sum(one.status == "passed" for one in outcomes)
    interval = wilson(solved, len(outcomes))
    return {
        "solved": solved,
        "episodes": len(outcomes),
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
        "score": round(mean(one.value for one in outcomes), 3),
        "written_tokens": round(mean(one.measures.output_tokens for one in outcomes)),
        "read_tokens": round(
            mean(one.measures.input_tokens - one.measures.cached_tokens for one in outcomes)
        ),
    }


def _took_s(found: Evaluation) -> float:
    """Return how long it took: several episodes are under way at once, so their own times overlap."""
    assert found.ended_at is not None, "it has been carried out"
    return found.ended_at - found.started_at


def _unheard(_outcome: Outcome) -> None:
    pass


def main() -> None:
    """Train, try and print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the models")
    parser.add_argument(
        "--tokens", type=int, default=12_000_000, help="read in training, padding included"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the recipe's episodes")
    parser.add_argument("--seeds", type=int, default=LEAST_SEEDS, help="episodes of each game")
    parser.add_argument("--only", default="", help="FORM:NETWORK, or a list by commas")
    asked = parser.parse_args()
    pairs = [(form, network) for network in NETWORKS for form in FORMS]
    chosen = [tuple(one.split(":")) for one in asked.only.split(",")] if asked.only else pairs
    for form, network in chosen:
        wanted = recipe(form, network, asked.tokens, asked.share, asked.seeds)
        found = made(wanted, asked.output / f"{form}-{network}")
        print(json.dumps({"form": form, "network": network, **found}), flush=True)


if __name__ == "__main__":
    main()
