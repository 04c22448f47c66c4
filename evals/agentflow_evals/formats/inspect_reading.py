"""Read a log of Inspect as an evaluation: a task is a suite, its solver a planner, an epoch a repeat.

Owns what the head of a log means; `inspect_samples` has the samples. Knows only the fields that it needs,
so logs of other versions read as well. A log that `inspect_log` wrote holds our own plan beside Inspect's
fields.
"""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from agentflow.budget import Budget
from agentflow.errors import EvaluationError
from agentflow.models.protocol import ModelSpec
from agentflow.solving import Named
from agentflow_evals.formats.inspect_files import read_log
from agentflow_evals.formats.inspect_samples import OURS, Loose, Sample, name_of, outcome_of
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, SuiteUsed
from agentflow_evals.record import Evaluation
from agentflow_evals.suite import Origin


class Dataset(Loose):
    """What the samples are from."""

    name: str | None = None
    location: str | None = None
    sample_ids: list[int | str] | None = None


class Config(Loose):
    """What one sample might use."""

    epochs: int | None = None
    token_limit: int | None = None
    time_limit: float | None = None
    cost_limit: float | None = None


class Generation(Loose):
    """How the model was asked."""

    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


class Spec(Loose):
    """What was evaluated."""

    task: str
    model: str
    created: str = ""
    task_version: int | str = 0
    task_args: dict[str, Any] = Field(default_factory=dict)
    solver: str | None = None
    solver_args: dict[str, Any] | None = None
    dataset: Dataset = Dataset()
    model_base_url: str | None = None
    model_generate_config: Generation = Generation()
    config: Config = Config()
    packages: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] | None = None


class PlanStep(Loose):
    """A solver."""

    solver: str = ""


class Plan(Loose):
    """The solvers."""

    steps: list[PlanStep] = Field(default_factory=list)


class ScoreHead(Loose):
    """One scorer's results."""

    name: str


class Headline(Loose):
    """Which score the log shows first."""

    score: str | None = None


class Results(Loose):
    """The scorers' results."""

    scores: list[ScoreHead] = Field(default_factory=list)
    headline: Headline | None = None


class Stats(Loose):
    """When it began and ended."""

    started_at: str = ""
    completed_at: str = ""


class Log(Loose):
    """A log without its samples."""

    version: int
    status: Literal["started", "success", "cancelled", "error"] = "started"
    spec: Spec = Field(alias="eval")
    plan: Plan = Plan()
    results: Results | None = None
    stats: Stats = Stats()


def read(path: Path, scorer: str | None = None) -> Evaluation:
    """Return the evaluation in a log, which has one planner and one model.

    Raises:
        EvaluationError: It is no log of Inspect, or its scores are no shares from 0 to 1.
        MissingExtraError: It is compressed with Zstandard, and what reads that is not installed.
        OSError: It cannot be read.
    """
    head, raw = read_log(path)
    try:
        log = Log.model_validate(head)
        samples = [Sample.model_validate(item) for item in raw]
        if samples:
            return _evaluation(path, log, samples, scorer or _headline(log))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = f"{error.title.lower()}.{'.'.join(map(str, first['loc']))}"
        problem = f"{path} is not a log of Inspect that can be read: {place}: {first['msg']}"
        raise EvaluationError(problem=problem) from error
    raise EvaluationError(problem=f"{path} holds no samples: Inspect wrote it without them")


def _evaluation(path: Path, log: Log, samples: list[Sample], scorer: str | None) -> Evaluation:
    plan = _our_plan(path, log) or _plan(log, samples)
    planner, model = plan.planners[0].label, plan.models[0].label
    found: dict[Cell, Outcome] = {}
    cells = set(plan.cells())
    for sample in samples:
        try:
            outcome = outcome_of(sample, planner, model, scorer)
        except EvaluationError as error:
            raise EvaluationError(problem=f"{path}: {error.problem}") from error
        if outcome.cell in found:
            problem = f"sample {sample.name!r} is there twice in epoch {sample.epoch}"
            raise EvaluationError(problem=f"{path}: {problem}")
        if outcome.cell not in cells:
            problem = f"sample {sample.name!r} is not in the plan that the log brings"
            raise EvaluationError(problem=f"{path}: {problem}")
        found[outcome.cell] = outcome
    return Evaluation(
        id=path.name,
        plan=plan,
        outcomes=tuple(found[cell] for cell in plan.cells() if cell in found),
        started_at=_seconds(log.stats.started_at or log.spec.created) or 0.0,
        ended_at=None if log.status == "started" else _seconds(log.stats.completed_at),
        machine=_packages(log.spec.packages),
    )


def _our_plan(path: Path, log: Log) -> EvaluationPlan | None:
    ours = (log.spec.metadata or {}).get(OURS)
    if not isinstance(ours, dict) or "plan" not in ours:
        return None
    try:
        return EvaluationPlan.model_validate_json(json.dumps(ours["plan"]))
    except (ValueError, ArithmeticError, TypeError, LookupError) as error:
        raise EvaluationError(problem=f"{path}: metadata.{OURS}.plan is damaged") from error


def _plan(log: Log, samples: list[Sample]) -> EvaluationPlan:
    spec = log.spec
    name = spec.solver or "+".join(step.solver for step in log.plan.steps) or "unknown"
    chosen = [name_of(item) for item in spec.dataset.sample_ids or ()]
    seen = dict.fromkeys([*chosen, *(sample.name for sample in samples)])
    suite = SuiteUsed(name=spec.task, options=spec.task_args, origin=_origin(spec))
    planner = Contender(label=name, planner=Named(name=name, options=spec.solver_args or {}))
    return EvaluationPlan(
        suite=suite,
        samples=tuple(seen),
        planners=(planner,),
        models=(Entrant(label=spec.model, spec=_model(spec)),),
        repeat=max(sample.epoch for sample in samples),
        seed=spec.model_generate_config.seed or 0,
        budget=_budget(spec.config),
    )


def _origin(spec: Spec) -> Origin:
    source = spec.dataset.name or spec.dataset.location or ""
    return Origin(source=source, version=str(spec.task_version))


def _model(spec: Spec) -> ModelSpec:
    provider, slash, name = spec.model.partition("/")
    return ModelSpec(
        provider=provider if slash else "inspect",
        name=name if slash else spec.model,
        base_url=spec.model_base_url,
        temperature=spec.model_generate_config.temperature,
        max_tokens=spec.model_generate_config.max_tokens or None,
        seed=spec.model_generate_config.seed,
    )


def _budget(config: Config) -> Budget:
    return Budget(
        tokens=config.token_limit or None,
        usd=config.cost_limit or None,
        seconds=config.time_limit or None,
    )


def _headline(log: Log) -> str | None:
    if log.results is None:
        return None
    if log.results.headline is not None and log.results.headline.score:
        return log.results.headline.score
    return log.results.scores[0].name if log.results.scores else None


def _seconds(text: str) -> float | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def _packages(found: Mapping[str, str]) -> dict[str, str]:
    return {f"package {name}": version for name, version in found.items()}
