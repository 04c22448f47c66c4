"""ScienceWorld as a suite: its thirty tasks, and the simulator's own split of their variations.

Owns which variations are used and what counts as solved. The table of variations is the simulator's
1.2.3, so that listing the suite starts no Java. Published figures differ in what they count: here it is
the best score so far, as in ReCode (arXiv:2510.23564), or the last one with `best` false.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from agentflow import Task
from agentflow.errors import MissingExtraError, SuiteError
from agentflow.solving import Named
from agentflow_evals.suite import Origin, Sample, Suite
from agentflow_evals.suites.worlds import GOAL

Split = Literal["train", "dev", "test"]

VARIATIONS = {
    "boil": 30,
    "change-the-state-of-matter-of": 30,
    "chemistry-mix": 32,
    "chemistry-mix-paint-secondary-color": 36,
    "chemistry-mix-paint-tertiary-color": 36,
    "find-animal": 300,
    "find-living-thing": 300,
    "find-non-living-thing": 300,
    "find-plant": 300,
    "freeze": 30,
    "grow-fruit": 126,
    "grow-plant": 126,
    "identify-life-stages-1": 14,
    "identify-life-stages-2": 10,
    "inclined-plane-determine-angle": 168,
    "inclined-plane-friction-named-surfaces": 1386,
    "inclined-plane-friction-unnamed-surfaces": 162,
    "lifespan-longest-lived": 125,
    "lifespan-longest-lived-then-shortest-lived": 125,
    "lifespan-shortest-lived": 125,
    "measure-melting-point-known-substance": 436,
    "measure-melting-point-unknown-substance": 300,
    "melt": 30,
    "mendelian-genetics-known-plant": 120,
    "mendelian-genetics-unknown-plant": 480,
    "power-component": 20,
    "power-component-renewable-vs-nonrenewable-energy": 20,
    "test-conductivity": 900,
    "test-conductivity-of-unknown-substances": 600,
    "use-thermometer": 540,
}


class ScienceWorldSuite(Suite):
    """ScienceWorld: 30 kinds of experiments in a simulated house, scored 0 to 100 (needs Java).

    `tasks` are names, empty for all; of each the first `per_task` variations of `split`. A sample passes
    with 100 points; `best` counts the best score so far, else the last.
    """

    def __init__(
        self,
        tasks: Sequence[str] = (),
        split: Split = "test",
        per_task: int = 1,
        simplification: str = "easy",
        step_limit: int = 200,
        best: bool = True,
    ) -> None:
        unknown = [name for name in tasks if name not in VARIATIONS]
        if unknown:
            problem = f"there is no task {unknown[0]!r}; there are {', '.join(VARIATIONS)}"
            raise SuiteError(suite="scienceworld", problem=problem)
        if per_task < 1:
            raise SuiteError(suite="scienceworld", problem=f"per_task: at least 1, not {per_task}")
        self._tasks, self._split, self._per_task = tasks or list(VARIATIONS), split, per_task
        self._world = {"simplification": simplification, "step_limit": step_limit}
        self._best = best

    def samples(self) -> Iterator[Sample]:
        """Yield the tasks in their order, variation by variation."""
        for task in self._tasks:
            for variation in variations(task, self._split)[: self._per_task]:
                yield self._sample(task, variation)

    def origin(self) -> Origin:
        """Return the simulator's version."""
        try:
            found = version("scienceworld")
        except PackageNotFoundError as error:
            raise MissingExtraError(feature="the suite scienceworld", extra="worlds") from error
        return Origin(source="scienceworld (PyPI)", version=found, licence="Apache-2.0")

    def _sample(self, task: str, variation: int) -> Sample:
        options: dict[str, Any] = {"task": task, "variation": variation, **self._world}
        reward = {"environment": "world", "full": 100, "best": self._best}
        return Sample(
            id=f"{task}-{variation}",
            task=Task(goal=GOAL),
            checks=(Named(name="reward", options=reward),),
            environments={"world": Named(name="scienceworld", options=options)},
            group=task,
            metadata={"variation": variation, "split": self._split},
        )


def variations(task: str, split: Split) -> range:
    """Return the variations of a task that the simulator has in that part: two quarters, one, and the rest."""
    count = VARIATIONS[task]
    quarter = count // 4
    parts: dict[Split, range] = {
        "train": range(2 * quarter),
        "dev": range(2 * quarter, 3 * quarter),
        "test": range(3 * quarter, count),
    }
    return parts[split]
