"""From a recipe to a model in a folder: the stages in their order.

Owns nothing but the order. An evaluation is not among them: suites stand above this package.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentflow.training.student.card import write_card
from agentflow.training.student.corpus import Tell, corpus_of
from agentflow.training.student.fitting import Hear, fit
from agentflow.training.student.folder import DATA, StudentFolder
from agentflow.training.student.recipe import Recipe


def make_student(
    recipe: Recipe,
    folder: StudentFolder,
    *,
    base: Path,
    device: str = "auto",
    tell: Tell = lambda _words: None,
    hear: Hear = lambda _progress: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Do what is missing of data, training, packaging and card; return the facts of the training.

    Args:
        recipe: What to make.
        folder: Where.
        base: The folder that the recipe's paths are relative to.
        device: `auto`, `cpu` or `cuda`.
        tell: Hears in words what is being done.
        hear: Hears of every step of the training.
        is_stopped: Asked after every step; then the training ends with a checkpoint.

    Raises:
        TrainingDataError: There is nothing to learn from, or something that cannot be learnt.
        TrainingStoppedError: It was stopped.
        TrainingError: It cannot be trained like this.
        WeightsError: What was made before is damaged.
    """
    encoded = corpus_of(recipe, folder, base=base, tell=tell)
    data = folder.read(DATA)
    assert data is not None, "just written"
    facts = fit(
        recipe,
        folder,
        encoded,
        data["vocabulary"],
        device=device,
        hear=hear,
        is_stopped=is_stopped,
    )
    write_card(recipe, folder)
    return facts
