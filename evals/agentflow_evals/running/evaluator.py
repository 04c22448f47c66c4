"""Run evaluations and read them back: the way in for programs and for the command line.

Owns what an evaluation runs under and how one is found in a journal.
"""

import itertools
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentflow.budget import Budget
from agentflow.engine.ledger import Ledger
from agentflow.errors import EvaluationError, EvaluationIncompleteError
from agentflow.journal.journal import Journal
from agentflow.models.protocol import Model, Usage
from agentflow.resources import Resources
from agentflow.runner import Runner, new_run_id
from agentflow_evals.opening import OpenSuite, open_suite
from agentflow_evals.plan import EvaluationPlan, digest_of
from agentflow_evals.record import Evaluation
from agentflow_evals.running.evaluation import BENCH, Bench, Hear, evaluation
from agentflow_evals.running.laboratory import Laboratory, run_of
from agentflow_evals.running.reading import plan_of, read_evaluation, recorded
from agentflow_evals.running.shipped import shipped
from agentflow_evals.suite import Sample

AT_ONCE = 16  # cells under way where no model sets a limit
A_MODEL = 2  # cells under way for each call that a model takes at once: none has to wait for work


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """What evaluations run under.

    `journal` is a path or database URL, None the user's default journal. `spending` is what a
    whole evaluation may spend, tokens and dollars, instead of what its plan says. `models` are open models to use, by what `str(spec)` says.
    `at_once` is how many cells are under way; None follows the models' own limits. `labels` are written
    down with the evaluation (the machine, the command). `hear` is told of every outcome, also of those
    that a resume found done. `on` is the cluster whose nodes carry the runs out, `ray` or `ray://HOST:PORT`; None
    is this process, and for a resume, where the evaluation ran before.
    """

    journal: str | Path | None = None
    spending: Budget | None = None
    models: Mapping[str, Model] = field(default_factory=dict)
    at_once: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    hear: Hear = field(default=lambda _outcome: None)
    on: str | None = None

    async def run(self, plan: EvaluationPlan, suite: OpenSuite, run: str = "") -> Evaluation:
        """Run an evaluation to its end, under the id `run` if one is given.

        What could not be judged is among the `missing` of the result.

        Raises:
            EvaluationError: Nothing can be judged; what was is in the journal.
            BudgetExceededError: The spending limit is reached; the same.
            JournalError: It cannot be written, or not by the nodes of a cluster.
            ClusterError, NodeRefusedError: No node can be used.
        """
        name = run or new_run_id()
        within = Ledger(self.spending or plan.spending)
        async with self._laboratory(name, plan, suite, within, self.on) as laboratory:
            with self._lent(laboratory):
                await _through(self._runner(self.labels, self.on).run_as(name, evaluation, plan))
        return read_evaluation(self.journal, name)

    async def resume(self, run: str, *, accept_changes: bool = False) -> Evaluation:
        """Go on with an evaluation: what is done is not repeated.

        Raises:
            UnknownRunError: There is no such run.
            EvaluationError: It is no evaluation, or its suite has changed since.
        """
        record = recorded(self.journal, run)
        plan = plan_of(record)
        suite = open_suite(plan.suite.name, plan.suite.options)
        on = self.on or record.settings.get("on")
        within = Ledger(self.spending or plan.spending)
        within.carry_over(*self._spent(record.id, plan))
        async with self._laboratory(record.id, plan, suite, within, on) as laboratory:
            laboratory.goes_on, laboratory.accept_changes = True, accept_changes
            with self._lent(laboratory):
                runner = self._runner(record.settings.get("labels", self.labels), on)
                work = runner.resume(evaluation, record.id, accept_changes=accept_changes)
                await _through(work)
        return read_evaluation(self.journal, record.id)

    def _runner(self, labels: Mapping[str, str], on: str | None) -> Runner:
        # What came of a cell stands in the cell's own run: the evaluation's record of it may trail.
        return Runner(journal=self.journal, labels=labels, durability="behind", on=on)

    def _spent(self, run: str, plan: EvaluationPlan) -> tuple[Usage, float]:
        """Return what the runs of an evaluation have used so far, those that were given up among them."""
        with Journal(self.journal) as journal:
            heads = {head.id: head for head in journal.heads()}
        tokens, usd = 0, 0.0
        for cell in plan.cells():
            tries = (heads.get(run_of(run, cell, attempt)) for attempt in itertools.count())
            for head in itertools.takewhile(lambda head: head is not None, tries):
                assert head is not None
                tokens, usd = tokens + head.tokens, usd + (head.cost_usd or 0.0)
        return Usage(output_tokens=tokens), usd

    @asynccontextmanager
    async def _laboratory(
        self,
        run: str,
        plan: EvaluationPlan,
        suite: OpenSuite,
        within: Ledger,
        on: str | None,
    ) -> AsyncIterator[Laboratory]:
        async with Resources(self.models) as resources:
            here = Laboratory(
                evaluation=run,
                plan=plan,
                samples={sample.id: sample for sample in chosen(plan, suite)},
                journal=self.journal,
                resources=resources,
                within=within,
                at_once=self.at_once or _at_once(plan, resources),
            )
            if on is None:
                yield here
            else:
                async with shipped(here, on, is_free=self.at_once is None) as there:
                    yield there

    @contextmanager
    def _lent(self, laboratory: Laboratory) -> Iterator[None]:
        token = BENCH.set(Bench(laboratory=laboratory, hear=self.hear))
        try:
            yield
        finally:
            BENCH.reset(token)


async def _through(work: Coroutine[Any, Any, Any]) -> None:
    with suppress(EvaluationIncompleteError):
        await work


def chosen(plan: EvaluationPlan, suite: OpenSuite) -> list[Sample]:
    """Return the samples of a plan.

    Raises:
        EvaluationError: The suite is not the one that the plan was made for.
    """
    by_id = {sample.id: sample for sample in suite.samples}
    samples = [by_id[name] for name in plan.samples if name in by_id]
    if len(samples) < len(plan.samples) or digest_of(samples) != plan.suite.digest:
        problem = (
            f"suite {plan.suite.name} is not what it was when the evaluation began: its samples have "
            "changed; bring them back, or begin another evaluation"
        )
        raise EvaluationError(problem=problem)
    return samples


def _at_once(plan: EvaluationPlan, resources: Resources) -> int:
    models = [resources.model(entrant.spec) for entrant in plan.models]
    limits = [
        limit
        for model in models
        for limit in (model.concurrency, model.spec.concurrency)
        if limit is not None
    ]
    return max(AT_ONCE if len(limits) < len(models) else 1, *(A_MODEL * n for n in limits), 1)
