"""Plan as the work goes on: a DAG of tasks whose nodes become DAGs when their inputs are known.

Source: Autonomous Deep Agent, arXiv:2502.07056 (Hierarchical Task DAG), which comes without code and
  figures; details are read out of its abstract and descriptions, not out of a specification.
Cost: hundreds of calls: nodes x (1 + turns + checks), up to `total` nodes; tens for a task of few.
Needs: tools.
Published: none that were checked.

What differs, and why:
- a level is checked, and drawn up anew if need be, whenever one of its sub-tasks has ended; how often it
  may be drawn up anew is bounded, and so are depth, width and the whole tree;
- which sub-task has ended first is recorded, so that a run goes on after a crash as it would have;
- sub-tasks at work are never called back: only what has not begun is drawn up anew;
- a sub-task that says nearly the same as its node is carried out as it is, not divided again;
- the paper's tool making, prompt tuning and instructions at run time are not here: a tool is the run's,
  and a person comes in through one that asks, or by a fork.
"""

from typing import Any

from agentflow import AgentflowError, Result, SubTask, Task, flow, generate, note
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.shared.acting import attempt, for_planning, has_effects
from agentflow_planners.shared.delegation import Bounds, Crew, Delegating, Place, crew, reason_of
from agentflow_planners.shared.judging import Verdict
from agentflow_planners.shared.plans import FORM, Draft, drafted, part_of
from agentflow_planners.shared.replies import opening
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import question, shown

MAX_SHOWN_CHARS = 1_000

JUDGE = (
    "You decide whether a task is atomic: whether one executor can do it in a few steps with what is "
    "known here. Say no if it has parts that should be done on their own."
)
SPLIT = f"Split a task into sub-tasks that others carry out, and split further if they must. {FORM}"
CHECK = (
    "You watch over a plan while it is carried out. Say whether what is left of it still leads to the "
    "answer, given the results so far."
)
REST = (
    "Plan what is left to do. Results and sub-tasks at work may be named in `needs`; do not plan for "
    "them again."
)


class Job(Frozen):
    """What stays the same all over one tree."""

    turns: int
    revisions: int
    bounds: Bounds


@flow
async def htdag(
    task: Task,
    *,
    turns: Count = 8,
    depth: Count = 3,
    width: Count = 8,
    total: Count = 60,
    revisions: Number = 2,
) -> Result:
    """Carry out the task, or plan it as a DAG whose sub-tasks are treated alike when they begin.

    Args:
        task: Its tools are at the disposal of every sub-task; with effects among them, sub-tasks are
            done one after another.
        turns: How many turns an executor has.
        depth: How deep DAGs may nest; the tree's budget may allow less.
        width: How many sub-tasks one DAG may have, with those it gets later.
        total: How many there may be in the whole tree.
        revisions: How often the rest of one DAG may be drawn up anew.

    Raises:
        ExpansionError: A sub-task failed and its level could not be planned around it.
        ModelError: A call failed for good.
    """
    bounds = Bounds(depth=depth, width=width, total=total)
    job = Job(turns=turns, revisions=revisions, bounds=bounds)
    return Result(output=await _achieved(task, job, bounds.root()))


@flow
async def node(task: Task, job: Job, place: Place) -> Any:
    """Do one sub-task, whose inputs are there."""
    return await _achieved(task, job, place)


async def _achieved(task: Task, job: Job, place: Place) -> Any:
    delegating = Delegating(task.goal, place, job.bounds)
    if delegating.room < 2 or await _judged(JUDGE, question(task), "Is it atomic?"):
        return await attempt(task, turns=job.turns, step="htdag")
    taken = set(task.inputs)
    draft = await drafted(
        opening(SPLIT, for_planning(task)), Draft, reserved=taken, most=delegating.room
    )
    async with crew() as members:
        return await _Level(task, job, delegating, draft, members).answer()


class _Level:
    """One DAG while it is carried out: what is left of it, what is at work, what is known."""

    def __init__(
        self, task: Task, job: Job, delegating: Delegating, draft: Draft, members: Crew
    ) -> None:
        self._task, self._job = task, job
        self._delegating, self._crew = delegating, members
        self._left, self._answer = list(draft.subtasks), draft.subtasks[-1].id
        self._at_work: list[str] = []
        self._results: dict[str, Data] = {}
        self._revisions = job.revisions

    async def answer(self) -> Any:
        """Carry the DAG out to its end; return the result of its last sub-task."""
        while self._begin():
            name = await self._crew.next_of(self._at_work)
            self._at_work.remove(name)
            outcome = await self._crew.outcome(name)
            if isinstance(outcome, AgentflowError):
                await self._get_over(name, reason_of(outcome))
                continue
            self._results[name] = outcome
            if self._left and self._may_revise:
                state = self._told(f"{name} is done.")
                if not await _judged(CHECK, state, "Does the rest still hold?"):
                    await self._draw_up_anew(state)
        return self._results[self._answer]

    @property
    def _may_revise(self) -> bool:
        return self._revisions > 0 and self._delegating.room > 0

    def _begin(self) -> bool:
        """Start all that can begin; return whether anything is at work."""
        is_serial = has_effects(self._task)
        for subtask in list(self._left):
            is_ready = set(subtask.needs) <= self._task.inputs.keys() | self._results.keys()
            if is_ready and not (is_serial and self._at_work):
                self._left.remove(subtask)
                self._start(subtask)
        return bool(self._at_work)

    def _start(self, subtask: SubTask) -> None:
        needed = {name: self._results[name] for name in subtask.needs if name in self._results}
        part = part_of(self._task, subtask, needed, is_last=subtask.id == self._answer)
        try:
            place = self._delegating.admit(subtask.goal)
        except ExpansionError as refusal:
            note(f"{subtask.id} is not divided: {refusal.problem}")
            place = self._delegating.admit_leaf()
        child = node.named(subtask.id)
        self._at_work.append(subtask.id)
        self._crew.start(subtask.id, lambda: child(part, self._job, place))

    async def _get_over(self, name: str, problem: str) -> None:
        """Plan around a failure on this level, or make it the level's own.

        Raises:
            ExpansionError: The rest may not be drawn up anew, or cannot.
        """
        if self._answer in self._results:
            note(f"{name} failed and nobody needs it any more: {problem}")
            return
        if not self._may_revise:
            raise ExpansionError(step="htdag", problem=f"sub-task {name!r} failed: {problem}")
        await self._draw_up_anew(self._told(f"{name} failed: {problem}"))

    async def _draw_up_anew(self, state: str) -> None:
        taken = {*self._task.inputs, *self._results, *self._at_work}
        ask, room = opening(SPLIT, f"{state}\n\n{REST}"), self._delegating.room
        draft = await drafted(ask, Draft, reserved=taken, most=room)
        self._left, self._answer = list(draft.subtasks), draft.subtasks[-1].id
        self._revisions -= 1
        note(f"the rest is drawn up anew: {', '.join(item.id for item in draft.subtasks)}")

    def _told(self, news: str) -> str:
        known = [f"{name}: {shown(self._results[name], MAX_SHOWN_CHARS)}" for name in self._results]
        left = [f"{item.id} (needs {list(item.needs)}): {item.goal}" for item in self._left]
        parts = (
            ("", [question(self._task)]),
            ("", [news]),
            ("Results so far:\n", known),
            ("At work:\n", self._at_work),
            ("Not begun:\n", left),
        )
        return "\n\n".join(head + "\n".join(lines) for head, lines in parts if lines)


async def _judged(system: str, state: str, ask: str) -> bool:
    return (await generate(opening(system, f"{state}\n\n{ask}"), output=Verdict)).yes
