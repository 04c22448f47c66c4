"""Write many versions and many tests, and keep the versions that agree on the most tests.

Source: Chen et al., CodeT: Code Generation with Generated Tests, arXiv:2207.10397, §2 (dual execution
  agreement).
Cost: tens of calls: samples + those that ask for tests.
Needs: a sandbox.
Published: HumanEval 65.8 (code-davinci-002, secondary source); HumanEval 81.1, MBPP 76.0 (GPT-3.5, as a
  baseline of FunCoder); HumanEval 90.9, MBPP 77.0 (GPT-4, the same).

Unlike there, the tests are asked for in few calls instead of 100.
"""

import random
from typing import Any

from agentflow import Result, Task, flow, note, parallel
from agentflow.errors import ExpansionError
from agentflow_planners.functions.asking import tests_asked
from agentflow_planners.functions.assignment import Assignment
from agentflow_planners.functions.candidates import Candidate, Sampling, versions
from agentflow_planners.functions.verifying import suite_of, verified


@flow
async def codet(
    task: Task,
    *,
    samples: int = 11,
    tests: int = 10,
    temperature: float | None = None,
    seed: int = 0,
) -> Result:
    """Write the function that a task is about; versions and tests vouch for each other.

    Args:
        task: As for `funcoder`.
        samples: Versions, the model's first choice included.
        tests: How many assertions the model is asked for.
        temperature: Of the versions after the first; None: a hosted model's own, 0.8 for a local one.
        seed: Of the samples and of the choice among equals.

    Raises:
        InputError: The task names no function to write.
        ExpansionError: No reply is a version of it.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    assignment = Assignment(task)
    unfinished = assignment.unfinished
    sampling = Sampling(temperature=temperature, seed=seed)
    found: Any = await parallel(
        versions(unfinished, sampling, count=samples), tests_asked(unfinished, tests)
    )
    candidates: list[Candidate] = found[0]
    if not candidates:
        raise ExpansionError(step=unfinished.node.name, problem="no reply was a candidate")
    suite = await suite_of(unfinished.node, found[1])
    note(f"{len(suite.examples)} of the model's tests can be judged")
    problems = await verified(candidates, suite)
    return await assignment.answer(candidates[_chosen(problems, seed)])


def _chosen(problems: list[list[str]], seed: int) -> int:
    """Return a version of the best group: those that pass the same tests, times how many these are."""
    passed = [frozenset(at for at, problem in enumerate(row) if not problem) for row in problems]
    scores = {tests: passed.count(tests) * len(tests) for tests in passed}
    best = max(scores.values())
    tied = sorted({passed.index(tests) for tests, score in scores.items() if score == best})
    return random.Random(seed).choice(tied)  # noqa: S311 (no secret)
