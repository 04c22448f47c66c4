"""What a flow that is Python text may call, and what its `forward` gets.

Owns the words for it, as a model reads them, and the functions behind them: each a step of the run. Knows
nothing of how the text is checked and run. A program that has itself do another task gets fewer calls for
it, down to none, so that this ends.
"""

import ast
from collections import Counter
from collections.abc import Collection
from typing import Annotated, Any

import jsonschema
from pydantic import Field

from agentflow import (
    Examination,
    Message,
    Reply,
    Task,
    examine,
    flow,
    generate,
    load_planner,
    parallel,
)
from agentflow.data import Data, canonical, encode
from agentflow.errors import (
    ExpansionError,
    InputError,
    ModelRequestError,
    OutputError,
    ProgramError,
)
from agentflow_planners.functions.text.layout import read_tree
from agentflow_planners.shared.answers import fitting, read_as
from agentflow_planners.shared.coded import ENTRY, Calls
from agentflow_planners.shared.sampling import sample_options
from agentflow_planners.shared.wording import question

MAX_SAMPLES = 20
SHARE = 4  # a program that calls itself gets one in so many of its calls for it
MAX_SCHEMA_DEPTH = 8
KEYWORDS = (
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "description",
    "additionalProperties",
)
SELF = "coded_flow"
PLANNERS = ("direct", "cot", "self_consistency", SELF)

TASK_WORDS = """\
`task` is a dict: task["question"] (the whole task as one prompt), task["goal"], task["context"], \
task["inputs"] (a dict)."""

VOCABULARY = """\
ask(prompt, role="")  # what the model replies, a str
ask(prompt, n=5)  # a list of 5 independent replies
ask_json(prompt, schema)  # a reply as plain data of a JSON schema
vote(answers)  # the answer that most of a list agree on
run_tests(code, tests)  # run asserts on the functions in `code`: {"passed": bool, "report": str}
planner(name, goal, inputs={})  # another task's answer; name: "direct", "cot", "self_consistency", or \
"coded_flow", which is this program itself"""


def names(tools: Collection[str] = ()) -> tuple[str, ...]:
    """Return all that a program may call."""
    return (*vocabulary(), *tools)


def vocabulary(own: str = "", *, calls: int = 0, planners: Collection[str] = PLANNERS) -> Calls:
    """Return the functions of `VOCABULARY`.

    Args:
        own: The program that calls them: `planner("coded_flow", ...)` is that program again.
        calls: How many calls that program has itself; each level below gets a quarter of them.
        planners: Which planners it may name.
    """

    async def planner(name: str, goal: str, inputs: dict[str, Any] | None = None) -> Any:
        if name not in planners:
            there = ", ".join(planners) or "none"
            raise InputError(step="planner", problem=f"no planner {name!r}; there are: {there}")
        options: dict[str, Any] = {}
        if name == SELF:
            if calls < SHARE:
                raise ExpansionError(step="planner", problem=f"{SELF} calls itself too deep")
            options = {"source": own, "calls": calls // SHARE, "planners": tuple(planners)}
        return await hand_on.named(f"planner {name}")(name, goal, inputs or {}, options)

    return {
        "ask": ask,
        "ask_json": ask_json,
        "vote": vote,
        "run_tests": run_tests,
        "planner": planner,
    }


@flow
async def ask(
    prompt: str, n: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] | None = None, role: str = ""
) -> str | list[str]:
    """Ask the model once, or for `n` independent samples."""
    said = [Message(role="system", text=role)] if role else []
    said.append(Message(role="user", text=prompt))

    async def sample(number: int) -> str:
        reply: Reply = await generate(said, **await sample_options(number))
        return reply.text

    try:
        if n is None:
            return (await generate(said)).text
        return await parallel(sample(number) for number in range(n))
    except ModelRequestError as error:  # what a program asks must not end a whole search
        raise InputError(step="ask", problem=str(error)) from error


@flow
async def ask_json(prompt: str, schema: dict[str, Data]) -> Data:
    """Ask the model for plain data of a JSON schema."""
    problem = _schema_problem(schema)
    if problem:
        raise InputError(step="ask_json", problem=problem)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        return await generate(prompt, output=schema)
    except jsonschema.SchemaError as error:
        problem = f"that is no JSON schema: {error.message[:300]}"
        raise InputError(step="ask_json", problem=problem) from error
    except ModelRequestError as error:
        raise InputError(step="ask_json", problem=str(error)) from error


def _schema_problem(schema: Any, depth: int = 0) -> str:
    """Return what a schema must not hold: a pattern may never end, a reference reaches outside."""
    if not isinstance(schema, dict) or depth > MAX_SCHEMA_DEPTH:
        return f"that is no JSON schema of at most {MAX_SCHEMA_DEPTH} levels"
    unknown = sorted(set(schema).difference(KEYWORDS))
    if unknown:
        return f"{unknown[0]!r} may not be in a schema; only {', '.join(KEYWORDS)} may"
    properties = schema.get("properties", {})
    inner = [*properties.values()] if isinstance(properties, dict) else [properties]
    inner += [schema["items"]] if "items" in schema else []
    extra = schema.get("additionalProperties")
    inner += [extra] if isinstance(extra, dict) else []
    found = (_schema_problem(item, depth + 1) for item in inner)
    return next((problem for problem in found if problem), "")


@flow
async def vote(answers: Annotated[list[Data], Field(min_length=1)]) -> Data:
    """Return the answer that most agree on, whatever its case and spaces; of equals the first."""
    keys = [
        " ".join(answer.casefold().split()).encode()
        if isinstance(answer, str)
        else canonical(encode(answer))
        for answer in answers
    ]
    winner, _votes = Counter(keys).most_common(1)[0]
    return answers[keys.index(winner)]


@flow
async def run_tests(code: str, tests: str) -> dict[str, Data]:
    """Run asserts against the functions in `code`, in a sandbox of their own."""
    try:
        body = read_tree(code).body
        read_tree(tests)
    except ProgramError as error:
        return {"passed": False, "report": error.report}
    names = {node.name: node.name for node in body if isinstance(node, ast.FunctionDef)}
    found = await examine(Examination(source=code, tests=tests, names=names))
    report = "" if found.failure is None else found.failure.report
    return {"passed": found.passed, "report": report}


@flow
async def hand_on(name: str, goal: str, inputs: dict[str, Data], options: dict[str, Data]) -> Data:
    """Have another planner solve a task."""
    if not goal:
        raise InputError(step=name, problem="the goal is empty")
    return (await load_planner(name)(Task(goal=goal, inputs=inputs), **options)).output


def described(task: Task) -> dict[str, Any]:
    """Return a task as `forward` gets it; see `TASK_WORDS`."""
    return {
        "question": question(task),
        "goal": task.goal,
        "context": task.context,
        "inputs": task.inputs,
    }


def answer_of(value: Any, task: Task) -> Any:
    """Return what a program gave as the task's answer; text is read as the wanted shape.

    Raises:
        OutputError: It is nothing, or not of that shape.
    """
    try:
        if task.output_schema is not None and isinstance(value, str):
            return read_as(value, task.output_schema)
        return fitting(value, task)
    except ValueError as error:  # a misfit
        raise OutputError(step=ENTRY, problem=str(error)) from error
