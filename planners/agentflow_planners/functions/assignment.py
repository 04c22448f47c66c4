"""What a planner that writes functions is asked, and how it answers.

Two kinds of task. With an input `code`, a Python module, the answer is its source with the last
unwritten function written, and those that it needs. Without one, the task itself is the function:
`solve` of the task's inputs, and the answer is what it returns for them.
"""

import math
from typing import Any

from agentflow import Result, SchemaShape, Task, Trial, observe
from agentflow.errors import ExpansionError, InputError, ProgramError
from agentflow_planners.functions.candidates import Candidate, Unfinished
from agentflow_planners.functions.encoded import plain
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.source import read_module

CODE = "code"


class Assignment:
    """The function that a task is about."""

    def __init__(self, task: Task) -> None:
        """Read the task.

        Raises:
            InputError: `code` is no Python, or holds no unwritten function; or the task wants tools.
        """
        if task.tools:
            problem = "functions are written and verified without tools; use recode for this task"
            raise InputError(step="task", problem=problem)
        self._task = task
        self.unfinished = _of_code(task) if is_code_task(task) else _of_goal(task)

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that the task itself makes."""
        return () if is_code_task(self._task) else (_call(self._task),)

    async def answer(self, candidate: Candidate) -> Result:
        """Return the answer that a candidate gives.

        Raises:
            ExpansionError: It fails on the task's inputs, or returns what is no plain data.
            MisfitError: It returns something else than the output schema says.
        """
        if is_code_task(self._task):
            return Result(output=candidate.source)
        seen = await observe(
            Trial(source=candidate.source, calls=(_call(self._task),)), name="answer"
        )
        failure = seen.failure or (seen.observations[0].failure if seen.observations else None)
        if failure is not None or seen.observations[0].outcome != "returned":
            reason = failure.report if failure else seen.observations[0].outcome
            raise ExpansionError(step="solve", problem=f"it fails on the task's inputs: {reason}")
        value = plain(seen.observations[0].value)
        schema = self._task.output_schema
        return Result(output=value if schema is None else SchemaShape(schema).check(value))


def is_code_task(task: Task) -> bool:
    """Return whether the task gives code, so that its answer is code."""
    return isinstance(task.inputs.get(CODE), str)


def _of_code(task: Task) -> Unfinished:
    try:
        module = read_module(task.inputs[CODE])
    except ProgramError as error:
        raise InputError(step="task", problem=f"inputs.code: {error.report}") from error
    unwritten = [function for function in module.functions if not function.is_written]
    if not unwritten:
        problem = "inputs.code: no function is unwritten; end one with `...` after its docstring"
        raise InputError(step="task", problem=problem)
    node = unwritten[-1]
    doc = node.doc or task.goal
    others = tuple(function for function in module.functions if function.name != node.name)
    return Unfinished(node=node.model_copy(update={"doc": doc}), helpers=others)


def _of_goal(task: Task) -> Unfinished:
    doc = f"{task.goal}\n{task.context}".strip()
    return Unfinished(node=FunctionNode.of_call("solve", task.inputs, doc, returns=None))


def _call(task: Task) -> str:
    arguments = ", ".join(f"{name}={_literal(value)}" for name, value in task.inputs.items())
    return f"solve({arguments})"


def _literal(value: Any) -> str:
    """Return data as Python that means it."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)
