"""A leader splits a task, and agents take the parts: whoever is idle gets the next one at once.

Source: Chen et al., S-Agents: Self-organizing Agents in Open-ended Environments, arXiv:2402.04578.
Cost: tens of calls: 2 + reviews for the leader + at most total x turns for the agents.
Needs: nothing.
Published: none that were checked.

A tree of agents: the leader is its root, the executors are leaves. The leader plans parts that say which
others' results they need. No round has an end that all wait for: when an agent is done, it begins with the
first part that is ready, while the others, and the leader who thinks about the news, go on. Each agent
remembers what it has done itself. When nothing is left the leader writes the answer.

What differs, and why:
- the paper's leader names who does what; here whoever is idle does, so that nobody waits for a call;
- the leader may add parts when one has failed or all are given out, up to `reviews` times; agents never
  wait for it;
- which agent ended first is recorded: a resumed run gives the same parts to the same agents;
- the agents' perception and skills are the task's tools; there is no Minecraft here. With tools that
  have effects there is one agent, so that parts are done one after another.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from agentflow import AgentflowError, Message, Result, SubTask, Task, flow, generate, note
from agentflow.data import Data
from agentflow.errors import ExpansionError, PlanError
from agentflow_planners.shared.acting import attempt, for_planning, has_effects
from agentflow_planners.shared.delegation import Crew, crew, reason_of
from agentflow_planners.shared.fusing import answer_to
from agentflow_planners.shared.plans import Draft, checked, drafted
from agentflow_planners.shared.replies import opening
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import question, shown

LEADER = "leader"
MAX_SHOWN_CHARS = 1_000

LEAD = (
    "You lead a group of agents who work side by side. Split the task into parts for them, the most "
    "urgent first. Give each part a short id, a goal that says all that is needed to do it, and in "
    "`needs` the ids of the parts whose results it uses."
)
REVIEW = (
    "Here is news from your agents, who are at work. Is a part missing, or has one to be done in "
    "another way? Give only parts to add, with new ids; none if what is planned will do."
)
ANSWER = "All agents are done. Write the answer to the whole task from what they found."


class Limits(Frozen):
    """How many agents there are, parts in all, thoughts of the leader, and turns for a part."""

    agents: int
    total: int
    reviews: int
    turns: int


@flow
async def s_agents(
    task: Task,
    *,
    agents: Annotated[int, Field(ge=1, le=32)] = 3,
    total: Count = 12,
    reviews: Number = 2,
    turns: Count = 8,
) -> Result:
    """Let a leader split the task, agents do the parts as they become free, and the leader answer.

    Args:
        task: Its tools are at the disposal of every agent.
        agents: How many there are below the leader.
        total: How many parts there may be in all.
        reviews: How often the leader may add parts.
        turns: How many turns an agent has for a part.

    Raises:
        ExpansionError: No sound plan came, or no part was done.
        ModelError: A call failed for good.
    """
    hands = 1 if has_effects(task) else agents
    limits = Limits(agents=hands, total=total, reviews=reviews, turns=turns)
    draft = await drafted(_request(task), Draft, reserved=task.inputs, most=total)
    async with crew() as members:
        group = _Group(task, draft.subtasks, members, limits)
        await group.work()
    if not group.results:
        name, reason = next(iter(group.failures.items()))
        raise ExpansionError(step="s_agents", problem=f"no part was done; {name!r}: {reason}")
    prompt = f"{question(task)}\n\n{group.told()}\n\n{ANSWER}"
    return Result(output=await answer_to(task, prompt, {}))


@flow
async def do_part(task: Task, past: tuple[tuple[str, Data], ...], turns: int) -> Data:
    """Do one part with the tools, remembering what was done before."""
    lines = [f"- {goal}\n  {shown(found, MAX_SHOWN_CHARS)}" for goal, found in past]
    memory = ["", "You have done before:", *lines] if past else []
    context = "\n".join([task.context, *memory]).strip()
    known = task.model_copy(update={"context": context})
    return await attempt(known, turns=turns, step="s_agents")


@flow
async def review(task: Task, news: str, taken: tuple[str, ...], room: int) -> Draft:
    """Ask the leader for parts to add; what cannot be added is noted, and nothing is."""
    told = Message(role="user", text=f"{news}\n\n{REVIEW}")
    draft = await generate([*_request(task), told], output=Draft)
    if draft.subtasks:
        try:
            checked(draft, reserved=taken, most=room)
        except PlanError as error:
            note(f"not added: {error.problem}")
            return Draft(subtasks=())
    return draft


class _Group:
    """The agents below a leader: what is left to do, who is at what, what is known."""

    def __init__(self, task: Task, parts: Sequence[SubTask], members: Crew, limits: Limits) -> None:
        self._task, self._crew, self._limits = task, members, limits
        self._names = [f"agent_{number}" for number in range(1, limits.agents + 1)]
        self._left, self._taken = list(parts), [part.id for part in parts]
        self._at_work: dict[str, SubTask | None] = {}  # the leader is at no part
        self._past: dict[str, tuple[tuple[str, Data], ...]] = {}
        self._reviews, self._has_news = 0, False
        self.results: dict[str, Data] = {}
        self.failures: dict[str, str] = {}

    async def work(self) -> None:
        """Go on until nobody is at work and nothing more can begin."""
        while self._begin():
            name = await self._crew.next_of(list(self._at_work))
            outcome, part = await self._crew.outcome(name), self._at_work.pop(name)
            if part is not None:
                self._keep(name, part, outcome)
            elif isinstance(outcome, AgentflowError):
                note(f"the leader adds nothing: {reason_of(outcome)}")
            else:
                self._left += outcome.subtasks
                self._taken += [added.id for added in outcome.subtasks]

    def told(self) -> str:
        """Return in words how far the group is."""
        known = [f"{name}: {shown(found, MAX_SHOWN_CHARS)}" for name, found in self.results.items()]
        lost = [f"{name}: {reason}" for name, reason in self.failures.items()]
        doing = [f"{part.id}: {part.goal}" for part in self._at_work.values() if part]
        left = [f"{part.id} (needs {list(part.needs)}): {part.goal}" for part in self._left]
        heads = {"Found": known, "Failed": lost, "At work": doing, "Not begun": left}
        parts = ("\n".join([f"{head}:", *found]) for head, found in heads.items() if found)
        return "\n\n".join(parts)

    def _begin(self) -> bool:
        """Give every idle agent what is ready, and the leader the news; return whether any is at work."""
        for name in [name for name in self._names if name not in self._at_work]:
            if part := self._ready():
                self._left.remove(part)
                self._start(name, part)
        room = self._limits.total - len(self._taken)
        has_turn = self._reviews < self._limits.reviews and room > 0
        if self._has_news and has_turn and LEADER not in self._at_work:
            self._has_news, self._reviews = False, self._reviews + 1
            thinks, news = review.named(f"review {self._reviews}"), self.told()
            taken = (*self._task.inputs, *self._taken)
            self._at_work[LEADER] = None
            self._crew.start(LEADER, lambda: thinks(self._task, news, taken, room))
        return bool(self._at_work)

    def _ready(self) -> SubTask | None:
        there = self._task.inputs.keys() | self.results.keys()
        return next((part for part in self._left if there >= set(part.needs)), None)

    def _start(self, name: str, part: SubTask) -> None:
        needed = {need: self.results[need] for need in part.needs if need in self.results}
        whole = f"This is a part of: {self._task.goal}\n{self._task.context}".strip()
        inputs = {**self._task.inputs, **needed}
        own = Task(goal=part.goal, inputs=inputs, tools=self._task.tools, context=whole)
        does, past = do_part.named(f"{name}: {part.id}"), self._past.get(name, ())
        self._at_work[name] = part
        self._crew.start(name, lambda: does(own, past, self._limits.turns))

    def _keep(self, name: str, part: SubTask, outcome: Any) -> None:
        """Keep what an agent found; a failure, or that all parts are given out, is news."""
        if isinstance(outcome, AgentflowError):
            self.failures[part.id] = reason_of(outcome)
        else:
            self.results[part.id] = outcome
            self._past[name] = (*self._past.get(name, ()), (part.goal, outcome))
        self._has_news |= part.id in self.failures or not self._left


def _request(task: Task) -> list[Message]:
    return opening(LEAD, for_planning(task.model_copy(update={"output_schema": None})))
