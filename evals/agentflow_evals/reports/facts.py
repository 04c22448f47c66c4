"""What was run and how far it has come, in words, for the terminal and for Markdown.

Owns the lines around the tables. Knows no form of output.
"""

import time

from agentflow.cli.words import clean
from agentflow_evals.record import Evaluation
from agentflow_evals.reports.grids import label, span

SHOWN_CHARACTERS = 300


def size(evaluation: Evaluation) -> str:
    """Return how many samples, planners, models and repeats there are."""
    plan = evaluation.plan
    parts = [
        _count(len(plan.samples), "sample"),
        _count(len(plan.planners), "planner"),
        _count(len(plan.models), "model"),
    ]
    if plan.repeat > 1:
        parts.append(f"{plan.repeat} repeats")
    return " x ".join(parts)


def state(evaluation: Evaluation) -> str:
    """Return whether it is finished, and how long that took."""
    if evaluation.ended_at is None or not evaluation.started_at:
        return "not finished" if evaluation.missing else "finished"
    took = span(evaluation.ended_at - evaluation.started_at)
    ended = time.strftime("%Y-%m-%d %H:%M", time.localtime(evaluation.ended_at))
    return f"{'stopped' if evaluation.missing else 'finished'} {ended} after {took}"


def missing(evaluation: Evaluation) -> str:
    """Return how many runs are missing and how to make up for it; empty if none is."""
    cells = evaluation.missing
    if not cells:
        return ""
    errors = sum(not outcome.is_counted for outcome in evaluation.outcomes)
    ended = f", {errors} of them ended in an error" if errors else ""
    total = sum(1 for _cell in evaluation.plan.cells())
    how = f"agentflow eval --resume {evaluation.id}"
    return f"{len(cells)} of {total} runs are missing{ended}. Go on with: {how}"


def first_error(evaluation: Evaluation) -> str:
    """Return why the first run that does not count ended; empty if all count."""
    found = (outcome for outcome in evaluation.outcomes if not outcome.is_counted)
    first = next(found, None)
    return "" if first is None else f"{clean(first.sample, 60)}: {clean(first.reason, 200)}"


def how_made(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return what someone needs to make the same table, as names and values."""
    plan, machine = evaluation.plan, dict(evaluation.machine)
    origin = plan.suite.origin
    data = " ".join(filter(None, (origin.source, origin.version)))
    known = f"SHA-256 {origin.sha256[:12]}" if origin.sha256 else ""
    samples = f"{len(plan.samples)} samples"
    digest = f"digest {plan.suite.digest[:12]}" if plan.suite.digest else ""
    facts = [
        ("suite", ", ".join(filter(None, (plan.suite.shown, data, known, samples, digest)))),
        ("models", "; ".join(_model(one.label, str(one.spec)) for one in plan.models)),
        ("seed", f"{plan.seed}" + (f", {plan.repeat} repeats" if plan.repeat > 1 else "")),
        ("budget of a sample", _budget(evaluation)),
        ("command", machine.pop("command", "")),
        ("machine", machine.pop("machine", "")),
        *sorted(machine.items()),
        ("evaluation", f"{evaluation.id}, {state(evaluation)}"),
    ]
    return [(name, clean(value, SHOWN_CHARACTERS)) for name, value in facts if value]


def _model(shown: str, spec: str) -> str:
    return label(shown) if spec.endswith(shown) else f"{label(shown)} ({spec})"


def _budget(evaluation: Evaluation) -> str:
    limits = evaluation.plan.budget.model_dump(exclude_none=True)
    return ", ".join(f"{name} {limit:,}" for name, limit in limits.items())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
