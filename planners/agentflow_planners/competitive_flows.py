"""Write a competitive program as one of the Flows: alone, with a second look, a critic, or the tests.

Source: Josifoski et al., Flows: Building Blocks of Reasoning and Collaborating AI, arXiv:2308.01285.
Cost: a few calls: up to 2 x max_rounds, and 1 for a plan.
Needs: a sandbox, tests.
Published: Codeforces pass@1 before / after the model's cut-off (GPT-4, intervals 5 to 12 points to either
  side): code 71.8 / 26.9; reflection 81.1 / 26.9; collaboration 76.6 / 36.5; debug 84.5 / 34.8;
  debug_collaboration 84.4 / 47.5; plan-code 70.2 / 34.9; plan-reflection 68.5 / 31.7;
  plan-collaboration 67.0 / 33.2; given plan, code 82.8 / 74.5; given plan, debug_collaboration
  95.4 / 80.8.

What differs, and why:
- the second look and the critic give a typed review, so its end is a value and no magic word, and the
  coder hears its reason. Where tests have run, they decide and not the critic;
- the plan is one call (`plan="model"`) or the task's own (`plan="given"`); the paper also reflects and
  collaborates on the plan, which its figures do not recommend;
- of several programs that were run, the one that passes most visible tests is the answer, the later one
  among equals; the paper takes the last;
- programs are functions, and the visible tests are their doc examples; they run in a sandbox.
"""

from typing import Literal

from agentflow import Message, Result, Task, flow, generate, note
from agentflow.errors import ExpansionError, InputError
from agentflow_planners.functions.assignment import Assignment
from agentflow_planners.shared.judging import Verdict
from agentflow_planners.shared.programs import (
    Tried,
    Work,
    best_of,
    mended,
    tried,
    with_program,
    with_tests,
    written,
)
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import statement

Pattern = Literal["code", "reflection", "collaboration", "debug", "debug_collaboration"]
Planning = Literal["none", "model", "given"]

TESTED = ("debug", "debug_collaboration")
PLAN = "plan"
PLANNER = """\
Think about how to solve this problem, and write a plan for the programmer: the idea, the steps of the \
algorithm, the special cases. Do not write code."""
CRITIC = "You review programs of others. You find what is wrong, and never write code yourself."
AGAIN = """\
Go through your program once more: does it do what is asked for every input, in the form that is asked? \
Give the reason first: what is wrong, and what to do about it. Then say whether it is right."""
REVIEW = """\
Does it do what is asked for every input? Give the reason first: what is wrong, and what to do about it. \
Then say whether it is right."""


class Job(Frozen):
    """What stays the same over all rounds."""

    work: Work
    pattern: Pattern
    hint: str


class Turn(Frozen):
    """A program, and what is to be done about it; nothing when the coder is done."""

    found: Tried
    problem: str = ""


@flow
async def competitive_flows(
    task: Task,
    *,
    pattern: Pattern = "debug_collaboration",
    plan: Planning = "none",
    max_rounds: Count = 4,
) -> Result:
    """Write the function that a task is about in rounds of writing and feedback.

    Args:
        task: As for `funcoder`. The doc examples are the visible tests.
        pattern: Who gives feedback: nobody, the coder itself, a critic, the tests, a critic who sees
            the tests.
        plan: Where the coder's plan comes from; "given" is the task's input `plan`.
        max_rounds: How many programs are asked for at most.

    Raises:
        InputError: The task names no function to write, or has no plan to give.
        ExpansionError: No reply is a version of the function, or the plan is empty.
        MalformedReplyError: A review has no form.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    hint = ""
    if plan == "given":
        task, hint = _without_plan(task)
    assignment = Assignment(task)
    work = Work(unfinished=assignment.unfinished)
    if pattern in TESTED:
        work = await with_tests(assignment)
        if not work.suite.examples:
            note("there is no visible test to run programs on")
    if plan == "model":
        hint = await _planned(task)
    job = Job(work=work, pattern=pattern, hint=hint)
    found = await _in_rounds(task, job, max_rounds if pattern != "code" else 1)
    return await assignment.answer(best_of(found).candidate)


async def _in_rounds(task: Task, job: Job, rounds: int) -> list[Tried]:
    """Return the programs of all rounds.

    Raises:
        ExpansionError: There is none.
    """
    found: list[Tried] = []
    last: Turn | None = None
    for number in range(rounds):
        turn = turn_of.named(f"round_{number + 1}")
        try:
            last = await turn(task, job, number, last, is_last=number + 1 == rounds)
        except ExpansionError as error:
            note(f"round {number + 1} gave no program: {error.problem}")
            if found:  # the same request again would get the same reply
                break
            continue
        found.append(last.found)
        if not last.problem:
            break
    if not found:
        problem = f"no reply of {rounds} writes the function as it is declared"
        raise ExpansionError(step=job.work.name, problem=problem)
    return found


@flow
async def turn_of(task: Task, job: Job, number: int, last: Turn | None, *, is_last: bool) -> Turn:
    """Write a program, or a better one than the last, and hear what is wrong with it.

    Raises:
        ExpansionError: The reply is no version of the function.
    """
    if last is None:
        candidate = await written(job.work, job.hint, number=number)
    else:
        candidate = await mended(job.work, last.found.candidate, last.problem, job.hint)
    found = await tried(job.work, candidate)
    if found.passes or is_last:
        return Turn(found=found)
    return Turn(found=found, problem=await _problem(task, job, found))


async def _problem(task: Task, job: Job, found: Tried) -> str:
    """Return what the coder is told about a program; nothing when it is held to be right."""
    if job.pattern == "debug":
        return found.feedback
    review = await generate(_asked(task, job, found), output=Verdict)
    if review.yes and not found.feedback:
        return ""
    return f"{found.feedback}\n{review.reason}".strip() or "it is not right yet"


def _asked(task: Task, job: Job, found: Tried) -> list[Message]:
    if job.pattern != "reflection":
        asked = with_program(task, found, REVIEW)
        return [Message(role="system", text=CRITIC), Message(role="user", text=asked)]
    code = f"```python\n{found.candidate.source}\n```"
    own = [Message(role="user", text=statement(task)), Message(role="assistant", text=code)]
    return [*own, Message(role="user", text=AGAIN)]


async def _planned(task: Task) -> str:
    plan = (await generate(f"{statement(task)}\n\n{PLANNER}")).text.strip()
    if not plan:
        raise ExpansionError(step="competitive_flows", problem="the model's plan is empty")
    return f"Plan:\n{plan}"


def _without_plan(task: Task) -> tuple[Task, str]:
    """Return the task without its plan, and the plan as the coder hears it."""
    plan = task.inputs.get(PLAN)
    if not (isinstance(plan, str) and plan.strip()):
        problem = f"plan: given takes a text as inputs.{PLAN}; put the plan there"
        raise InputError(step="competitive_flows", problem=problem)
    inputs = {name: value for name, value in task.inputs.items() if name != PLAN}
    return task.model_copy(update={"inputs": inputs}), f"Plan:\n{plan.strip()}"
