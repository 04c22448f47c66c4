"""Decompose only as needed: try a task first, and split it when the executor says that it failed.

Source: Prasad et al., ADaPT: As-Needed Decomposition and Planning with Language Models,
  arXiv:2311.05772, Algorithm 1.
Cost: tens of calls: turns x sub-tasks, and a plan for each that fails; one level deeper, as much again.
Needs: tools.
Published: ALFWorld up to 28.3 points of success more than its baselines; WebShop up to 27 more; TextCraft up
  to 33 more; average of ALFWorld, ScienceWorld and WebShop 35.7 (GPT-4o mini, as a baseline of ReCode).

What differs, and why:
- "and" sub-tasks form a DAG, so those that do not need each other are done side by side unless a tool
  has effects; "or" sub-tasks are ways to the same end and are tried one after the other, as in the
  paper;
- results are values, not only success: the last "and" sub-task, or the first "or" that works, gives the
  answer;
- whoever goes on after a failure is told why it failed and which calls have happened.
"""

from typing import Any, Literal

from agentflow import Message, Result, SubTask, Task, flow, levels_left, note, run_plan
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.shared.acting import SETBACKS, attempt, for_planning
from agentflow_planners.shared.plans import FORM, Draft, checked, drafted, in_order, part_of
from agentflow_planners.shared.replies import opening
from agentflow_planners.shared.values import Count, Frozen

SYSTEM = (
    'An executor has failed at a task. Split it into simpler sub-tasks. With `logic` "and" all of '
    f'them are done: {FORM} With `logic` "or" each is another way to do the whole task, and the first '
    "that works counts."
)


class Split(Draft):
    """Sub-tasks that must all be done, or of which one suffices."""

    logic: Literal["and", "or"]


class Job(Frozen):
    """What stays the same all over one tree."""

    turns: int
    depth: int
    most: int


@flow
async def adapt(task: Task, *, turns: Count = 12, depth: Count = 3, most: Count = 6) -> Result:
    """Try the task; where the executor fails, split it, and do the same with the parts.

    Args:
        task: Its tools are at the disposal of every sub-task.
        turns: How many turns each executor has.
        depth: How deep sub-tasks may nest; the tree's budget may allow less.
        most: How many sub-tasks a split may have.

    Raises:
        ExpansionError: An executor failed at the last level, or no sound split came.
        ModelError: A call failed for good.
    """
    return Result(output=await _achieved(task, Job(turns=turns, depth=depth, most=most), level=1))


@flow
async def achieve(task: Task, job: Job, level: int) -> Any:
    """Do one sub-task, split further if need be."""
    return await _achieved(task, job, level)


async def _achieved(task: Task, job: Job, level: int) -> Any:
    try:
        return await attempt(task, turns=job.turns, step="adapt")
    except SETBACKS as error:
        problem = getattr(error, "problem", str(error))
        if level >= job.depth or levels_left() == 0:
            raise
    note(f"level {level} failed: {problem}")
    request = _request(task, problem)
    split = await drafted(request, Split, reserved=set(task.inputs), most=job.most)
    if split.logic == "or":
        return await _first_of(split, task, job, level, problem)
    plan = in_order(checked(split, reserved=set(task.inputs), most=job.most), task)

    async def solve(subtask: SubTask, needed: dict[str, Data]) -> Any:
        part = part_of(task, subtask, needed, is_last=subtask.id == plan.answer_id)
        return await achieve.named(subtask.id)(_warned(part, [problem]), job, level + 1)

    return await run_plan(plan, solve)


async def _first_of(split: Split, task: Task, job: Job, level: int, problem: str) -> Any:
    """Return the result of the first way that works."""
    reasons = [problem]
    for way in split.subtasks:
        part = _warned(part_of(task, way, {}, is_last=True), reasons)
        try:
            return await achieve.named(way.id)(part, job, level + 1)
        except SETBACKS as error:
            reasons.append(getattr(error, "problem", str(error)))
    raise ExpansionError(
        step="adapt", problem=f"none of {len(split.subtasks)} ways worked; the last: {reasons[-1]}"
    )


def _warned(task: Task, reasons: list[str]) -> Task:
    told = "\n".join(f"An earlier attempt failed: {reason}" for reason in reasons)
    return task.model_copy(update={"context": f"{task.context}\n{told}"})


def _request(task: Task, problem: str) -> list[Message]:
    return opening(SYSTEM, f"{for_planning(task)}\n\nThe executor failed: {problem}")
