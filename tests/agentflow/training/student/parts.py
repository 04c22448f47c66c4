"""A recipe that trains in a second, and the pairs it trains on."""

import json
from pathlib import Path
from typing import Any

from agentflow.training.student.folder import StudentFolder
from agentflow.training.student.recipe import Recipe
from agentflow.training.student.student import make_student

SAID = {"red": "door", "blue": "key", "green": "lamp", "white": "rope"}
SMALL: dict[str, Any] = {
    "agentflow_recipe": 1,
    "about": "Knows what goes with a colour.",
    "data": {"pairs": "pairs.jsonl"},
    "tokenizer": {"vocabulary": 280},
    "model": {"layers": ["gru"], "d_model": 16, "dropout": 0.1},
    "training": {"steps": 25, "batch_tokens": 32, "learning_rate": 0.05, "warmup_steps": 3},
}


def pairs(folder: Path) -> Path:
    """Write `pairs.jsonl`, both formats in it."""
    lines = []
    for number, (asked, answer) in enumerate(SAID.items()):
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        line = {"messages": turns} if number % 2 else {"prompt": turns[:1], "completion": turns[1:]}
        lines.append(line | {"metadata": {"name": f"kind {number % 2}"}})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def small(**changes: Any) -> Recipe:
    """Return the recipe with other parts."""
    return Recipe.model_validate(SMALL | changes)


def made(recipe: Recipe, base: Path, name: str = "model", **options: Any) -> dict[str, Any]:
    """Make the model in a folder below `base`; return the facts of its training."""
    force = options.pop("force", False)
    with StudentFolder.opened(base / name, recipe, force=force) as folder:
        return make_student(recipe, folder, base=base, device="cpu", **options)
