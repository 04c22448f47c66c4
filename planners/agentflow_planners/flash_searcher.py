"""Search along parallel branches: goals with fallback paths, re-planned in the middle of the run.

A plan gives up to `most` goals, each with paths to try one after the other and what shows that one
worked. Goals are pursued side by side for `interval` steps; then a summary drops and adds goals, again
and again until none is open or the steps are used up. The answer is made from what was found.

Source: Qin et al., Flash-Searcher: Fast and Effective Web Agents via DAG-Based Parallel Execution,
  arXiv:2509.25301.
Cost: hundreds of calls: up to goals x (steps + paths) + steps / interval.
Needs: tools.
Published: BrowseComp 67.7; xbench-DeepSearch 83.0; GAIA 82.5; HLE 44.0; 11.2 steps a task become 7.4.

What differs, and why:
- the DAG is one, and no prose in a prompt: a goal names those whose findings it needs, starts as soon
  as they have ended, and runs beside the others. In the published code one loop does all goals, and its
  parallel tool calls are commented out. With effects in reach, goals go one after another;
- so `interval` and `steps` count the steps of each goal and not of the whole; the summary comes when
  every goal has ended or used up its interval, which does not depend on timing;
- a path counts only when the model, asked apart, finds its success criterion met;
- who needs a goal that failed is told why, and goes on without it;
- a summary drops open goals and adds others; those that are done or failed drop out by themselves;
- the search ends when a summary leaves nothing open, not at a call of a tool; a failed task is not
  tried again as a whole.
"""

from typing import Any, Literal

from pydantic import Field

from agentflow import Message, Result, SubTask, Task, flow, generate, note, run_plan
from agentflow.data import Data
from agentflow.errors import ExpansionError, PlanError
from agentflow_planners.shared.acting import EXECUTE, SETBACKS, act, for_planning, tools_of
from agentflow_planners.shared.answers import given_up, whole_answer
from agentflow_planners.shared.delegation import reason_of
from agentflow_planners.shared.judging import Verdict
from agentflow_planners.shared.plans import Draft, checked, drafted, in_order
from agentflow_planners.shared.replies import opening, sound
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import Brief, question, statement

MOST_PATHS = 5
MOST_CALLS = 5  # of tools, in one step
MAX_CHARS = 2_000  # of a trail in a summary
MAX_TRAIL_CHARS = 12_000

FORM = (
    "Each goal has a short `id`, in `goal` what to find out, and in `needs` the ids of goals whose "
    "findings it uses; goals that do not need each other are pursued side by side. Its `paths` are 1 to "
    "5 ways to get there, the best first: `how` to go about it, and in `success` what shows that it "
    "worked. The next path is taken when one fails."
)
PLAN = f"Split a task into goals for a search. {FORM}"
SUMMARISE = (
    "Look at where the search stands. In `drop` name the open goals that are not worth going on with; "
    f"in `subtasks` give new goals, or none. The other open goals go on by themselves. {FORM}"
)
JUDGE = "Was the criterion met? Say in one sentence why or why not.\nCriterion: {success}\nAnswer: {text}"
ANSWER = "Give the answer to the task from what has been found, and nothing else."


class Path(Frozen):
    """One way to a goal, and how to tell that it worked."""

    how: Brief
    success: Brief


class Goal(SubTask):
    """What to find out; the paths are tried one after the other."""

    paths: tuple[Path, ...] = Field(min_length=1, max_length=MOST_PATHS)


class Goals(Draft):
    """The goals as a model writes them."""

    subtasks: tuple[Goal, ...]


class Summary(Goals):
    """What becomes of the open goals, and the next ones."""

    drop: tuple[str, ...] = ()


class Standing(Frozen):
    """Where a goal stands: the number of the path it is on, what it has found, and what it has seen."""

    goal: Goal
    status: Literal["open", "done", "failed", "dropped"] = "open"
    finding: str = ""
    trail: str = ""
    path: int = 1
    steps: int = 0  # of the interval, taken by the path

    def line(self) -> str:
        """Return it in words."""
        told = self.finding or self.trail[-MAX_CHARS:] or "nothing yet"
        return f"{self.goal.id} ({self.status}; {self.goal.goal}): {told}"


Standings = tuple[Standing, ...]


@flow
async def flash_searcher(
    task: Task, *, steps: Count = 40, interval: Count = 8, most: Count = 5
) -> Result:
    """Pursue goals side by side, look at them every few steps, and answer from what was found.

    Args:
        task: Its tools are at the disposal of every goal.
        steps: How many steps (replies with their tool calls) each branch of the search has in all.
        interval: After how many steps of each branch a summary prunes and adds goals.
        most: How many goals may be open at once.

    Raises:
        ExpansionError: No sound plan came, or no goal has led to anything.
        ModelError: A call failed for good.
    """
    first = await drafted(
        opening(PLAN, for_planning(task)), Goals, reserved=set(task.inputs), most=most
    )
    standings = tuple(Standing(goal=goal) for goal in first.subtasks)
    for number, done in enumerate(range(0, steps, interval), 1):
        left = min(interval, steps - done)
        standings = await advance.named(f"round {number}")(task, standings, left)
        if done + interval >= steps:
            break
        try:
            summary = await summarise.named(f"summary {number}")(task, standings, most)
        except SETBACKS as error:
            note(f"summary {number} failed, so nothing follows it: {error}")
            break
        standings = _pruned(standings, summary)
        if not any(one.status == "open" for one in standings):
            break
    if all(one.status in ("failed", "dropped") for one in standings):
        problem = f"no goal was reached: {standings[0].finding or 'dropped'}"
        raise ExpansionError(step="flash_searcher", problem=problem)
    return Result(output=await conclude(task, standings))


@flow
async def advance(task: Task, standings: Standings, steps: int) -> Standings:
    """Pursue every open goal for some steps, each as soon as those whose findings it needs have ended."""
    now = {one.goal.id: one for one in standings}
    goals = Goals(subtasks=tuple(one.goal for one in standings if one.status == "open"))
    ended = {*task.inputs, *now} - {goal.id for goal in goals.subtasks}
    plan = in_order(checked(goals, reserved=ended, most=len(goals.subtasks)), task)

    async def solve(subtask: SubTask, _needed: dict[str, Any]) -> None:
        before = now[subtask.id]
        needed = [now[need] for need in before.goal.needs if need in now]
        if any(one.status == "open" for one in needed):
            return  # what it needs is to be had in the next round at the earliest
        told = "\n".join(one.line() for one in needed)
        context = f"This is a part of: {statement(task)}\n{told}".strip()
        part = Task(goal=before.goal.goal, tools=task.tools, context=context)
        now[subtask.id] = await pursue.named(subtask.id)(part, before, steps)

    await run_plan(plan, solve)
    return tuple(now.values())


@flow
async def pursue(task: Task, before: Standing, steps: int) -> Standing:
    """Go for one goal along its paths; it has failed when none is left."""
    now = before
    while steps > 0:
        try:
            now = await follow.named(f"path {now.path}")(task, now, steps)
        except SETBACKS as error:
            failed = {"status": "failed", "finding": reason_of(error), "steps": 1}
            now = now.model_copy(update=failed)
        steps -= now.steps
        if now.status != "failed":
            break
        note(f"{now.goal.id}: {now.goal.paths[now.path - 1].how} failed: {now.finding}")
        if now.path == len(now.goal.paths):
            finding = f"no path worked; the last: {now.finding}"
            return now.model_copy(update={"finding": finding})
        now = now.model_copy(update={"path": now.path + 1, "status": "open", "finding": ""})
    return now


@flow
async def follow(task: Task, now: Standing, steps: int) -> Standing:
    """Follow one path of a goal: a step is a reply with up to 5 calls of tools."""
    path, seen = now.goal.paths[now.path - 1], [now.trail] if now.trail else []
    asked = [question(task), f"Go about it like this: {path.how}", f"Success: {path.success}"]
    start = opening(EXECUTE, "\n\n".join([*asked, *(f"Seen so far:\n{one}" for one in seen)]))
    try:
        said, text = await act(
            start, tools_of(task), turns=steps, step="path", seen=seen, most_calls=MOST_CALLS
        )
    except ExpansionError:  # the steps are used up; what was seen stays
        return now.model_copy(update={"trail": _trail(seen), "steps": steps})
    status, finding = await _judged(path, text)
    taken = sum(message.role == "assistant" for message in said) + 1
    ended = {"status": status, "finding": finding, "trail": _trail(seen), "steps": taken}
    return now.model_copy(update=ended)


async def _judged(path: Path, text: str) -> tuple[Literal["done", "failed"], str]:
    failure = given_up(text) or ("" if text.strip() else "it gave no answer")
    if not failure:
        verdict = await generate(JUDGE.format(success=path.success, text=text), output=Verdict)
        failure = "" if verdict.yes else f"criterion not met: {verdict.reason}"
    return ("failed", failure) if failure else ("done", text)


@flow
async def summarise(task: Task, standings: Standings, most: int) -> Summary:
    """Decide which open goals are dropped and which are added."""
    reserved = {*task.inputs, *(one.goal.id for one in standings)}
    going = {one.goal.id for one in standings if one.status == "open"}

    def problem(summary: Summary) -> str:
        try:
            if summary.subtasks:
                checked(summary, reserved=reserved, most=most - len(going - set(summary.drop)))
        except PlanError as error:
            return error.problem
        return ""

    said = opening(SUMMARISE, f"{for_planning(task)}\n\nThe search:\n{_told(standings)}")
    return await sound(said, Summary, problem, step="summary")


def _pruned(standings: Standings, summary: Summary) -> Standings:
    kept = (
        one.model_copy(update={"status": "dropped"})
        if one.status == "open" and one.goal.id in summary.drop
        else one
        for one in standings
    )
    return (*kept, *(Standing(goal=goal) for goal in summary.subtasks))


@flow
async def conclude(task: Task, standings: Standings) -> Data:
    """Answer from what was found."""
    prompt = f"{question(task)}\n\nThe search:\n{_told(standings)}\n\n{ANSWER}"
    said = [Message(role="user", text=prompt)]
    return await whole_answer(task, said, (await generate(said)).text)


def _told(standings: Standings) -> str:
    return "\n".join(one.line() for one in standings)


def _trail(seen: list[str]) -> str:
    return "\n".join(seen)[-MAX_TRAIL_CHARS:]
