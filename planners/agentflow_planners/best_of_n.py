"""Draw several answers and keep the best.

Source: Cobbe et al., Training Verifiers to Solve Math Word Problems, arXiv:2110.14168, whose grader is
  trained.
Cost: tens of calls: samples, and a grade for each where no doc example decides.
Needs: a sandbox for code.
Published: none that were checked.

For a function the doc examples decide, as far as there are any; for anything else the model grades each
answer by itself. The simplest way to spend more on a task, so the one that others have to beat.
"""

import json
import random
from typing import Any

from pydantic import BaseModel, Field

from agentflow import Result, Task, flow, generate, note, parallel
from agentflow.errors import ExpansionError
from agentflow_planners.functions.assignment import Assignment, is_code_task
from agentflow_planners.functions.calls.examples import examples_of
from agentflow_planners.functions.candidates import Sampling, versions
from agentflow_planners.functions.verifying import suite_of, verified
from agentflow_planners.shared.sampling import first_options, sample_options
from agentflow_planners.shared.wording import Brief, question


class Grade(BaseModel):
    """What a grader says of an answer."""

    reason: Brief
    grade: int = Field(ge=0, le=10)


@flow
async def best_of_n(
    task: Task, *, samples: int = 11, temperature: float | None = None, seed: int = 0
) -> Result:
    """Draw `samples` answers, the model's first choice among them, and keep the best.

    Args:
        task: With an input `code` the answer is its source (see `funcoder`).
        samples: How many answers.
        temperature: Of all but the first; None: a hosted model's own, for a local one 0.8 if it writes
            a function and 0.7 else.
        seed: Of the samples and of the choice among equals.

    Raises:
        ExpansionError: No reply is an answer.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    sampling = Sampling(temperature=temperature, seed=seed)
    if is_code_task(task):
        return await _best_function(task, samples, sampling)
    return await _best_answer(task, samples, sampling)


async def _best_function(task: Task, samples: int, sampling: Sampling) -> Result:
    assignment = Assignment(task)
    unfinished = assignment.unfinished
    candidates = await versions(unfinished, sampling, count=samples)
    if not candidates:
        raise ExpansionError(step=unfinished.node.name, problem="no reply was a candidate")
    suite = await suite_of(unfinished.node, examples_of(unfinished.node))
    if not suite.examples:
        note("there is no doc example to choose by; the first answer is taken")
        return await assignment.answer(candidates[0])
    problems = await verified(candidates, suite)
    held = [sum(not problem for problem in row) for row in problems]
    return await assignment.answer(candidates[_best(held, sampling.seed)])


async def _best_answer(task: Task, samples: int, sampling: Sampling) -> Result:
    drawn = [await _options(number, sampling) for number in range(samples)]
    answers = await parallel(_answer(task, options) for options in drawn)
    different = list({json.dumps(answer, sort_keys=True): answer for answer in answers}.values())
    grades = await parallel(_graded(task, answer) for answer in different)
    note(f"{len(different)} different answers, grades {grades}")
    return Result(output=different[_best(grades, sampling.seed)])


async def _options(number: int, sampling: Sampling) -> dict[str, Any]:
    if number == 0:
        return await first_options()
    return await sample_options(sampling.seed + number, sampling.temperature)


async def _answer(task: Task, options: dict[str, Any]) -> Any:
    if task.output_schema is None:
        return (await generate(question(task), **options)).text
    return await generate(question(task), output=task.output_schema, **options)


async def _graded(task: Task, answer: Any) -> int:
    shown = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    prompt = (
        f"{question(task)}\n\nAn answer to grade:\n{shown}\n\n"
        "Check it step by step. Then grade it from 0 (wrong) to 10 (right and complete)."
    )
    return (await generate(prompt, output=Grade)).grade


def _best(values: list[int], seed: int) -> int:
    highest = max(values)
    best = [index for index, value in enumerate(values) if value == highest]
    return random.Random(seed).choice(best)  # noqa: S311 (no secret)
