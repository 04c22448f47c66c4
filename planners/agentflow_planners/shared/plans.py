"""A plan asked of a model: sub-tasks that say which others' results they need.

Owns the words of the request, the check of what comes back (a DAG, ids that are free, results that
exist), and the asking again with the reason. Knows no planner.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TypeVar

from agentflow import Message, Plan, SubTask, Task, generate
from agentflow.data import Data
from agentflow.errors import ExpansionError, PlanError
from agentflow_planners.shared.acting import has_effects
from agentflow_planners.shared.replies import exchange, sized
from agentflow_planners.shared.sampling import attempt_options
from agentflow_planners.shared.values import Frozen

ATTEMPTS = 3

FORM = (
    "Give each sub-task a short id, a goal that says all that is needed to do it, and in `needs` the "
    "ids of the sub-tasks whose results it uses. Sub-tasks that do not need each other are done side "
    "by side. The last sub-task gives the answer to the whole task."
)


class Draft(Frozen):
    """A plan as a model writes it, unchecked."""

    subtasks: tuple[SubTask, ...]


D = TypeVar("D", bound=Draft)


async def drafted(
    conversation: Sequence[Message], kind: type[D], *, reserved: Collection[str], most: int
) -> D:
    """Return a plan from the model that is sound; it hears of what is wrong, up to 3 attempts.

    Args:
        conversation: It ends with the request.
        kind: `Draft`, or what adds to it.
        reserved: Names that no sub-task may have: those of the task's inputs and finished results.
        most: How many sub-tasks it may have.

    Raises:
        ExpansionError: No attempt was sound.
        MalformedReplyError: No reply had the form of a plan.
    """
    said, form = list(conversation), sized(kind, subtasks=(0, most))
    problem = ""
    for attempt in range(ATTEMPTS):
        draft = await generate(said, output=form, **await attempt_options(attempt))
        try:
            checked(draft, reserved=reserved, most=most)
        except PlanError as error:
            problem = error.problem
        else:
            return draft
        said += exchange(draft, f"That does not work: {problem}. Send the corrected plan.")
    raise ExpansionError(
        step="plan", problem=f"no sound plan in {ATTEMPTS} attempts; the last: {problem}"
    )


def checked(draft: Draft, *, reserved: Collection[str], most: int) -> Plan:
    """Return a draft as a plan; what it needs of `reserved` is there already and no part of it.

    Raises:
        PlanError: It is empty, too large, no DAG, or takes a reserved name.
    """
    subtasks = draft.subtasks
    if not 1 <= len(subtasks) <= most:
        raise PlanError(problem=f"give between 1 and {most} sub-tasks, not {len(subtasks)}")
    taken = [subtask.id for subtask in subtasks if subtask.id in reserved]
    if taken:
        raise PlanError(
            problem=f"{taken[0]!r} is the name of what is there already: choose another"
        )
    empty = [subtask for subtask in subtasks if not (subtask.id.strip() and subtask.goal.strip())]
    if empty:
        raise PlanError(problem="every sub-task must have an id and a goal")
    own = (
        subtask.model_copy(
            update={"needs": tuple(name for name in subtask.needs if name not in reserved)}
        )
        for subtask in subtasks
    )
    return Plan(subtasks=tuple(own))


def part_of(task: Task, subtask: SubTask, needed: dict[str, Data], *, is_last: bool) -> Task:
    """Return a sub-task as a task: with the whole's inputs, and the answer's shape if it is the last."""
    return Task(
        goal=subtask.goal,
        inputs={**task.inputs, **needed},
        tools=task.tools,
        output_schema=task.output_schema if is_last else None,
        context=f"This is a part of: {task.goal}\n{task.context}".strip(),
    )


def in_order(plan: Plan, task: Task) -> Plan:
    """Return the plan, one sub-task after another if a tool of the task has effects."""
    if not has_effects(task):
        return plan
    order = _topological(plan)
    chained = [order[0]]
    for earlier, subtask in pairwise(order):
        needs = tuple(dict.fromkeys((*subtask.needs, earlier.id)))
        chained.append(subtask.model_copy(update={"needs": needs}))
    return Plan(subtasks=tuple(chained), answer=plan.answer_id)


def _topological(plan: Plan) -> list[SubTask]:
    """Return the sub-tasks, each after those it needs, else as they were written."""
    left, order, done = list(plan.subtasks), [], set[str]()
    while left:
        following = next(item for item in left if done.issuperset(item.needs))
        left.remove(following)
        order.append(following)
        done.add(following.id)
    return order
