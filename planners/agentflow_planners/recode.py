"""Plans are code: a program calls functions nobody has written, and each is written when it is called.

Source: Yu et al., ReCode: Unify Plan and Action for Universal Granularity Control, arXiv:2510.23564,
  Algorithm 1.
Cost: tens of calls: functions x (1 + repairs), with `consensus` x samples.
Needs: a sandbox.
Published: average of ALFWorld, ScienceWorld and WebShop 60.8 (GPT-4o mini); the same average 66.2 (Gemini
  2.5 Flash); the same average 69.2 (DeepSeek-V3.1); the same average 70.4 (Qwen2.5-7B, trained); WebShop
  10.36 where the paper has 39.97, in the only replication found (GPT-4o mini).

What differs from the authors' code, and why:
- a placeholder is found in the syntax tree and the running program pauses at its call, so loops,
  branches, comprehensions and keyword-only calls work and nothing is executed twice;
- a placeholder is a real function with its own scope, arguments and return value;
- calls that do not need each other run side by side;
- an error at run time goes back to the model with its traceback (the paper claims it, §3.3);
- at the last level the model is asked for a function that is whole, instead of ending the run;
- a function that the same program calls again keeps the body it got the first time, and with a skill
  library so does one that another run has written.
"""

from typing import Any

from agentflow import MisfitError, Result, Task, flow, note
from agentflow.errors import (
    BudgetExceededError,
    ExpansionError,
    InputError,
    OutputError,
    ProgramError,
    ToolError,
)
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recoding.expansion import Expansion
from agentflow_planners.recoding.skills import Skills
from agentflow_planners.recoding.table import TABLE, Table
from agentflow_planners.recoding.units import Failure, Job, Unit, Verify, root_unit

REPAIRABLE = (ProgramError, ExpansionError, ToolError, InputError, OutputError, MisfitError)
WIDEN_AFTER = 2


@flow
async def recode(
    task: Task,
    *,
    repairs: int = 4,
    levels: int = 4,
    width: int = 20,
    verify: Verify = "run",
    samples: int = 5,
    skills: str = "",
) -> Result:
    """Solve a task by writing a program top down, each function when it is first called.

    Args:
        task: With an output schema of several fields, the first program calls one function a field.
        repairs: How often a function may be written again after it failed.
        levels: How deep functions may call unwritten ones; the tree's budget may allow less.
        width: How many different unwritten functions one program may call.
        verify: `run` takes the first version that works; `consensus` has functions that must be whole
            and call no tool written several times, and takes the version that most agree with.
        samples: How many versions a consensus is made of.
        skills: Path of a skill library, made if need be: functions that worked in other runs.

    Raises:
        ExpansionError: A function still fails after its repairs, and so do its callers'.
        InputError: The library's path holds something else.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    goal = f"{task.goal}\n{task.context}" if task.context else task.goal
    job = Job(
        goal=goal.strip(),
        tools=task.tools,
        repairs=repairs,
        levels=levels,
        width=width,
        verify=verify,
        samples=samples,
    )
    library = await Skills.open(skills) if skills else None
    table = Table(job.tools, library)
    token = TABLE.set(table)
    try:
        output = await _expand(root_unit(job.goal, task.inputs, task.output_schema), job, level=0)
    finally:
        TABLE.reset(token)
    await table.remember()
    return Result(output=output)


@flow
async def write_and_run(unit: Unit, job: Job, level: int) -> Any:
    """Write one function and return its value for the arguments at hand."""
    return await _expand(unit, job, level)


async def _expand(unit: Unit, job: Job, level: int) -> Any:
    """Return the value of `unit`: with the body it already has, else written, and repaired."""

    async def call(other: Unit, at_level: int) -> Any:
        return await write_and_run.named(other.name)(other, job, at_level)

    table, expansion = TABLE.get(), Expansion(unit, job, level, call)
    failures: list[Failure] = []
    written: FunctionNode | None = table.find(unit)
    for attempt in range(job.repairs + 1):
        try:
            if written is None:
                written = await expansion.write(failures)
            table.begin(unit, written)
            value = await expansion.run(written)
        except (*REPAIRABLE, BudgetExceededError) as error:
            if not _is_repairable(error):
                raise
            table.fail(unit)
            code = "" if written is None else written.body or ""
            failures.append(expansion.failed(code, error))
            note(f"version {attempt + 1} of {unit.name} failed: {failures[-1].report}")
            written = None
            if len(failures) == WIDEN_AFTER:
                expansion.widen()
        else:
            if not expansion.is_widened:
                table.keep(unit, written, expansion.example(value))
            return value
    raise ExpansionError(
        step=unit.name,
        problem=f"none of {job.repairs + 1} versions worked; the last: {failures[-1].report}",
    )


def _is_repairable(error: Exception) -> bool:
    """Return whether another version may do better: too deep or too wide can be written otherwise."""
    return not isinstance(error, BudgetExceededError) or error.kind in ("depth", "width")
