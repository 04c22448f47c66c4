"""What was run, for the head of a page: enough to do it again and to know what to compare it with.

Owns the words about a plan. Shows no path of this machine and no address of a model's server.
"""

import datetime as dt
import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from agentflow.data import Data
from agentflow.solving import Named
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import numbers
from agentflow_evals.reports.markup import Child, Markup, cut, tag

VALUE_CHARS = 2_000
LINE_CHARS = 120


def facts(evaluation: Evaluation) -> Markup:
    """Return a list of terms: suite, planners, models, settings, machine and command."""
    plan, machine = evaluation.plan, dict(evaluation.machine)
    command = machine.pop("command", "")
    terms: list[tuple[str, Child]] = [
        ("suite", _lines(_suite(plan))),
        ("planners", _lines(map(_planner, plan.planners))),
        ("models", _lines(map(_model, plan.models))),
        ("samples", f"{len(plan.samples):,}{_repeats(plan)}"),
        ("seed", plan.seed),
        ("budget of a sample", ", ".join(_limits(plan)) or "none"),
        ("cache", "answers of earlier runs were taken over" if plan.cache else "not used"),
        ("started", when(evaluation)),
        *((name, cut(value, VALUE_CHARS)) for name, value in machine.items()),
        ("evaluation", tag("code", evaluation.id)),
        ("do it again", tag("pre", cut(command or command_of(plan), VALUE_CHARS))),
    ]
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in terms])


def circumstances(evaluation: Evaluation) -> str:
    """Return suite and version, machine and time, in a line."""
    suite = evaluation.plan.suite
    parts = [
        " ".join(filter(None, (suite.shown, suite.origin.version))),
        f"digest {suite.digest[:12]}" if suite.digest else "",
        evaluation.machine.get("machine", ""),
        when(evaluation),
    ]
    return " · ".join(cut(part, LINE_CHARS) for part in parts if part)


def command_of(plan: EvaluationPlan) -> str:
    """Return a command that runs the plan, for evaluations that do not know their own."""
    parts = ["agentflow", "eval", plan.suite.shown]
    for name, value in plan.suite.options.items():
        parts += ["--set", f"{name}={_plain(value)}"]
    for planner in plan.planners:
        parts += ["--planner", _as_given(planner)]
    for model in plan.models:
        own = str(model.spec)
        parts += ["--model", own if model.label == own else f"{model.label}={own}"]
    parts += ["--limit", str(len(plan.samples)), "--seed", str(plan.seed)]
    if plan.repeat > 1:
        parts += ["--repeat", str(plan.repeat)]
    limits = [f"{name}={value}" for name, value in plan.budget if value is not None]
    parts += ["--sample-budget", ",".join(limits)] if limits else []
    return shlex.join(parts)


def _suite(plan: EvaluationPlan) -> Iterator[str]:
    suite = plan.suite
    yield " ".join(part for part in (suite.shown, suite.origin.version) if part)
    if suite.options:
        yield ", ".join(f"{name} = {_plain(value)}" for name, value in suite.options.items())
    if suite.origin.source:
        yield f"from {suite.origin.source}"
    if suite.origin.licence:
        yield f"licence {suite.origin.licence}"
    if suite.origin.sha256:
        yield f"SHA-256 of the data {suite.origin.sha256}"
    if suite.digest:
        yield f"digest of the samples {suite.digest}"


def _planner(planner: Contender) -> str:
    own = _named(planner.planner)
    return planner.label if planner.label == own else f"{planner.label}: {own}"


def _named(planner: Named) -> str:
    options = ", ".join(f"{name}: {_plain(value)}" for name, value in planner.options.items())
    return f"{planner.name}{{{options}}}" if options else planner.name


def _as_given(planner: Contender) -> str:
    if planner.label == _named(planner.planner):
        return planner.label
    own = planner.planner
    text = own.name + (json.dumps(own.options, ensure_ascii=False) if own.options else "")
    return f"{planner.label}={text}"


def _model(model: Entrant) -> str:
    spec = model.spec
    named = [str(spec)] if str(spec) != model.label else []
    settings = [
        f"{name} {value}"
        for name, value in (
            ("temperature", spec.temperature),
            ("at most tokens a reply", spec.max_tokens),
            ("seed", spec.seed),
        )
        if value is not None
    ]
    return ": ".join(part for part in (model.label, ", ".join(named + settings)) if part)


def _limits(plan: EvaluationPlan) -> Iterator[str]:
    for name, value in plan.budget:
        if value is not None:
            yield f"{value:,} {'US dollars' if name == 'usd' else name}"


def _repeats(plan: EvaluationPlan) -> str:
    return f", each {plan.repeat:,} times" if plan.repeat > 1 else ""


def when(evaluation: Evaluation) -> str:
    """Return when it was run and for how long."""
    if not evaluation.started_at:
        return "not known"
    try:
        begun = dt.datetime.fromtimestamp(evaluation.started_at, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):  # a time from a file of others
        return "not known"
    took = None if evaluation.ended_at is None else evaluation.ended_at - evaluation.started_at
    until = "has not ended" if took is None else f"took {numbers.seconds(max(took, 0.0))}"
    return f"{begun:%Y-%m-%d %H:%M} UTC, {until}"


def _plain(value: Data) -> str:
    """Return an option as text; of an absolute path the name only."""
    if isinstance(value, str):
        return PurePath(value).name if PurePath(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False, default=str)


def _lines(texts: Iterable[str]) -> Markup:
    return tag("ul", [tag("li", cut(text, VALUE_CHARS)) for text in texts])
