"""What was run and how far it has come, in words: enough to do it again and to know what to compare it with.

Owns the words around the tables, for the terminal, for Markdown and for the page. Knows no form of output.
Says no folder of this machine and no address of a model's server, and holds no control characters.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agentflow.cli.words import clean
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import numbers
from agentflow_evals.reports.command import as_text, command_of, named

VALUE_CHARS = 2_000
LINE_CHARS = 120
COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to know of an evaluation, in a line or several."""

    name: str
    lines: tuple[str, ...]


def facts(evaluation: Evaluation) -> list[Fact]:
    """Return suite, planners, models, settings, machine and command."""
    plan, machine = evaluation.plan, dict(evaluation.machine)
    command = machine.pop(COMMAND, "") or command_of(plan)
    return [
        _fact("suite", _suite(plan)),
        _fact("planners", map(_planner, plan.planners)),
        _fact("models", map(_model, plan.models)),
        _fact("samples", [numbers.count(len(plan.samples)) + _repeats(plan)]),
        _fact("seed", [str(plan.seed)]),
        _fact("budget of a sample", [", ".join(_limits(plan)) or "none"]),
        _fact("cache", ["answers of earlier runs were taken over" if plan.cache else "not used"]),
        *(_fact(name, [value]) for name, value in machine.items()),
        _fact("evaluation", [evaluation.id, state(evaluation)]),
        _fact(COMMAND, [command]),
    ]


def size(plan: EvaluationPlan, times: str = "x") -> str:
    """Return how many samples, planners, models and repeats there are."""
    parts = [
        numbers.counted(len(plan.samples), "sample"),
        numbers.counted(len(plan.planners), "planner"),
        numbers.counted(len(plan.models), "model"),
    ]
    if plan.repeat > 1:
        parts.append(numbers.counted(plan.repeat, "repeat"))
    return f" {times} ".join(parts)


def state(evaluation: Evaluation) -> str:
    """Return whether it is finished, when it was, and how long that took."""
    begun, ended = evaluation.started_at, evaluation.ended_at
    if ended is None or not begun:
        return "not finished" if evaluation.missing else "finished"
    word = "stopped" if evaluation.missing else "finished"
    took = numbers.seconds(max(ended - begun, 0.0))
    return " ".join(filter(None, (word, _moment(ended), "after", took)))


def circumstances(evaluation: Evaluation) -> str:
    """Return suite and version, machine and time, in a line."""
    suite = evaluation.plan.suite
    parts = [
        _version(evaluation.plan),
        f"digest {suite.digest[:12]}" if suite.digest else "",
        evaluation.machine.get("machine", ""),
        state(evaluation),
    ]
    return " · ".join(clean(part, LINE_CHARS) for part in parts if part)


def missing(evaluation: Evaluation) -> str:
    """Return how many runs are missing and how to make up for it; empty if none is."""
    cells = evaluation.missing
    if not cells:
        return ""
    errors = sum(not outcome.is_counted for outcome in evaluation.outcomes)
    ended = f", {numbers.count(errors)} of them ended in an error" if errors else ""
    total = sum(1 for _cell in evaluation.plan.cells())
    how = f"agentflow eval --resume {clean(evaluation.id, LINE_CHARS)}"
    found = f"{numbers.count(len(cells))} of {numbers.count(total)} runs are missing"
    return f"{found}{ended}. Go on with: {how}"


def first_error(evaluation: Evaluation) -> str:
    """Return why the first run that does not count ended; empty if all count."""
    found = (outcome for outcome in evaluation.outcomes if not outcome.is_counted)
    first = next(found, None)
    return "" if first is None else f"{clean(first.sample, 60)}: {clean(first.reason, 200)}"


def _fact(name: str, lines: Iterable[str]) -> Fact:
    return Fact(clean(name, LINE_CHARS), tuple(clean(line, VALUE_CHARS) for line in lines))


def _moment(unix_s: float) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(unix_s, tz=dt.UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):  # a time from a file of others
        return ""


def _version(plan: EvaluationPlan) -> str:
    return " ".join(filter(None, (plan.suite.shown, plan.suite.origin.version)))


def _suite(plan: EvaluationPlan) -> Iterator[str]:
    suite = plan.suite
    yield _version(plan)
    if suite.options:
        yield ", ".join(f"{name} = {as_text(value)}" for name, value in suite.options.items())
    if suite.origin.source:
        yield f"from {suite.origin.source}"
    if suite.origin.licence:
        yield f"licence {suite.origin.licence}"
    if suite.origin.sha256:
        yield f"SHA-256 of the data {suite.origin.sha256}"
    if suite.digest:
        yield f"digest of the samples {suite.digest}"


def _planner(planner: Contender) -> str:
    own = named(planner.planner)
    return planner.label if planner.label == own else f"{planner.label}: {own}"


def _model(model: Entrant) -> str:
    spec = model.spec
    own = [str(spec)] if str(spec) != model.label else []
    settings = [
        f"{name} {value}"
        for name, value in (
            ("temperature", spec.temperature),
            ("at most tokens a reply", spec.max_tokens),
            ("seed", spec.seed),
        )
        if value is not None
    ]
    return ": ".join(part for part in (model.label, ", ".join(own + settings)) if part)


def _limits(plan: EvaluationPlan) -> Iterator[str]:
    for name, value in plan.budget:
        if value is not None:
            yield f"{numbers.whole(value)} {'US dollars' if name == 'usd' else name}"


def _repeats(plan: EvaluationPlan) -> str:
    return f", each {numbers.count(plan.repeat)} times" if plan.repeat > 1 else ""
