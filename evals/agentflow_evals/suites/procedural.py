"""Make tasks with the package reasoning-gym: a recipe in, its data set out.

Owns what the suite and the scorer of that name both need. The package takes four seconds to import, so
it is imported when a data set is first made.
"""

import inspect
import json
import re
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from agentflow.data import Data
from agentflow.errors import MissingExtraError, SuiteError
from agentflow_evals.suites.packaged import distribution

PACKAGE: Final = "reasoning-gym"

# Their tasks depend on the order of Python's sets, which is another one in each process.
UNSTEADY: Final = frozenset(
    ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder")
)
# They run programs in this process: to make the task, or to judge an answer that calls functions.
RUNS_CODE: Final = frozenset(("codeio", "intermediate_integration"))
_EVALUATES = re.compile(r"\b(eval|exec|parse_expr|sympify)\(")


class Recipe(BaseModel):
    """What a data set is made from; `config` are options of its own, as the package names them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    size: int = Field(ge=1, le=100_000)
    seed: int
    config: dict[str, Data] = {}


def version() -> str:
    """Return the version of the package.

    Raises:
        MissingExtraError: It is not installed.
    """
    return distribution(PACKAGE, "reasoning_gym").version


def made(recipe: Recipe) -> Any:
    """Return the package's data set; the tasks are made when they are asked for by index.

    Raises:
        MissingExtraError: The package is not installed.
        SuiteError: It has no such data set, or that takes no such options.
    """
    return _made(recipe.model_dump_json())


@lru_cache(maxsize=64)
def _made(written: str) -> Any:
    recipe = Recipe.model_validate_json(written)
    try:
        factory: Any = import_module("reasoning_gym.factory")
    except ImportError as error:
        raise MissingExtraError(feature="suite reasoning_gym", extra="puzzles") from error
    _check_name(recipe.dataset, sorted(set(factory.DATASETS) - UNSTEADY - RUNS_CODE))
    config = {key: _as_tuples(value) for key, value in recipe.config.items()}
    try:
        return factory.create_dataset(recipe.dataset, size=recipe.size, seed=recipe.seed, **config)
    except (TypeError, ValueError, AssertionError) as error:
        problem = f"{recipe.dataset}: {str(error) or 'not with these options'}"
        raise SuiteError(suite="reasoning_gym", problem=problem) from error


def _check_name(name: str, usable: list[str]) -> None:
    if name in UNSTEADY:
        problem = f"{name} makes other tasks in each process, so no run of it can be repeated"
        raise SuiteError(suite="reasoning_gym", problem=problem)
    if name in RUNS_CODE:
        problem = f"{name} runs programs in this process, outside any sandbox"
        raise SuiteError(suite="reasoning_gym", problem=problem)
    if name not in usable:
        problem = f"no data set {name!r}; there are: {', '.join(usable)}"
        raise SuiteError(suite="reasoning_gym", problem=problem)


def _as_tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def evaluates(dataset: Any) -> bool:
    """Whether the data set's class lets Python or SymPy evaluate text, an answer perhaps."""
    return _EVALUATES.search(inspect.getsource(type(dataset))) is not None


def plain(value: Any) -> Data:
    """Return an answer of the package as plain data."""
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)
