"""Search a tree of programs: strategies first, then corrections of what their programs get wrong.

Source: Li et al., CodeTree: Agent-guided Tree Search for Code Generation with Large Language Models,
  arXiv:2411.04329.
Cost: tens of calls: 1 + programs x (1 + review + corrections).
Needs: a sandbox.
Published: HumanEval 95.1 (GPT-4o); MBPP 98.7 (GPT-4o); CodeContests 43.0 (GPT-4o); SWE-bench 31.9
  (secondary source).

Four roles, as there: the thinker lists strategies, then corrections; the solver writes the program of a
strategy, the debugger that of a correction; the critic grades it and says accept, refine or abort. What
differs, and why:
- "agent" takes the branch whose program looks best next; the authors' code goes depth first and only
  drops branches. As there, a program that got worse than the one it corrects is not corrected again;
- the critic is one call with a typed reply, and never accepts what fails a visible test;
- "bfs" and "dfs" ask no critic: what passes the visible tests ends the search. Without such tests the
  critic decides in every order;
- a reply without form ends its branch with a note, and the search goes on;
- `at_once` branches are written side by side; programs run in a sandbox, not in the host's process.
"""

from typing import Any, Literal

from pydantic import Field

from agentflow import BranchFailure, Result, Task, flow, generate, note, parallel
from agentflow.errors import BudgetExceededError, ExpansionError, MalformedReplyError
from agentflow_planners.functions.assignment import Assignment
from agentflow_planners.shared.frontier import Frontier, Strategy
from agentflow_planners.shared.programs import (
    Tried,
    Work,
    mended,
    tried,
    with_program,
    with_tests,
    written,
)
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import Brief, statement

Search = Literal["agent", "bfs", "dfs"]

ORDER: dict[Search, Strategy] = {"agent": "best", "bfs": "bfs", "dfs": "dfs"}
HIGHEST = 5
WEIGHT = 1 / 15  # of a point of the critic; the authors' code has the same

STRATEGIES = """\
List up to {width} different strategies to write this function, the most promising one first: each in \
one or two sentences, no code."""
CORRECTIONS = """\
List up to {width} different ways to correct or improve this program, the most promising one first: each \
in one or two sentences, no code."""
CRITIC = """\
Judge this program. Give the reason first, then a grade from 0 (hopeless) to 5 (right), then what to do \
with it: accept (it is right for every input), refine (it can be corrected) or abort (its strategy leads \
nowhere)."""


class Ideas(Frozen):
    """What the thinker lists."""

    ideas: tuple[str, ...] = Field(min_length=1)


class Review(Frozen):
    """What the critic says of a program."""

    reason: Brief
    grade: int = Field(ge=0, le=HIGHEST)
    decision: Literal["accept", "refine", "abort"]


class Grown(Frozen):
    """A place of the tree whose program has been written, and what may come of it."""

    found: Tried
    value: float
    accepted: bool
    ideas: tuple[str, ...] = ()


class Branch(Frozen):
    """A place of the tree whose program is yet to be written, after an idea."""

    idea: str
    above: Grown | None = None


class Job(Frozen):
    """What stays the same all over one tree."""

    work: Work
    width: int
    critic: bool


@flow
async def codetree(
    task: Task,
    *,
    search: Search = "agent",
    programs: Count = 20,
    depth: Count = 3,
    width: Count = 10,
    at_once: Count = 1,
) -> Result:
    """Write the function that a task is about by searching a tree of programs.

    Args:
        task: As for `funcoder`. The doc examples are the visible tests.
        search: Which branch is next: the most promising one, level by level, or depth first.
        programs: How many programs at most.
        depth: How many programs one below the other, the strategy's first one included.
        width: How many strategies, and how many corrections of each program.
        at_once: How many branches are written side by side.

    Raises:
        InputError: The task names no function to write.
        ExpansionError: No reply was a version of it.
        MalformedReplyError: The model lists no strategies.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    assignment = Assignment(task)
    work = await with_tests(assignment)
    job = Job(work=work, width=width, critic=search == "agent" or not work.suite.examples)
    frontier: Frontier[Branch] = Frontier(ORDER[search], most=width * (programs + 1))
    ideas = await _ideas(f"{statement(task)}\n\n{STRATEGIES.format(width=width)}", width)
    frontier.extend(Branch(idea=idea) for idea in ideas)
    best = await _searched(task, job, frontier, programs=programs, depth=depth, at_once=at_once)
    return await assignment.answer(best.found.candidate)


async def _searched(
    task: Task, job: Job, frontier: Frontier[Branch], *, programs: int, depth: int, at_once: int
) -> Grown:
    """Return the first program that is accepted, or else the best, of equals the latest."""
    best: Grown | None = None
    failures: list[Exception] = []
    made = 0
    while made < programs and not any(isinstance(one, BudgetExceededError) for one in failures):
        nodes = frontier.take(min(at_once, programs - made))
        made += len(nodes)
        if not nodes:
            break
        grown = (
            grow.named(f"branch_{node.place}")(
                task, job, node.value, may_grow=made < programs and node.depth < depth
            )
            for node in nodes
        )
        for node, outcome in zip(nodes, await parallel(grown, collect=True), strict=True):
            if isinstance(outcome, BranchFailure):
                failures.append(_setback(outcome))
                note(f"branch {node.place} failed: {failures[-1]}")
                continue
            if outcome.accepted:
                note(f"branch {node.place} is accepted", programs=made, value=outcome.value)
                return outcome
            best = outcome if best is None else max(outcome, best, key=_rank)
            below = (Branch(idea=idea, above=outcome) for idea in outcome.ideas)
            frontier.extend(below, score=outcome.value, below=node)
    if best is None:
        raise failures[-1]
    note(f"nothing was accepted; the best of {made} programs is the answer", value=best.value)
    return best


def _rank(grown: Grown) -> tuple[float, float]:
    """Return what the answer is chosen by: the tests come before the critic."""
    return grown.found.share, grown.value


def _setback(outcome: BranchFailure) -> Exception:
    """Return why a branch has no program; an error of another kind ends the search."""
    if not isinstance(outcome.error, ExpansionError | MalformedReplyError | BudgetExceededError):
        raise outcome.error
    return outcome.error


@flow
async def grow(task: Task, job: Job, branch: Branch, may_grow: bool) -> Grown:
    """Write the program of a branch, run it, have it judged, and list what may come below it.

    Raises:
        ExpansionError: The reply is no version of the function.
    """
    above = branch.above
    if above is None:
        candidate = await written(job.work, f"Strategy: {branch.idea}")
    else:
        problem = above.found.feedback or "it is not right yet"
        candidate = await mended(job.work, above.found.candidate, f"{problem}\n{branch.idea}")
    found = await tried(job.work, candidate)
    review = await _reviewed(task, found) if job.critic else None
    value = found.share + (review.grade * WEIGHT if review else 0.0)
    passes = (
        found.passes or not job.work.suite.examples
    )  # else it is wrong, whatever the critic says
    accepted = passes and (review is None or review.decision == "accept")
    grown = Grown(found=found, value=value, accepted=accepted)
    is_worse = above is not None and value < above.value
    is_left = review is not None and (is_worse or review.decision == "abort")
    if grown.accepted or is_left or not may_grow:
        return grown
    said = (review.reason,) if review else ()
    asked = with_program(task, found, *said, CORRECTIONS.format(width=job.width))
    try:
        return grown.model_copy(update={"ideas": await _ideas(asked, job.width)})
    except (ExpansionError, MalformedReplyError) as error:
        note(f"no corrections were listed: {error}")
        return grown


async def _reviewed(task: Task, found: Tried) -> Review:
    """Return the critic's review; where its replies have no form, the tests alone decide."""
    try:
        return await generate(with_program(task, found, CRITIC), output=Review)
    except MalformedReplyError as error:
        note(f"the critic gave no review: {error}")
        decision: Any = "accept" if found.passes else "refine"
        return Review(reason="", grade=0, decision=decision)


async def _ideas(prompt: str, width: int) -> tuple[str, ...]:
    said = (await generate(prompt, output=Ideas)).ideas
    ideas = tuple(dict.fromkeys(idea.strip() for idea in said if idea.strip()))[:width]
    if not ideas:
        raise ExpansionError(step="codetree", problem="the model lists no idea but empty ones")
    return ideas
