"""Improve the program that improves programs, by itself.

Zelikman et al., Self-Taught Optimizer (STOP), arXiv:2310.02304. An improver is a program: given a solution,
a utility and a model it returns a better solution. The seed improver asks the model for a few better versions
and keeps the one of the highest utility. What an improver is worth is the mean utility of what it makes of a
base solution on several downstream tasks (the meta-utility). Each round the improver improves its own source,
with the meta-utility as the utility. Here a downstream task is a group of cases with checks, a solution is a
program for the planner `coded_flow`, and the last improver improves the base solution once more.

What differs, and why:
- a new improver is kept only if its own meta-utility, measured once more, is not lower than that of the one
  that wrote it; in the authors' code any that is not 0 replaces it;
- improvers and solutions run in the sandbox; theirs run in the search's process with some functions removed;
- the solution is chosen and reported on cases that no improver has seen;
- the seed improver may give back what it was given, if nothing is better;
- the utility's source is told as a few lines of Python that say the same.

Source: Zelikman et al., Self-Taught Optimizer (STOP), arXiv:2310.02304.
Cost: thousands of calls: (rounds x (responses x asks + 1) + 1) x tests x responses x asks at most, and the
    calls of the solutions that are scored.
Needs: a sandbox, cases with checks.
Published: none that were checked.
"""

from statistics import fmean
from typing import Annotated

from pydantic import Field

from agentflow import Result, Task, flow, note, parallel
from agentflow.errors import (
    BudgetExceededError,
    ContextLengthError,
    ExpansionError,
    MalformedReplyError,
    OutputError,
    ProgramError,
)
from agentflow_planners.optimising.cases import Case, cases_of
from agentflow_planners.optimising.programs import program
from agentflow_planners.optimising.rounds import Rounds
from agentflow_planners.optimising.scoring import evaluate
from agentflow_planners.shared.coded import Allowance, Calls, checked, run_coded
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.vocabulary import TASK_WORDS, VOCABULARY, ask, names
from agentflow_planners.shared.wording import cut, question

FAILED = (ProgramError, OutputError, ExpansionError, MalformedReplyError, ContextLengthError)
MAX_TOLD_CHARS = 2_000
CALLS = ("ask", "utility")

BASE = """\
def forward(task):
    return ask(task["question"] + "\\n\\nGive the answer alone.")
"""
SEED = """\
import re


def code_of(reply):
    blocks = re.findall(r"```(?:python)?\\n(.*?)```", reply, re.DOTALL)
    return (max(blocks, key=len) if blocks else reply).strip()


def forward(task):
    prompt = task["about"] + "\\n\\nImprove this program:\\n```python\\n" + task["solution"] + "\\n```\\n"
    replies = ask(prompt + "Send the whole improved program between ```python and ```.", n=task["responses"])
    solutions = [task["solution"]] + [code_of(reply) for reply in replies]
    scores = [utility(solution) for solution in solutions]
    return solutions[scores.index(max(scores))]
"""

OF_SOLUTIONS = f"""\
The program solves tasks: `def forward(task)` returns the answer. {TASK_WORDS} It is plain Python, runs in a \
sandbox and can call:
{VOCABULARY}
Its utility is the mean of what the checks of several tasks say of its answers, between 0 and 1."""
OF_IMPROVERS = """\
The program improves programs, and this is its own kind: `def forward(task)` is given task["solution"] (a \
program), task["about"] (what that is for, and what its utility is), task["responses"], task["asks"] and \
task["uses"], and returns a better program. It is plain Python, runs in a sandbox and can call:
ask(prompt, n=3)  # a list of 3 replies of a model; n at most task["responses"]; at most task["asks"] times
utility(program)  # what a program is worth, a float; at most task["uses"] times
It is measured like this, with {responses} responses, {asks} asks and {uses} uses of the utility:
def utility(improver):
    scores = []
    for test in range({tests}):
        program = improver.forward({{"solution": base_solution, "about": about[test], ...}})
        scores.append(mean_of_checks(program, cases[test]))  # 0 if the improver fails
    return sum(scores) / {tests}"""


class Bench(Frozen):
    """The downstream tasks, each a group of cases, and what an improver may use for one solution."""

    goal: str
    base: str
    groups: tuple[tuple[Case, ...], ...]
    responses: int
    asks: int

    @property
    def uses(self) -> int:
        """How often an improver may ask for a utility, as published."""
        return self.responses * self.asks + 1

    @property
    def allowed(self) -> dict[str, int]:
        """What an improver may use, by the names that it knows."""
        return {"responses": self.responses, "asks": self.asks, "uses": self.uses}

    def about(self, group: int | None) -> str:
        """Return what a solution is for and how it is measured; None for improvers as solutions."""
        if group is None:
            return OF_IMPROVERS.format(tests=len(self.groups), **self.allowed)
        cases = self.groups[group]
        example = cut(question(cases[0].task), MAX_TOLD_CHARS)
        return f"{OF_SOLUTIONS}\nWhat it is for: {self.goal}\nOne of {len(cases)} tasks:\n{example}"


@flow
async def stop(
    task: Task,
    *,
    rounds: Number = 6,
    responses: Annotated[int, Field(ge=1, le=20)] = 6,
    asks: Count = 4,
    tests: Count = 5,
    seed: int = 0,
) -> Result:
    """Return the best solution found, how it does on unseen cases, and the improver that there is now.

    Args:
        task: Its goal says what solutions are for; its input `cases` are tasks with checks, and `solution`
            may be the program to begin with, `improver` the seed improver.
        rounds: How often the improver improves itself.
        responses: How many replies one ask of an improver may give.
        asks: How often an improver may ask the model for one solution.
        tests: How many downstream tasks there are; at most as many as cases to learn from.
        seed: Of the draw of cases.

    Raises:
        InputError: The cases are none.
        ProgramError: The solution or the improver given may not run.
        BudgetExceededError: It does not cover the base solution.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    cases = cases_of(task, seed=seed)
    base = checked(str(task.inputs.get("solution", BASE)), names(cases.train[0].task.tools))
    improver = checked(str(task.inputs.get("improver", SEED)), CALLS)
    groups = tuple(cases.train[number::tests] for number in range(min(tests, len(cases.train))))
    bench = Bench(goal=task.goal, base=base, groups=groups, responses=responses, asks=asks)
    search = Rounds(cases, rounds)
    await search.tries(program(base), "as it was")
    try:
        value = await worth.named("worth of the seed")(improver, bench, None) if rounds else 0.0
        async for number in search:
            improver, value = await _round(number, improver, value, bench)
        whole = bench.model_copy(update={"groups": (cases.train,)})
        solution = await _made(improver, base, whole, 0)
        if solution is not None and solution != base:
            await search.tries(program(solution), "improved")
    except BudgetExceededError as error:
        search.stopped = str(error)
    return Result(output={**(await search.settled()).output, "improver": improver})


async def _round(number: int, improver: str, value: float, bench: Bench) -> tuple[str, float]:
    """Let an improver improve itself; what fails, or is worth less than before, is not kept."""
    made = await _made(improver, improver, bench, None, f"round {number}")
    if made is None or made == improver:
        note(f"round {number}: the improver stays, nothing else came out")
        return improver, value
    new = await worth.named(f"worth of round {number}")(made, bench, None)
    is_kept = new > 0 and new >= value
    note(f"round {number}: {new:.3f} after {value:.3f}, {'kept' if is_kept else 'reverted'}")
    return (made, new) if is_kept else (improver, value)


async def _made(
    improver: str, solution: str, bench: Bench, group: int | None, name: str = "improve"
) -> str | None:
    """Return what an improver makes of a solution; None where it fails, with a remark."""
    try:
        return await improve.named(name)(improver, solution, bench, group)
    except FAILED as error:
        note(f"{name}: the improver failed: {error}")
        return None


@flow
async def improve(improver: str, solution: str, bench: Bench, group: int | None) -> str:
    """Run an improver on a solution; without a `group` the solution is an improver itself."""
    asks, uses = Allowance("asks", bench.asks), Allowance("uses of the utility", bench.uses)

    async def ask_for(prompt: str, n: int = 1) -> list[str]:
        if type(n) is not int or n > bench.responses:
            problem = f"no more than {bench.responses} responses are allowed in one ask"
            raise ExpansionError(step="ask", problem=problem)
        await asks.take()
        return list(await ask(prompt, n))

    async def utility(solution: str) -> float:
        await uses.take()
        return await worth(solution, bench, group)

    given = {"solution": solution, "about": bench.about(group), **bench.allowed}
    calls: Calls = {"ask": ask_for, "utility": utility}
    most = 2 * (bench.asks + bench.uses)  # those beyond an allowance are refused; endless ones end
    found = await run_coded(improver, given, calls, most=most, name="improver")
    if not isinstance(found, str):
        problem = f"an improver returns a program, not {type(found).__name__}"
        raise OutputError(step="improver", problem=problem)
    return found


@flow
async def worth(solution: str, bench: Bench, group: int | None) -> float:
    """Return the utility of a solution on a downstream task, or of an improver on all of them."""
    if group is not None:
        return (await evaluate(program(solution), bench.groups[group])).mean
    try:
        checked(solution, CALLS)
    except ProgramError as error:
        note(f"no improver: {error.report}")
        return 0.0
    tests = enumerate(bench.groups)
    made = (downstream.named(f"test {at + 1}")(solution, bench, at) for at, _group in tests)
    return fmean(await parallel(made))


@flow
async def downstream(improver: str, bench: Bench, group: int) -> float:
    """Return the utility of what an improver makes of the base solution; 0 if it fails."""
    made = await _made(improver, bench.base, bench, group)
    return 0.0 if made is None else await worth(made, bench, group)
