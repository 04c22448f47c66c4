"""One function to write, for planners that write a program, look at it and write a better one.

Owns how such a planner tells the model its ideas, and what running a program on the visible tests, the
doc examples, comes to. Knows no search and no conversation. A hint never ends up in the program.
"""

from collections.abc import Sequence

from agentflow import Task
from agentflow.errors import ExpansionError, ProgramError
from agentflow_planners.functions.assignment import Assignment
from agentflow_planners.functions.calls.examples import examples_of
from agentflow_planners.functions.candidates import (
    Candidate,
    Draft,
    Sampling,
    Unfinished,
    completed,
    greedy,
    repaired,
    sampled,
)
from agentflow_planners.functions.verifying import Suite, suite_of, verified
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.wording import cut, shown, statement

MAX_TOLD = 5
MAX_HINT_CHARS = 2_000
MAX_CODE_CHARS = 8_000
UNREAD = "the reply does not write the function as it is declared"


class Work(Frozen):
    """The function to write, and the tests that everybody may see."""

    unfinished: Unfinished
    suite: Suite = Suite()

    @property
    def name(self) -> str:
        """The function's name."""
        return self.unfinished.node.name


class Tried(Frozen):
    """A program after the visible tests: the share it passes, and what the others say."""

    candidate: Candidate
    share: float = 0.0
    feedback: str = ""

    @property
    def passes(self) -> bool:
        """Whether it passes all visible tests, and there are some."""
        return self.share == 1.0


async def with_tests(assignment: Assignment) -> Work:
    """Return the work with its visible tests; those that expect no value are left out.

    Raises:
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    unfinished = assignment.unfinished
    suite = await suite_of(unfinished.node, examples_of(unfinished.node))
    return Work(unfinished=unfinished, suite=suite)


async def written(work: Work, hint: str = "", *, number: int = 0) -> Candidate:
    """Return a program; `number` 0 is the model's first choice, another one a sample.

    Raises:
        ExpansionError: The reply is no version of the function.
    """
    hinted = _hinted(work.unfinished, hint)
    if number == 0:
        found = await greedy(hinted)
    else:
        found = await sampled(hinted, Sampling(), count=1, first=number)
    if not found:
        raise ExpansionError(step=work.name, problem=UNREAD)
    return _without_hint(found[0], work)


async def mended(work: Work, failed: Candidate, problem: str, hint: str = "") -> Candidate:
    """Return the model's correction of a program after it was told what is wrong.

    Raises:
        ExpansionError: The reply is no version of the function.
    """
    found = await repaired(_hinted(work.unfinished, hint), failed, problem)
    if not found:
        raise ExpansionError(step=work.name, problem=UNREAD)
    return _without_hint(found[0], work)


async def tried(work: Work, candidate: Candidate) -> Tried:
    """Run a program on the visible tests, in a sandbox; without any, nothing runs and none is passed.

    Raises:
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    if not work.suite.examples:
        return Tried(candidate=candidate)
    (problems,) = await verified([candidate], work.suite)
    told = [problem for problem in problems if problem]
    share = 1 - len(told) / len(problems)
    feedback = "\n".join(list(dict.fromkeys(told))[:MAX_TOLD])
    return Tried(candidate=candidate, share=share, feedback=feedback)


def with_program(task: Task, found: Tried, *asked: str) -> str:
    """Return a prompt: the task, a program for it, what its tests say, and what is asked."""
    parts = [statement(task), f"A program for it:\n{shown(found.candidate.source, MAX_CODE_CHARS)}"]
    if found.passes:
        parts.append("It passes all visible tests.")
    elif found.feedback:
        parts.append(f"It fails visible tests:\n{found.feedback}")
    return "\n\n".join([*parts, *asked])


def best_of(found: Sequence[Tried]) -> Tried:
    """Return what passes the most visible tests, of equals the latest."""
    return max(reversed(found), key=lambda item: item.share)


def _hinted(unfinished: Unfinished, hint: str) -> Unfinished:
    """Put a hint behind the docstring, where a small model that goes on from there minds it most."""
    if not hint:
        return unfinished
    node = unfinished.node
    doc = f"{node.doc}\n\n{cut(hint, MAX_HINT_CHARS)}".strip()
    return unfinished.model_copy(update={"node": node.model_copy(update={"doc": doc})})


def _without_hint(candidate: Candidate, work: Work) -> Candidate:
    node = work.unfinished.node.model_copy(update={"setup": candidate.node.setup})
    try:
        draft = Draft(node=node.written(candidate.node.body or ""), helpers=candidate.helpers)
        return completed(draft, work.unfinished.helpers)
    except ProgramError as error:
        raise ExpansionError(step=work.name, problem=error.report) from error
