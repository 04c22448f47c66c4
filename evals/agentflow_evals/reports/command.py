"""The command that runs a plan, for evaluations that do not know their own.

Owns how planners and options of a suite are written on a command line. Of a path of this machine it says
the name only.
"""

import json
import shlex
from pathlib import PurePath

from agentflow.data import Data
from agentflow.solving import Named
from agentflow_evals.plan import Contender, EvaluationPlan


def command_of(plan: EvaluationPlan) -> str:
    """Return a command that runs the plan."""
    parts = ["agentflow", "eval", plan.suite.shown]
    for name, value in plan.suite.options.items():
        parts += ["--set", f"{name}={as_text(value)}"]
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


def named(planner: Named) -> str:
    """Return a planner with its options, as a label has them."""
    options = ", ".join(f"{name}: {as_text(value)}" for name, value in planner.options.items())
    return f"{planner.name}{{{options}}}" if options else planner.name


def as_text(value: Data) -> str:
    """Return an option as text; of an absolute path the name only."""
    if isinstance(value, str):
        return PurePath(value).name if PurePath(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False, default=str)


def _as_given(planner: Contender) -> str:
    if planner.label == named(planner.planner):
        return planner.label
    own = planner.planner
    text = own.name + (json.dumps(own.options, ensure_ascii=False) if own.options else "")
    return f"{planner.label}={text}"
