"""The folder of one model on its way: what was made so far, and that one process at a time works in it.

Owns the names of the files and when a stage is done: its file of facts is written last. What a person put into the
folder besides is left alone.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from agentflow.errors import TaskFileError, TrainingError
from agentflow.training.student.recipe import Recipe
from agentflow.training.student.recipe_file import load_recipe, write_recipe
from agentflow.wholefile import whole_file

RECIPE = "recipe.yaml"
DATA, TRAINING, EVALUATION, CARD = "data.json", "training.json", "evaluation.json", "card.json"
SEQUENCES, CHECKPOINT, LOG = "data.safetensors", "checkpoint.safetensors", "log.jsonl"
CONFIG, WEIGHTS, README = "config.json", "model.safetensors", "README.md"
JOURNAL = "evaluation.db"
_LOCK = ".lock"
_OURS = (
    *(RECIPE, DATA, TRAINING, EVALUATION, CARD, SEQUENCES, CHECKPOINT, LOG),
    *(CONFIG, WEIGHTS, README),
    *(JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"),
    *("tokenizer.json", "tokenizer_config.json"),
)


class StudentFolder:
    """A folder that this process works in; made by `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextmanager
    def opened(cls, path: Path, recipe: Recipe, *, force: bool = False) -> Iterator[Self]:
        """Take a folder for a recipe, made if there is none, until the end of the block.

        Args:
            path: The folder.
            recipe: What is to be made in it.
            force: Throw away what was made by another recipe.

        Raises:
            TrainingError: Another process works in it, another recipe has, or it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / _LOCK).open("wb")
        except OSError as error:
            problem = f"cannot be written: {error.strerror or error}"
            raise TrainingError(folder=str(path), problem=problem) from error
        with lock:
            try:
                # The system lifts it with the process.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                problem = "another training is under way in this folder; wait, or choose another"
                raise TrainingError(folder=str(path), problem=problem) from error
            folder = cls(path)
            folder._begin(recipe, force=force)
            yield folder

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the facts of a stage; None when it is not done.

        Raises:
            TrainingError: The file is damaged.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self.error(f"{name} cannot be read; begin anew with --force") from error
        return found

    def write(self, name: str, facts: dict[str, Any]) -> None:
        """Write the facts of a stage."""
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole, in place of what was there."""
        with whole_file(self.path / name, lambda said: self.error(f"{name} {said}")) as file:
            file.write(text.encode())

    def error(self, problem: str) -> TrainingError:
        """Return an error of this folder."""
        return TrainingError(folder=str(self.path), problem=problem)

    def _begin(self, recipe: Recipe, *, force: bool) -> None:
        shared = recipe.without_places()
        before = self._before()
        if before is not None and before.made_from() != shared.made_from():
            if not force:
                changed = _differing(before.made_from(), shared.made_from())
                problem = f"it holds a model of another recipe ({changed} differs); choose another folder, or say --force"
                raise self.error(problem)
            for name in _OURS:
                (self.path / name).unlink(missing_ok=True)
        elif before is None and (self.path / WEIGHTS).exists() and not force:
            raise self.error("it holds a model that was not trained here; choose another folder")
        write_recipe(shared, self.path / RECIPE)

    def _before(self) -> Recipe | None:
        """Return the recipe of what is there; None when nothing is, or its file is no recipe of this version."""
        path = self.path / RECIPE
        if not path.exists():
            return None
        try:
            return load_recipe(path)
        except TaskFileError as error:
            raise self.error(f"{error}; choose another folder") from error


def _differing(before: Any, now: Any, place: str = "") -> str:
    """Return the first place at which two recipes differ."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return place
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    inner = f"{place}.{keys[0]}" if place else keys[0]
    return _differing(before.get(keys[0]), now.get(keys[0]), inner)
