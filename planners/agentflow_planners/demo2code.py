"""Turn demonstrations into a program: summarise them, write down what they have in common, code that.

Source: Wang et al., Demo2Code: From Summarizing Demonstrations to Synthesizing Code via Extended
    Chain-of-Thought, arXiv:2305.16744.
Cost: tens of calls: demos x rounds + 1 + functions.
Needs: a sandbox, demonstrations.
Published: Robotouille execution 0.759 (GPT-3.5, from the instruction alone 0.567); unit tests 0.625 (0.326);
    simulation 0.760 (0.605).

Each demonstration is summarised, and its summary again, until the model calls it sufficiently summarised.
The summaries become one specification, the specification a function `solve` of the task's inputs. What it
calls and nobody has written is written next, level by level, down to the functions that are given: the
task's tools, and Python in its input `api`. Then the program runs on the inputs.

What differs, and why:
- the program runs confined and its value is the answer; there, code is kept from harm by a list of words;
- the functions of one level are written side by side, each once by name; depth and number have bounds;
- what is given is never replaced: a function of such a name in a reply is left out;
- a program that fails may be written again (`attempts`), unless its tools have changed something.
"""

import ast
import builtins
from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from agentflow import Program, Result, Task, Unwritten, flow, generate, note, parallel, run_program
from agentflow.data import Data
from agentflow.errors import ExpansionError, InputError, ProgramError, ToolError
from agentflow_planners.functions.source import read_module, read_reply
from agentflow_planners.functions.text.scopes import bound_names, open_names
from agentflow_planners.shared.acting import tools_of
from agentflow_planners.shared.answers import fitting
from agentflow_planners.shared.coding import python_reply
from agentflow_planners.shared.replies import opening
from agentflow_planners.shared.spoken import spoken
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import coded_question, cut, preview, shown, tool_lines

STEP, MAIN = "demo2code", "solve"
OWN = ("demos", "api")
MAX_DEMO_CHARS = 20_000
MAX_SHOWN_CHARS = 4_000
MAX_SPEC_TOKENS = 800
FAILED = (ExpansionError, ProgramError, ToolError, InputError, ValueError)

FORM = "inputs.demos must be a list of demonstrations, and inputs.api Python, if there is any"
SUMMARISE = (
    "Summarise a demonstration of a task: what is done in which order, what repeats, and what the person "
    "seems to prefer. Leave out what does not matter. Say whether the summary is sufficiently summarised, "
    "so that nothing is left to shorten."
)
SPECIFY = (
    "Here are summaries of demonstrations. Write in a few sentences what the task is in general: what has "
    "to be done with any such input, in which order, and which preferences are kept."
)
WRITE = (
    "Write one Python function. Keep it short: call helper functions for what is a task of its own, even "
    "if nobody has written them yet. Do not import anything. Answer with the code alone."
)
LAST = "Call nothing but Python's own functions and those that are given."


class Summary(Frozen):
    """A shorter version, and whether it is short enough."""

    summary: Annotated[str, Field(min_length=1, max_length=2_000)]
    sufficient: bool


class Given(Frozen):
    """What all functions of a program are written from: names that are there already are `taken`.

    `failures` counts the programs before this one, and `problem` is that of the last.
    """

    told: str
    taken: tuple[str, ...]
    failures: int = 0
    problem: str = ""


@flow
async def demo2code(
    task: Task, *, rounds: Count = 4, depth: Count = 4, total: Count = 20, attempts: Count = 1
) -> Result:
    """Write the program that the demonstrations stand for; the answer is what it returns.

    Args:
        task: Its input `demos` is a list of demonstrations, `api` may be Python with the functions to
            act with; its tools are others. All other inputs are what the program works on.
        rounds: How often a demonstration is summarised at most.
        depth: How many levels of functions there may be.
        total: How many functions.
        attempts: How many programs are tried.

    Raises:
        ExpansionError: No program came to an answer.
        InputError: There are no demonstrations, or `api` is no Python.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    demos, api, world = _inputs(task)
    summaries = await parallel(
        summarise.named(f"demo {number}")(task.goal, demo, rounds)
        for number, demo in enumerate(demos, 1)
    )
    spec = await specify(task.goal, tuple(summaries))
    given = _given(task, spec, api, world)
    for attempt in range(attempts):
        effects: list[str] = []
        try:
            functions = await write.named(f"program {attempt + 1}")(given, tuple(world), depth, total)  # fmt: skip
            code = "\n\n".join([api, *functions.values(), f"return {MAIN}({', '.join(world)})"])
            program = Program(code=code, inputs=world, tools=tuple(tools_of(task)))
            value = await run_program(program, _nobody, effects=effects)
            return Result(output=fitting(value, task))
        except FAILED as error:
            problem = cut(str(getattr(error, "report", error)), MAX_SHOWN_CHARS)
        note(f"version {attempt + 1} of {MAIN} failed: {problem}")
        given = given.model_copy(update={"problem": problem, "failures": attempt + 1})
        if effects:
            break  # what it did cannot be taken back
    raise ExpansionError(step=STEP, problem=f"no program came to an answer; the last: {problem}")


@flow
async def summarise(goal: str, demo: str, rounds: int) -> str:
    """Return a demonstration, summarised until the model calls it sufficient."""
    text = demo
    for _round in range(rounds):
        prompt = f"{goal}\n\nThe demonstration:\n{cut(text, MAX_DEMO_CHARS)}"
        said = await generate(prompt, system=SUMMARISE, output=Summary)
        text = said.summary
        if said.sufficient:
            return text
    note(f"not sufficiently summarised after {rounds} rounds")
    return text


@flow
async def specify(goal: str, summaries: tuple[str, ...]) -> str:
    """Return what all demonstrations have in common.

    Raises:
        ExpansionError: The model says nothing.
    """
    listed = "\n\n".join(f"[{at}] {cut(text, MAX_SHOWN_CHARS)}" for at, text in enumerate(summaries, 1))  # fmt: skip
    told = opening(SPECIFY, f"{goal}\n\n{listed}")
    return await spoken(told, step=STEP, max_tokens=MAX_SPEC_TOKENS)


@flow
async def write(given: Given, inputs: tuple[str, ...], depth: int, total: int) -> dict[str, str]:
    """Return the functions of a program by name: `solve`, then what it needs, down to what is given.

    Raises:
        ExpansionError: It needs more levels or more functions than there may be.
        ProgramError: A reply is no Python.
    """
    functions: dict[str, str] = {}
    missing = {MAIN: f"def {MAIN}({', '.join(inputs)}):"}
    for level in range(1, depth + 1):
        so_far = "\n\n".join(functions.values())
        found = await parallel(
            define.named(name)(given, name, head, so_far, level == depth)
            for name, head in missing.items()
        )
        for made in found:  # the first definition of a name is the one
            functions = {**made, **functions}
        missing = _missing("\n\n".join(functions.values()), {*given.taken, *dir(builtins)})
        if not missing:
            return functions
        if len(functions) + len(missing) > total:
            problem = f"it needs more than {total} functions, such as {min(missing)}"
            raise ExpansionError(step=STEP, problem=problem)
    problem = f"{min(missing)} is still to be written after {depth} levels"
    raise ExpansionError(step=STEP, problem=problem)


@flow
async def define(given: Given, name: str, head: str, so_far: str, is_last: bool) -> dict[str, str]:
    """Return the function of this name, and helpers that come with it, as source by name."""
    failed = f"An earlier program failed:\n{given.problem}" if given.problem else ""
    written = f"Written so far:\n{cut(so_far, MAX_SHOWN_CHARS)}" if so_far else ""
    parts = [given.told, failed, written, LAST if is_last else "", f"Write `{head}`"]
    said = opening(WRITE, "\n\n".join(filter(None, parts)))
    reply = await python_reply(said, begun=f"{head}\n", failures=given.failures)
    is_whole = f"def {name}(" in reply  # a local model goes on from the head
    module = read_reply(reply if is_whole else f"```python\n{head}\n{reply}")
    new = [node for node in module.functions if node.is_written and node.name not in given.taken]
    made = {node.name: node.source() for node in new}
    if name not in made:
        raise ExpansionError(step=name, problem=f"the reply does not write {name}")
    return made


def _missing(code: str, known: Collection[str]) -> dict[str, str]:
    """Return the heads of functions that are called and not there, by name, as they are first called."""
    tree = ast.parse(code)
    unknown = open_names(tree).difference(known, *(bound_names(each) for each in tree.body))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    heads: dict[str, str] = {}
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(call.func, ast.Name) and call.func.id in unknown:
            words = [each.id if isinstance(each, ast.Name) else None for each in call.args]
            words += [word.arg for word in call.keywords]
            named = [word if word and words.count(word) == 1 else f"argument_{at}" for at, word in enumerate(words, 1)]  # fmt: skip
            heads.setdefault(call.func.id, f"def {call.func.id}({', '.join(named)}):")
    return heads


def _given(task: Task, spec: str, api: str, world: dict[str, Data]) -> Given:
    tools = tools_of(task)
    values = [preview(name, value) for name, value in world.items()]
    stubs = [f"{node.signature} {node.doc}".strip() for node in read_module(api).functions]
    listed = "\n".join(filter(None, [tool_lines(tools.values()), *stubs]))
    own = task.model_copy(update={"inputs": {}})
    parts = [coded_question(own), cut(spec, MAX_SHOWN_CHARS)]
    parts += ["\n".join(["The inputs, for example:", *values])] if values else []
    parts += [f"There are:\n{cut(listed, MAX_SHOWN_CHARS)}"] if listed else []
    defined = {name for each in ast.parse(api).body for name in bound_names(each)}
    return Given(told="\n\n".join(parts), taken=tuple(sorted({*defined, *tools, *world})))


def _inputs(task: Task) -> tuple[list[str], str, dict[str, Data]]:
    demos, api = task.inputs.get("demos"), task.inputs.get("api", "")
    world = {name: value for name, value in task.inputs.items() if name not in OWN}
    if not isinstance(demos, list | tuple) or not demos or not isinstance(api, str):
        raise InputError(step=STEP, problem=FORM)
    try:
        taken = [node.name for node in read_module(api).functions]
    except ProgramError as error:
        raise InputError(step=STEP, problem=f"inputs.api: {error.report}") from error
    if MAIN in (*taken, *world, *task.tools):
        problem = f"{MAIN!r} is the name of the program: choose another for what is given"
        raise InputError(step=STEP, problem=problem)
    return [shown(demo, MAX_DEMO_CHARS) for demo in demos], api, world


async def _nobody(call: Unwritten) -> Data:
    raise ExpansionError(step=STEP, problem=f"there is no function {call.name}")
