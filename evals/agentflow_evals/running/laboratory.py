"""Run one sample under one planner and one model, once, whatever happened before.

Owns the run of a cell: its id follows from the evaluation's and the cell alone, so that a run which was
finished, or half finished, before a kill is found again and nothing of it is repeated.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from agentflow import plugins
from agentflow.budget import Budget
from agentflow.engine.ledger import Ledger
from agentflow.environments import Environment, NamedEnvironment
from agentflow.errors import (
    InputError,
    JournalError,
    PluginError,
    RunPausedError,
    SuiteError,
    UnknownRunError,
)
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.resources import Resources
from agentflow.runner import Runner
from agentflow.solving import Named, below_root, solve_task
from agentflow.tools import Tool
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import EvaluationPlan
from agentflow_evals.running.verdicts import is_cut_short, outcome_of
from agentflow_evals.suite import Sample

RUN_ID_BYTES = 9


@dataclass(kw_only=True)
class Laboratory:
    """What the cells of one evaluation are run with.

    `within` is the account that all of them draw on. `goes_on` says that there may be runs of an earlier
    part; `accept_changes` lets a half finished one go on with changed code.
    """

    evaluation: str
    plan: EvaluationPlan
    samples: Mapping[str, Sample]
    journal: str | Path | None
    resources: Resources
    within: Ledger
    at_once: int
    goes_on: bool = False
    accept_changes: bool = False

    async def outcome(self, cell: Cell) -> Outcome:
        """Return what came of a cell, running what is not there yet.

        Raises:
            JournalError: The journal cannot be read or written.
            SuiteError: The sample names a tool or environment that is not there.
        """
        sample = self.samples[cell.sample]
        for attempt in itertools.count():
            run = run_of(self.evaluation, cell, attempt)
            earlier = await self._earlier(run) if self.goes_on else None
            if earlier is None:
                return self._judge(await self._start(run, cell, sample), cell)
            if is_cut_short(earlier):
                continue  # what its planner made of the refusal stands in that run: begin another
            if earlier.status in ("succeeded", "failed"):
                outcome = self._judge(earlier, cell)
                if outcome.is_counted:
                    return outcome
            return self._judge(await self._resume(run, cell, sample), cell)
        raise AssertionError("there is always another attempt")

    @property
    def _budget(self) -> Budget:
        return below_root(self.plan.budget)

    def _judge(self, record: RunRecord, cell: Cell) -> Outcome:
        return outcome_of(record, cell, self.samples[cell.sample])

    async def _earlier(self, run: str) -> RunRecord | None:
        def read() -> RunRecord | None:
            try:
                with Journal(self.journal) as journal:
                    record = journal.run(run)
            except UnknownRunError:
                return None
            return record if record.last_event else None

        return await anyio.to_thread.run_sync(read)

    async def _start(self, run: str, cell: Cell, sample: Sample) -> RunRecord:
        record = RunRecord(id=run)
        tools = tools_of(sample)
        task = sample.task.model_copy(update={"tools": tuple(tools)})
        runner = self._runner(cell, tools, record)
        work = runner.run_as(run, solve_task, task, self._planner(cell), sample.checks)
        await _ended(record, work)
        return record

    async def _resume(self, run: str, cell: Cell, sample: Sample) -> RunRecord:
        record = RunRecord(id=run)
        runner = self._runner(cell, tools_of(sample), record)
        work = runner.resume(solve_task, run, accept_changes=self.accept_changes)
        await _ended(record, work)
        found = await self._earlier(run)
        assert found is not None, "the run was resumed just now"
        return found

    def _runner(self, cell: Cell, tools: dict[str, Tool[..., Any]], record: RunRecord) -> Runner:
        spec = next(model.spec for model in self.plan.models if model.label == cell.model)
        return Runner(
            model=spec,
            tools=tools,
            budget=self._budget,
            journal=self.journal,
            on_event=record.apply,
            cache_models=self.plan.cache,
            labels={
                "evaluation": self.evaluation,
                **{name: str(value) for name, value in cell._asdict().items()},
            },
            resources=self.resources,
            within=self.within,
        )

    def _planner(self, cell: Cell) -> Named:
        """Return the planner of a cell; one that takes a seed gets another in each repeat."""
        named = next(one.planner for one in self.plan.planners if one.label == cell.planner)
        takes = plugins.load_planner(named.name).signature.parameters
        if "seed" not in takes:
            return named
        first = named.options.get("seed", self.plan.seed)
        return Named(name=named.name, options={**named.options, "seed": first + cell.repeat})


def run_of(evaluation: str, cell: Cell, attempt: int = 0) -> str:
    """Return the id of the run of a cell; `attempt` counts those that had to be given up."""
    text = "\0".join([evaluation, *map(str, cell), str(attempt)])
    return hashlib.blake2b(text.encode(), digest_size=RUN_ID_BYTES).hexdigest()


def tools_of(sample: Sample) -> dict[str, Tool[..., Any]]:
    """Return the tools of a sample: installed ones it names, and the actions of its environments.

    Raises:
        SuiteError: One is not installed, or takes no such options.
    """
    try:
        tools = {name: plugins.load("tool", name) for name in sample.task.tools}
        for name, named in sample.environments.items():
            kind: type[Environment] = plugins.load("environment", named.name)
            acting = NamedEnvironment(name, kind, dict(named.options), named.name).tools()
            tools |= {tool.name: tool for tool in acting}
    except (PluginError, InputError, ValueError) as error:
        raise SuiteError(suite="", place=f"sample {sample.id}", problem=str(error)) from error
    return tools


async def _ended(record: RunRecord, work: Any) -> None:
    """Await a run whose failure stands in its record; what kept it from being recorded is raised."""
    try:
        await work
    except (JournalError, RunPausedError):
        if record.status != "paused":
            raise
    except Exception:  # what the planner raised is in the record
        if record.status != "failed":
            raise
