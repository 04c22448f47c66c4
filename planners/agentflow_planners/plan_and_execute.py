"""Plan first, then carry the plan out: sub-tasks with dependencies, each done by an executor with tools.

Source: Wang et al., Plan-and-Solve Prompting, arXiv:2305.04091.
Cost: tens of calls: plans x (1 + sub-tasks x turns).
Needs: tools.
Published: average of six arithmetic sets 76.7, zero-shot chain of thought 70.4 (text-davinci-003, secondary
  source).

What differs, and why:
- the paper plans and solves in one reply; here the plan is a typed DAG that the engine runs, so
  sub-tasks that do not need each other are done side by side, each with tools (as ReAct);
- an executor may say that it failed. What does not need its result goes on; then the rest is planned
  once more, with what is known by then. Which results a new plan is told of never depends on timing.
"""

from agentflow import Message, Plan, Result, SubTask, Task, flow, note, run_plan
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.shared.acting import SETBACKS, attempt, for_planning
from agentflow_planners.shared.plans import FORM, Draft, checked, drafted, in_order, part_of
from agentflow_planners.shared.replies import opening
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import shown

MAX_SHOWN_CHARS = 1_000

SYSTEM = f"Split a task into sub-tasks that others carry out. {FORM}"
AGAIN = (
    "Plan what is left to do. Results that are there may be named in `needs`; do not plan for them "
    "again, and go another way where a sub-task failed."
)


class Outcome(Frozen):
    """What became of the sub-tasks of one plan: results, and why the others have none."""

    results: dict[str, Data]
    failures: dict[str, str]


@flow
async def plan_and_execute(
    task: Task, *, turns: Count = 8, most: Count = 8, replans: Number = 1
) -> Result:
    """Plan the task, carry out the plan, and plan the rest again when a sub-task fails.

    Args:
        task: Its tools are at the disposal of every sub-task; with effects among them, sub-tasks are
            done one after another.
        turns: How many turns each sub-task has.
        most: How many sub-tasks a plan may have.
        replans: How often the rest may be planned again.

    Raises:
        ExpansionError: No sound plan came, or sub-tasks of the last one failed.
        ModelError: A call failed for good.
    """
    done: dict[str, Data] = {}
    failures: dict[str, str] = {}
    for number in range(replans + 1):
        reserved = {*task.inputs, *done}
        draft = await drafted(_request(task, done, failures), Draft, reserved=reserved, most=most)
        answer = checked(draft, reserved=reserved, most=most).answer_id
        outcome = await carry_out.named(f"plan {number + 1}")(draft, task, done, turns)
        if answer in outcome.results:
            return Result(output=outcome.results[answer])
        done, failures = done | outcome.results, outcome.failures
        note(f"plan {number + 1} failed at {', '.join(failures)}")
    first, reason = next(iter(failures.items()))
    raise ExpansionError(step="plan_and_execute", problem=f"sub-task {first!r} failed: {reason}")


@flow
async def carry_out(draft: Draft, task: Task, done: dict[str, Data], turns: int) -> Outcome:
    """Do the sub-tasks of one plan; one that fails takes only those with it that need its result."""
    reserved = {*task.inputs, *done}
    plan = in_order(checked(draft, reserved=reserved, most=len(draft.subtasks)), task)
    earlier = {
        subtask.id: [name for name in subtask.needs if name in done] for subtask in draft.subtasks
    }
    results: dict[str, Data] = {}
    failures: dict[str, str] = {}

    async def solve(subtask: SubTask, needed: dict[str, Data]) -> None:
        lost = [name for name in subtask.needs if name in failures]
        if lost:
            failures[subtask.id] = f"not begun, since {lost[0]!r} failed"
            return
        known = {name: done[name] for name in earlier[subtask.id]}
        needed = {name: results[name] for name in needed} | known
        part = part_of(task, subtask, needed, is_last=subtask.id == plan.answer_id)
        try:
            results[subtask.id] = (await execute.named(subtask.id)(part, turns)).output
        except SETBACKS as error:
            failures[subtask.id] = getattr(error, "problem", str(error))

    await run_plan(plan, solve)
    return Outcome(results=_sorted(results, plan), failures=_sorted(failures, plan))


@flow
async def execute(task: Task, turns: int) -> Result:
    """Do one sub-task with the tools."""
    return Result(output=await attempt(task, turns=turns, step="execute"))


def _request(task: Task, done: dict[str, Data], failures: dict[str, str]) -> list[Message]:
    parts = [for_planning(task)]
    if done:
        known = (f"{name}: {shown(value, MAX_SHOWN_CHARS)}" for name, value in done.items())
        parts.append("These results are there:\n" + "\n".join(known))
    if failures:
        lost = (f"{name}: {reason}" for name, reason in failures.items())
        parts.append("These sub-tasks failed:\n" + "\n".join(lost))
        parts.append(AGAIN)
    return opening(SYSTEM, "\n\n".join(parts))


def _sorted(found: dict[str, Data], plan: Plan) -> dict[str, Data]:
    return {item.id: found[item.id] for item in plan.subtasks if item.id in found}
