"""Solve a problem by calling oneself on smaller instances, each in a context of its own.

Source: Pasewark et al., Re-Tuning: Overcoming the Compositionality Limits of Large Language Models with
  Recursive Tuning, arXiv:2407.04787.
Cost: tens of calls: a reply for every instance and for every line of calls in it, up to `total`
  instances.
Needs: nothing.
Published: none that were checked.

What differs, and why:
- the paper trains the model to write calls; here words do, and `rules` with worked examples can: every
  instance is shown them, and the journal of a run holds the trajectories to train on;
- calls on one line do not need each other and are solved side by side; what a reply says behind that
  line was written without their results, and is dropped unread;
- a call must be smaller than its task, and depth, calls and the whole tree are bounded.
"""

import re

from agentflow import Message, Result, Task, flow, generate, note, parallel
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.shared.answers import final_answer, wanted_form
from agentflow_planners.shared.delegation import (
    FAILURES,
    Bounds,
    Delegating,
    Place,
    not_smaller,
    reason_of,
)
from agentflow_planners.shared.replies import exchange
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import shown, statement

MAX_SUBSTITUTED_CHARS = 2_000
CALL = re.compile(r"<call>(.+?)</call>", re.DOTALL)

SYSTEM = (
    "Solve the problem. If it is small, solve it at once. Else reduce it to smaller instances of the "
    "same problem: where you need the solution of one, write <call>the smaller instance, in "
    "full</call>; whoever solves it sees nothing else. The call is replaced by its solution and you "
    "go on from there. Calls on one line must not need each other."
)
SMALLEST = "Solve the problem at once."
ON = "The calls are solved. Go on from there."


class Job(Frozen):
    """What stays the same all over one tree."""

    rules: str
    bounds: Bounds


class Solved(Frozen):
    """The solution of one instance, and how much of what it was allowed it did not use."""

    answer: Data
    unused: int


@flow
async def re_tuning(
    task: Task, *, rules: str = "", depth: Count = 32, width: Count = 4, total: Count = 200
) -> Result:
    """Solve the task by recursive calls on smaller instances.

    Args:
        task: Its tools are not used.
        rules: How the problem is reduced, best with an example; every instance is shown them.
        depth: How deep calls may nest; the tree's budget may allow less.
        width: How many calls one instance may make.
        total: How many there may be in the whole tree.

    Raises:
        ExpansionError: The model goes on calling, or gives no answer.
        MalformedReplyError: The answer never had the wanted shape.
        ModelError: A call failed for good.
    """
    bounds = Bounds(depth=depth, width=width, total=total)
    solved = await _solved(task, Job(rules=rules, bounds=bounds), bounds.root())
    return Result(output=solved.answer)


@flow
async def instance(task: Task, job: Job, place: Place) -> Solved:
    """Solve one smaller instance; it knows nothing but what the call says."""
    return await _solved(task, job, place)


async def _solved(task: Task, job: Job, place: Place) -> Solved:
    problem = statement(task)
    delegating = Delegating(problem, place, job.bounds, not_smaller)
    system = "\n\n".join(part for part in (_manner(delegating), job.rules) if part)
    start = [
        Message(role="system", text=system),
        Message(role="user", text=f"{problem}\n\n{wanted_form(task)}"),
    ]
    said, text = start, ""
    for _reply in range(job.bounds.width + 1):
        reply = (await generate(said)).text
        head = _up_to_calls(reply)
        if not head:
            answer = await final_answer(task, said, reply)
            return Solved(answer=answer, unused=delegating.unused)
        text += await _substituted(head, job, delegating) + "\n"
        said = [*start, *exchange(text, ON)]
    raise ExpansionError(
        step="re_tuning", problem=f"no answer, but calls, in {job.bounds.width + 1} replies"
    )


def _manner(delegating: Delegating) -> str:
    return SYSTEM if delegating.room else SMALLEST


def _up_to_calls(reply: str) -> str:
    """Return a reply up to the end of the first line with calls; nothing without one."""
    first = CALL.search(reply)
    if first is None:
        return ""
    rest = reply[first.end() :]
    return reply[: first.end()] + rest.partition("\n")[0]


async def _substituted(head: str, job: Job, delegating: Delegating) -> str:
    """Return the text with every call replaced by its solution, or by why there is none."""
    calls = [call.strip() for call in CALL.findall(head)]
    places: list[Place | str] = []
    for number, call in enumerate(calls):
        try:
            places.append(delegating.admit(call, ways=len(calls) - number))
        except ExpansionError as error:
            places.append(f"(not called: {error.problem})")
            note(f"not called: {error.problem}")
    found = await parallel(
        _called(call, job, place, delegating) for call, place in zip(calls, places, strict=True)
    )
    solutions = iter(found)
    return CALL.sub(lambda _call: next(solutions), head)


async def _called(call: str, job: Job, place: Place | str, delegating: Delegating) -> str:
    if isinstance(place, str):
        return place
    try:
        solved = await instance(Task(goal=call), job, place)
    except FAILURES as error:
        return f"(not solved: {reason_of(error)})"
    delegating.give_back(solved.unused)
    return shown(solved.answer, MAX_SUBSTITUTED_CHARS)
