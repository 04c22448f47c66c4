"""Delegate recursively: a root that hands parts of its task to helpers, who may do the same.

Source: Zhu et al., ReDel: A Toolkit for LLM-Powered Recursive Multi-Agent Systems, arXiv:2408.02248.
Cost: hundreds of calls: up to (1 + total) x turns; tens for a task of few parts.
Needs: tools.
Published: FanOutQA 0.494, without delegation 0.394 (GPT-4o); TravelPlanner success 2.778 %, without 0 %
  (GPT-4o); WebArena success 0.203, without 0.162 (GPT-4o).

What differs, and why:
- width and total are bounded besides depth, and each agent's turns: the paper names helpers that
  delegate for ever as a failure, and bounds the depth alone;
- the guard compares with `difflib`: the paper's is a fuzzy ratio above 80;
- which helper is next, in the scheme `wait`, is recorded, so that a run goes on after a crash;
- an agent that answers before it has heard of all its helpers hears of them first; nothing is lost;
- inputs of the task are handed on by name, so that a model does not copy data;
- with tools that have effects, helpers work one after another.
"""

from collections.abc import Sequence
from typing import Any, Literal

import anyio

from agentflow import AgentflowError, Message, Result, Task, flow
from agentflow.errors import ExpansionError
from agentflow_planners.shared.acting import Tools, act, concluded, has_effects, tools_of
from agentflow_planners.shared.answers import GIVEN_UP
from agentflow_planners.shared.delegation import (
    Bounds,
    Crew,
    Delegating,
    Place,
    Unrecorded,
    crew,
    reason_of,
)
from agentflow_planners.shared.replies import exchange
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import question, shown

Scheme = Literal["one", "wait"]
MAX_TOLD_CHARS = 8_000

SYSTEM = (
    "Solve the task with your tools. When you know the answer, give it and call no tool. If you find "
    f"that it cannot be done, answer with one line: `{GIVEN_UP}` and the reason."
)
DELEGATE = (
    "If the task has parts, hand each on with `delegate`: a helper sees nothing but your instructions "
    "and the inputs you name, so say all it needs. Never hand on the whole task."
)
ONE = "Give a part of the task to a helper and get what it found. Calls side by side run side by side."
START = (
    "Let a helper begin with a part of the task, and get its name; `wait` tells what it found. With "
    "`who`, a helper you have heard of goes on from what it did."
)
WAIT = 'Wait for a helper by its name, for the "next" one that is done, or for "all".'


class Work(Frozen):
    """What stays the same all over one tree."""

    scheme: Scheme
    turns: int
    bounds: Bounds


@flow
async def redel(
    task: Task,
    *,
    scheme: Scheme = "one",
    depth: Count = 8,
    width: Count = 8,
    total: Count = 100,
    turns: Count = 10,
    root_has_tools: bool = False,
) -> Result:
    """Let a root agent solve the task by delegating to helpers, who have the task's tools.

    Args:
        task: Its tools are at the disposal of every helper.
        scheme: `one`: an agent gets what a helper found as the result of its call. `wait`: it starts
            helpers and waits for one by name, for the next or for all.
        depth: How many levels of helpers there may be; the tree's budget may allow less.
        width: How often one agent may delegate.
        total: How many delegations there may be in the whole tree.
        turns: How many replies an agent has.
        root_has_tools: Whether the root has the task's tools, too.

    Raises:
        ExpansionError: The root gave up or needs more turns.
        ModelError: A call failed for good.
    """
    bounds = Bounds(depth=depth, width=width, total=total)
    work = Work(scheme=scheme, turns=turns, bounds=bounds)
    tools = tools_of(task) if root_has_tools else {}
    return Result(output=await _solved(task, work, bounds.root(), tools, ()))


@flow
async def helper(task: Task, work: Work, place: Place, past: tuple[Message, ...] = ()) -> Any:
    """Do what another agent has delegated, with its instructions alone in sight."""
    return await _solved(task, work, place, tools_of(task), past)


async def _solved(
    task: Task, work: Work, place: Place, tools: Tools, past: Sequence[Message]
) -> Any:
    async with crew() as members:
        agent = _Agent(task, work, Delegating(task.goal, place, work.bounds), members)
        return await agent.answer(tools, past)


class _Agent:
    """One agent, and the helpers it has started."""

    def __init__(self, task: Task, work: Work, delegating: Delegating, members: Crew) -> None:
        self._task, self._work = task, work
        self._delegating, self._crew = delegating, members
        self._past: dict[str, list[Message]] = {}
        self._told: dict[str, str] = {}  # those at work, and what they were told
        self._waiting = anyio.Lock()

    async def answer(self, tools: Tools, past: Sequence[Message]) -> Any:
        handing_on = self._tools() if self._delegating.room else {}
        system = f"{SYSTEM} {DELEGATE}" if handing_on else SYSTEM
        said = [Message(role="system", text=system), *past]
        said.append(Message(role="user", text=question(self._task)))
        effects = list[str]()
        conversed = self._conversed(said, {**tools, **handing_on}, effects)
        return await concluded(self._task, conversed, effects, step="redel")

    async def _conversed(
        self, said: list[Message], tools: Tools, effects: list[str]
    ) -> tuple[list[Message], str]:
        turns = self._work.turns
        while True:
            said, text = await act(said, tools, turns=turns, step="redel", effects=effects)
            if not self._told:
                return said, text
            # Ends: every round has started a helper, and `width` bounds these.
            late = await self._heard(list(self._told))
            said += exchange(text, f"Your helpers are done. {late}\n\nNow answer.")

    def _tools(self) -> Tools:
        effect = has_effects(self._task)
        if self._work.scheme == "one":
            one = Unrecorded(self._one, name="delegate", description=ONE, effect=effect)
            return {"delegate": one}
        start = Unrecorded(self._start, name="delegate", description=START, effect=effect)
        return {"delegate": start, "wait": Unrecorded(self._wait, name="wait", description=WAIT)}

    async def _one(self, instructions: str, inputs: tuple[str, ...] = ()) -> Any:
        part, place = self._handed_on(instructions, inputs)
        name = f"helper_{len(self._past) + 1}"
        self._past[name] = []
        return await helper.named(name)(part, self._work, place)

    async def _start(
        self, instructions: str, inputs: tuple[str, ...] = (), who: str | None = None
    ) -> str:
        if who and (who in self._told or who not in self._past):
            free = ", ".join(name for name in self._past if name not in self._told) or "none"
            raise _refused(f"{who!r} is no helper you have heard of; these are: {free}")
        part, place = self._handed_on(instructions, inputs)
        name = who or f"helper_{len(self._past) + 1}"
        past, child = tuple(self._past.setdefault(name, [])), helper.named(name)
        self._told[name] = instructions
        self._crew.start(name, lambda: child(part, self._work, place, past))
        if has_effects(self._task):
            await self._crew.outcome(name)
        return f"{name} is at work"

    async def _wait(self, until: str = "all") -> str:
        async with self._waiting:  # two waits of one reply must not hear of the same helper
            names = list(self._told)
            if not names:
                raise _refused("no helper is at work")
            if until not in ("next", "all", *names):
                raise _refused(f"{until!r} is not at work; these are: {', '.join(names)}")
            if until == "next":
                until = await self._crew.next_of(names)
            return await self._heard(names if until == "all" else [until])

    async def _heard(self, names: Sequence[str]) -> str:
        lines = []
        for name in names:
            outcome = await self._crew.outcome(name)
            lines.append(f"{name}: {_words(outcome)}")
            told, found = self._told.pop(name), _words(outcome) or "(empty)"
            self._past[name].append(Message(role="user", text=told))
            self._past[name].append(Message(role="assistant", text=found))
        return "\n".join(lines)

    def _handed_on(self, instructions: str, inputs: Sequence[str]) -> tuple[Task, Place]:
        """Return the helper's task and its place, or refuse in words."""
        given = self._task.inputs
        if missing := [name for name in inputs if name not in given]:
            known = ", ".join(given) or "none"
            raise _refused(f"there is no input {missing[0]!r}; there are: {known}")
        place = self._delegating.admit(instructions)
        seen = {name: given[name] for name in inputs}
        return Task(goal=instructions, inputs=seen, tools=self._task.tools), place


def _words(outcome: Any) -> str:
    if isinstance(outcome, AgentflowError):
        return f"failed: {reason_of(outcome)}"
    return shown(outcome, MAX_TOLD_CHARS)


def _refused(problem: str) -> ExpansionError:
    return ExpansionError(step="delegate", problem=problem)
