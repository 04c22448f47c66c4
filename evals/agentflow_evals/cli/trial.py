"""A trained model on a suite: the evaluation that its recipe asks for.

Owns `evaluation.json` and the journal beside it. It is an evaluation as of `agentflow eval`, found and gone on with
by the id in that file, and done once for the same weights and the same wish.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from agentflow import plugins
from agentflow.errors import SuiteError, UnknownRunError
from agentflow.models.protocol import ModelSpec
from agentflow.recurrent.provider import close_engines
from agentflow.runner import new_run_id
from agentflow.training.student.folder import EVALUATION, JOURNAL, TRAINING, StudentFolder
from agentflow.training.student.recipe import EvaluationPart
from agentflow_evals.analysis.tables import Row, summarise
from agentflow_evals.cli.wanted import contenders, surroundings
from agentflow_evals.opening import OpenSuite, open_suite
from agentflow_evals.outcome import Outcome
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, SuiteUsed, picked, plan_for
from agentflow_evals.record import Evaluation
from agentflow_evals.reports.facts import size
from agentflow_evals.running.evaluator import Evaluator
from agentflow_evals.running.reading import read_evaluation


class Trial:
    """One evaluation of one folder's model.

    Raises:
        SuiteError: The suite cannot be opened, or leaves no sample.
        PluginError: There is no such suite.
        TrainingError: There is no such planner.
    """

    def __init__(self, asked: EvaluationPart, seed: int, base: Path, folder: StudentFolder) -> None:
        self._asked, self._seed, self._folder = asked, seed, folder
        self._journal = folder.path / JOURNAL
        self._suite = _opened(asked, base)
        self.plan = self._plan()

    @property
    def announcement(self) -> str:
        """What is tried, in a line."""
        return f"{self.plan.suite.shown}: {size(self.plan)} = {len(list(self.plan.cells()))} runs"

    @property
    def is_done(self) -> bool:
        """Whether these weights were tried like this, to the end."""
        return self._before is not None and self._before["missing"] == 0

    @property
    def known(self) -> int:
        """How many runs were judged before an interruption."""
        found = self._interrupted
        return 0 if found is None else sum(one.is_counted for one in found.outcomes)

    async def carry_out(self, hear: Callable[[Outcome], None]) -> Evaluation:
        """Run what is missing of it, and write down what was found.

        Raises:
            EvaluationError: Nothing can be judged.
            JournalError: It cannot be written.
        """
        evaluator = Evaluator(
            journal=self._journal,
            at_once=self._asked.at_once,
            labels=surroundings(),
            hear=hear,
        )
        interrupted = self._interrupted
        try:
            if interrupted is None:
                run = new_run_id()
                self._folder.write(EVALUATION, self._identity | {"run": run, "missing": None})
                found = await evaluator.run(self.plan, self._suite, run)
            else:
                found = await evaluator.resume(interrupted.id, accept_changes=True)
        finally:
            close_engines()
        self._folder.write(EVALUATION, self._identity | self._facts(found))
        return found

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What an evaluation is known by: another wish or other weights make another one."""
        training = self._folder.read(TRAINING)
        assert training is not None, "an evaluation comes after the training"
        return {
            "asked": hashlib.sha256(self._asked.model_dump_json().encode()).hexdigest(),
            "seed": self._seed,
            "digest": training["digest"],
        }

    @property
    def _before(self) -> dict[str, Any] | None:
        found = self._folder.read(EVALUATION)
        is_same = found is not None and self._identity.items() <= found.items()
        return found if is_same else None

    @cached_property
    def _interrupted(self) -> Evaluation | None:
        before = self._before
        if before is None or not self._journal.exists():
            return None
        try:
            return read_evaluation(self._journal, before["run"])
        except UnknownRunError:  # killed before it began
            return None

    def _plan(self) -> EvaluationPlan:
        asked = self._asked
        shuffled_by = self._seed if asked.shuffle else None
        samples = picked(
            self._suite.samples, limit=asked.samples, skip=asked.skip, shuffled_by=shuffled_by
        )
        if not samples:
            problem = f"evaluation.skip leaves nothing of {len(self._suite.samples)} samples"
            raise SuiteError(suite=asked.suite, problem=problem)
        place = self._folder.path.resolve()
        spec = ModelSpec(provider="recurrent", name=str(place))
        return plan_for(
            self._suite,
            samples=samples,
            planners=self._planners(),
            models=(Entrant(label=place.name, spec=spec),),
            repeat=asked.repeat,
            seed=self._seed,
            budget=asked.budget,
        )

    def _planners(self) -> tuple[Contender, ...]:
        try:
            return contenders((self._asked.planner,))
        except click.BadParameter as error:
            raise self._folder.error(f"evaluation.planner: {error.message}") from error

    def _facts(self, found: Evaluation) -> dict[str, Any]:
        return {
            "run": found.id,
            "suite": SuiteUsed(name=self._suite.name).shown,
            "samples": len(found.plan.samples),
            "missing": len(found.missing),
            "rows": [_row(row) for row in summarise(found).rows],
        }


def _opened(asked: EvaluationPart, base: Path) -> OpenSuite:
    """Return the suite; a path is relative to the recipe's folder."""
    is_path = "/" in asked.suite and asked.suite not in plugins.installed("suite")
    given = str(base / Path(asked.suite).expanduser()) if is_path else asked.suite
    return open_suite(given, asked.options)


def _row(row: Row) -> dict[str, Any]:
    return {
        "planner": row.planner,
        "solved": row.solved,
        "runs": row.counted,
        "rate": None if row.rate is None else asdict(row.rate),
        "score": None if row.score is None else asdict(row.score),
        "tokens": row.tokens,
        "seconds": None if row.seconds is None else row.seconds.median,
    }
