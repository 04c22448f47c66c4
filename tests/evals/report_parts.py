"""Evaluations made up for tests of what is made of them."""

from collections.abc import Callable, Sequence
from typing import Any

from agentflow_evals.outcome import Cell, Measures, Outcome
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, SuiteUsed
from agentflow_evals.record import Evaluation

from agentflow.models.protocol import ModelSpec
from agentflow.solving import Named

Fate = Callable[[Cell], dict[str, Any] | None]


def plan(
    samples: Sequence[str],
    planners: Sequence[str] = ("direct", "recode"),
    models: Sequence[str] = ("small",),
    **more: Any,
) -> EvaluationPlan:
    """Return a plan of that size."""
    return EvaluationPlan(
        suite=SuiteUsed(name=more.pop("suite", "sums"), digest=more.pop("digest", "d1")),
        samples=tuple(samples),
        planners=tuple(Contender(label=name, planner=Named(name="direct")) for name in planners),
        models=tuple(
            Entrant(label=name, spec=ModelSpec(provider="scripted", name=name)) for name in models
        ),
        **more,
    )


def evaluation(made: EvaluationPlan, fate: Fate, name: str = "01EVAL", **more: Any) -> Evaluation:
    """Return an evaluation whose cells end as `fate` says; None is a cell that is missing.

    A fate holds fields of `Outcome` and of `Measures`; the status decides the value unless it is given.
    """
    found = []
    for cell in made.cells():
        fields = fate(cell)
        if fields is not None:
            found.append(outcome(cell, **fields))
    return Evaluation(id=name, plan=made, outcomes=found, **more)


def outcome(cell: Cell, status: str = "passed", **fields: Any) -> Outcome:
    """Return the outcome of a cell."""
    measured = {name: fields.pop(name) for name in list(fields) if name in Measures.model_fields}
    fields.setdefault("value", float(status == "passed"))
    run = f"{cell.sample}-{cell.planner}-{cell.model}-{cell.repeat}"
    return Outcome(
        **cell._asdict(), run=run, status=status, measures=Measures(**measured), **fields
    )


def passing(solved: dict[str, set[str]]) -> Fate:
    """Return a fate by planner: the samples that it solves, the others it fails."""
    return lambda cell: {"status": "passed" if cell.sample in solved[cell.planner] else "failed"}
