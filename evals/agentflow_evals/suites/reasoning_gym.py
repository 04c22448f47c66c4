"""Puzzles and exercises that the package reasoning-gym makes from a seed, as many as wanted.

Stojanovski et al., Reasoning Gym, arXiv:2505.24760. A check makes its task again instead of holding the
answer, and the package's own scorer judges. The same options and version give the same tasks.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from agentflow.data import Data
from agentflow.errors import SuiteError
from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.checks import MAY_SHOW
from agentflow_evals.suite import Origin, Sample, Suite
from agentflow_evals.suites.packaged import distribution
from agentflow_evals.suites.procedural import PACKAGE, Recipe, made, plain, version


class ReasoningGym(Suite):
    """Puzzles made from a seed, such as `dataset="countdown"`.

    `dataset` is a name of the package's, `config` the options of that one.
    """

    PACKAGE: ClassVar[str] = PACKAGE

    def __init__(
        self,
        dataset: str = "countdown",
        size: int = 50,
        seed: int = 0,
        config: dict[str, Data] | None = None,
    ) -> None:
        if not 1 <= size <= 100_000:
            problem = f"size is from 1 to 100,000, not {size}"
            raise SuiteError(suite="reasoning_gym", problem=problem)
        self._recipe = Recipe(dataset=dataset, size=size, seed=seed, config=config or {})

    def samples(self) -> Iterable[Sample]:
        """Yield the tasks by index."""
        dataset = made(self._recipe)
        for index in range(self._recipe.size):
            yield self._sample(index, dataset[index])

    def origin(self) -> Origin:
        """Return the package."""
        source = f"{distribution(PACKAGE, 'reasoning_gym').name}: {self._recipe.dataset}"
        return Origin(source=source, version=version(), licence="Apache-2.0")

    def _sample(self, index: int, entry: dict[str, Any]) -> Sample:
        check = {"recipe": self._recipe.model_dump(), "index": index, "version": version()}
        return Sample(
            id=f"{self._recipe.dataset}-{self._recipe.seed}-{index}",
            task=Task(goal=entry["question"]),
            checks=(Named(name="reasoning_gym", options=check),),
            target=plain(entry["answer"]),
            group=self._recipe.dataset,
            metadata={MAY_SHOW: True},  # what is to be turned round may be its own mirror image
        )
