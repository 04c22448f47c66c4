"""Have a model judge: whether something is so, and whether an answer to a task is right, the truth out of sight.

Owns the question and the verdicts, for every planner that judges. Knows no planner.
"""

from typing import Any

from agentflow import Task, generate
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.wording import Brief, shown, statement

MAX_ANSWER_CHARS = 8_000

JUDGE = """\
Here is an answer to a task. Look for what is wrong with it: check each step and each condition of the \
task yourself. Give the reason first, then whether the answer is correct."""


class Verdict(Frozen):
    """Whether something is so; the reason comes first, so that the verdict follows from it."""

    reason: Brief
    yes: bool


class Judgement(Frozen):
    """What a model says of an answer."""

    reason: Brief
    correct: bool


async def judged(task: Task, answer: Any, **options: Any) -> Judgement:
    """Return what the model says of an answer; `options` are those of `generate`."""
    proposed = f"Proposed answer:\n{shown(answer, MAX_ANSWER_CHARS)}"
    prompt = f"{JUDGE}\n\n{statement(task)}\n\n{proposed}"
    return await generate(prompt, output=Judgement, **options)
