"""Write an evaluation as logs of Inspect: one a planner and model, since a log has one of each.

Owns where our values go in a log of version 2, as Inspect 0.3 reads and shows it. Our own plan and outcomes
go along in the metadata, so that reading a log back loses nothing.
"""

import hashlib
import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentflow.data import from_json, to_json
from agentflow.errors import EvaluationError
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Reply, Usage
from agentflow_evals.formats.inspect_events import (
    conversation,
    events_of,
    model_output,
    moment,
    usage_of,
)
from agentflow_evals.formats.inspect_files import write_log
from agentflow_evals.formats.inspect_samples import OURS
from agentflow_evals.outcome import Measures, Outcome
from agentflow_evals.plan import Contender, Entrant
from agentflow_evals.record import Evaluation

Json = dict[str, Any]
Records = Callable[[str], RunRecord | None]
LOG_VERSION = 2
LIMITS = {"tokens": "token", "usd": "cost", "seconds": "time"}


def write(evaluation: Evaluation, records: Records, target: Path) -> list[Path]:
    """Write the logs, and return their paths.

    Args:
        evaluation: What to write.
        records: Gives the record of a run by its id; None where the journal has it no more.
        target: A file ending in `.json` or `.eval` if there is one planner and one model, else a folder.

    Raises:
        EvaluationError: A file cannot be written, or one file is asked for where several are needed.
    """
    plan = evaluation.plan
    pairs = [(planner, model) for model in plan.models for planner in plan.planners]
    if target.suffix in (".json", ".eval"):
        if len(pairs) > 1:
            problem = (
                f"a log of Inspect has one planner and one model, and here are {len(pairs)} pairs"
            )
            raise EvaluationError(problem=f"{problem}: give a folder instead of {target}")
        paths = [target]
    else:
        _make(target)
        paths = [
            target / _file_name(place, evaluation, *pair) for place, pair in enumerate(pairs, 1)
        ]
    for path, (planner, model) in zip(paths, pairs, strict=True):
        write_log(*log_of(evaluation, planner, model, records), path)
    return paths


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{folder} cannot be made: {error.strerror or error}"
        raise EvaluationError(problem=problem) from error


def log_of(
    evaluation: Evaluation, planner: Contender, model: Entrant, records: Records
) -> tuple[Json, list[Json]]:
    """Return the log of one planner and model without its samples, and the samples."""
    labels = (planner.label, model.label)
    outcomes = [item for item in evaluation.outcomes if (item.planner, item.model) == labels]
    whole = all(item.value in (0, 1) for item in outcomes)
    samples = [_sample(item, planner, model, whole, records(item.run)) for item in outcomes]
    ended_at = evaluation.ended_at
    log = {
        "version": LOG_VERSION,
        "status": "started" if ended_at is None else "success",
        "eval": _spec(evaluation, planner, model),
        "plan": {"name": "plan", "steps": [_solver(planner)], "config": {}},
        "results": _results(evaluation, outcomes, whole),
        "stats": {
            "started_at": moment(evaluation.started_at),
            "completed_at": "" if ended_at is None else moment(ended_at),
            "model_usage": {_name(model): _total([item.measures for item in outcomes])},
        },
    }
    return log, samples


def _spec(evaluation: Evaluation, planner: Contender, model: Entrant) -> Json:
    plan, suite = evaluation.plan, evaluation.plan.suite
    own = plan.model_copy(update={"planners": (planner,), "models": (model,)})
    name = _key(evaluation, planner, model)
    spec = {
        "eval_id": name,
        "run_id": evaluation.id,
        "created": moment(evaluation.started_at),
        "task": suite.shown,
        "task_id": name,
        "task_version": 0,
        "task_args": _plain(suite.options),
        "solver": planner.planner.name,
        "solver_args": _plain(planner.planner.options),
        "tags": [planner.label, model.label],
        "dataset": _dataset(evaluation),
        "model": _name(model),
        "model_generate_config": _generation(model),
        "config": _limits(evaluation),
        "packages": {"agentflow": version("agentflow")},
        "scorers": [
            {"name": OURS, "options": {}, "metrics": [{"name": "accuracy", "options": {}}]}
        ],
        "metadata": {OURS: {"plan": own.model_dump(mode="json"), "machine": evaluation.machine}},
    }
    return spec if model.spec.base_url is None else {**spec, "model_base_url": model.spec.base_url}


def _dataset(evaluation: Evaluation) -> Json:
    plan = evaluation.plan
    return {
        "name": plan.suite.origin.source or plan.suite.shown,
        "samples": len(plan.samples),
        "sample_ids": list(plan.samples),
        "shuffled": False,
    }


def _generation(model: Entrant) -> Json:
    spec = model.spec
    found = {"temperature": spec.temperature, "max_tokens": spec.max_tokens, "seed": spec.seed}
    return {name: value for name, value in found.items() if value is not None}


def _limits(evaluation: Evaluation) -> Json:
    budget = evaluation.plan.budget
    found = {
        "epochs": evaluation.plan.repeat,
        "token_limit": budget.tokens,
        "time_limit": None if budget.seconds is None else math.ceil(budget.seconds),
        "cost_limit": budget.usd,
    }
    return {name: value for name, value in found.items() if value is not None}


def _solver(planner: Contender) -> Json:
    return {"solver": planner.planner.name, "params": _plain(planner.planner.options)}


def _results(evaluation: Evaluation, outcomes: Sequence[Outcome], whole: bool) -> Json:
    counted = [item for item in outcomes if item.is_counted]
    metrics: dict[str, float] = {}
    if counted:
        metrics["accuracy"] = statistics.fmean(item.passed for item in counted)
    if counted and not whole:
        metrics["mean"] = statistics.fmean(item.value for item in counted)
    score = {
        "name": OURS,
        "scorer": OURS,
        "scored_samples": len(counted),
        "unscored_samples": len(outcomes) - len(counted),
        "metrics": {name: {"name": name, "value": value} for name, value in metrics.items()},
    }
    return {
        "total_samples": len(evaluation.plan.samples) * evaluation.plan.repeat,
        "completed_samples": len(counted),
        "scores": [score],
    }


def _sample(
    outcome: Outcome, planner: Contender, model: Entrant, whole: bool, record: RunRecord | None
) -> Json:
    measures, answer, task = outcome.measures, _words(outcome.answer), _task(outcome, record)
    usage = Usage(
        input_tokens=measures.input_tokens,
        output_tokens=measures.output_tokens,
        cached_tokens=measures.cached_tokens,
    )
    reply = Reply(text=answer, usage=usage, cost_usd=measures.cost_usd)
    found: Json = {
        "id": outcome.sample,
        "epoch": outcome.repeat + 1,
        "input": task,
        "target": _words(outcome.target),
        "messages": conversation(record, task, answer),
        "output": model_output(_name(model), reply),
        "metadata": _metadata(outcome, planner),
        "store": {},
        "events": [] if record is None else events_of(record),
        "model_usage": {_name(model): usage_of(usage, measures.cost_usd)},
        "total_time": measures.seconds,
        "working_time": measures.critical_path_s,
        "uuid": outcome.run,
        "turn_count": measures.calls,
        "attachments": {},
    }
    if record is not None:
        found["started_at"] = moment(record.started_at)
        found["completed_at"] = moment(record.started_at + measures.seconds)
    return found | _end(outcome, whole, record)


def _metadata(outcome: Outcome, planner: Contender) -> Json:
    # Before the long dictionary, what a person wants to see in a column of the viewer.
    return {
        "planner": planner.label,
        "group": outcome.group,
        "status": outcome.status,
        OURS: {"outcome": outcome.model_dump(mode="json")},
    }


def _end(outcome: Outcome, whole: bool, record: RunRecord | None) -> Json:
    if outcome.status == "error":
        return {"error": {"message": outcome.reason, "traceback": "", "traceback_ansi": ""}}
    value: Any = outcome.value
    if whole:
        value = "C" if outcome.value else "I"
    score = {"value": value, "answer": _words(outcome.answer), "explanation": outcome.reason}
    found: Json = {"scores": {OURS: score} | _verdicts(record)}
    return found | ({"limit": _limit(outcome, record)} if outcome.status == "refused" else {})


def _limit(outcome: Outcome, record: RunRecord | None) -> Json:
    facts = record.failure.facts if record is not None and record.failure is not None else {}
    limit = facts.get("limit")
    return {
        "type": LIMITS.get(str(facts.get("kind")), "custom"),
        "limit": float(limit) if isinstance(limit, int | float) else 0.0,
        "reason": outcome.reason,
    }


def _verdicts(record: RunRecord | None) -> Json:
    """Return what each check said, by its name; a second one of a name has a number."""
    value = None if record is None else record.value()
    verdicts = value.get("verdicts", ()) if isinstance(value, dict) else ()
    found: Json = {}
    for place, item in enumerate(verdicts, 1):
        name = str(item["check"])
        unique = name if name not in found else f"{name}_{place}"
        found[unique] = {"value": item["value"], "explanation": item["explanation"]}
    return found


def _task(outcome: Outcome, record: RunRecord | None) -> str:
    given = {} if record is None else from_json(record.input).get("task", {})
    parts = [given.get("goal", ""), given.get("context", "")] if isinstance(given, dict) else []
    inputs = given.get("inputs") if isinstance(given, dict) else None
    if inputs:
        parts.append(_words(inputs))
    return "\n\n".join(part for part in parts if part) or outcome.sample


def _total(measures: list[Measures]) -> Json:
    usage = Usage(
        input_tokens=sum(item.input_tokens for item in measures),
        output_tokens=sum(item.output_tokens for item in measures),
        cached_tokens=sum(item.cached_tokens for item in measures),
    )
    costs = [item.cost_usd for item in measures]
    cost = None if None in costs else sum(item for item in costs if item is not None)
    return usage_of(usage, cost)


def _words(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value).decode("utf-8", "replace")


def _plain(value: Any) -> Any:
    return json.loads(to_json(value))


def _name(model: Entrant) -> str:
    return f"{model.spec.provider}/{model.spec.name}"


def _file_name(place: int, evaluation: Evaluation, planner: Contender, model: Entrant) -> str:
    """Return a name as Inspect gives: time, task, id. In the order of names logs are in the plan's."""
    labels = (f"{place:02}", evaluation.plan.suite.shown, planner.label, model.label)
    task = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", label)[-60:] for label in labels)
    time = re.sub(r"[:+]", "-", moment(int(evaluation.started_at)))
    return f"{time}_{task}_{_key(evaluation, planner, model)}.eval"


def _key(evaluation: Evaluation, planner: Contender, model: Entrant) -> str:
    names = json.dumps([evaluation.id, planner.label, model.label]).encode()
    return hashlib.blake2b(names, digest_size=11).hexdigest()
