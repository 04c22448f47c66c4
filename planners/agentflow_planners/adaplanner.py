"""A plan as code that checks what it observes, refined where a check fails.

Source: Sun et al., AdaPlanner: Adaptive Planning from Feedback with Language Models, arXiv:2305.16653.
Cost: a few calls: 1 + refinements, and what the plan asks.
Needs: a sandbox, tools.
Published: ALFWorld 91.79 (secondary source); MiniWoB++ 92.87 (secondary source); average of ALFWorld,
  ScienceWorld and WebShop 50.3 (GPT-4o mini, as a baseline of ReCode).

What differs, and why:
- the plan runs in a sandbox, and the assertions are Python's own;
- in-plan refinement is a call `ask(question, text)` of the model from within the plan;
- after a failed assertion (out-of-plan refinement) the model writes the rest of the plan as a new
  program, told which calls with effects have happened; the paper has the whole plan written again and
  enters it at a step number that the model names;
- any other failure of the program is refined in the same way;
- plans that worked are not kept as skills.
"""

from typing import Any

from agentflow import (
    Message,
    MisfitError,
    Program,
    Result,
    Task,
    Unwritten,
    flow,
    generate,
    note,
    placeholders,
    run_program,
)
from agentflow.errors import ExpansionError, InputError, OutputError, ProgramError, ToolError
from agentflow_planners.recoding.replies import body_of
from agentflow_planners.shared.acting import tools_of
from agentflow_planners.shared.answers import fitting
from agentflow_planners.shared.coding import python_reply, refuse_replaced
from agentflow_planners.shared.replies import exchange
from agentflow_planners.shared.values import Number
from agentflow_planners.shared.wording import coded_question, happened, tool_lines

FAILURES = (ProgramError, ToolError, InputError, OutputError, ExpansionError, MisfitError)
ASK = "ask"

SYSTEM = """\
You solve tasks by writing a plan as one Python function, between ```python and ```. It may call:
{tools}
ask(question, text)  # let a language model answer a question about a text, as a str
After each step check what you expect to see, with what you saw as the message: \
`assert "key" in seen, f"no key there: {{seen}}"`. Return the answer."""

REFINE = """\
The plan stopped: {report}
{happened}
{how} Write {signature} again{rest}."""


@flow
async def adaplanner(task: Task, *, refinements: Number = 4) -> Result:
    """Solve a task by a program with assertions, refined after each that fails.

    Args:
        task: Its tools are what the plan may call.
        refinements: How often the plan may be refined.

    Raises:
        ExpansionError: The last plan failed, too.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    signature = f"solution({', '.join(task.inputs)})"
    said = _asked(task, signature)
    effects: list[str] = []
    report = ""
    for number in range(refinements + 1):
        begun = f"def {signature}:\n"
        reply = await python_reply(said, begun=begun, failures=number)
        try:
            return Result(output=await _run(reply, task, effects))
        except FAILURES as error:
            report = error.report if isinstance(error, ProgramError) else str(error)
            note(f"plan {number + 1} stopped: {report}")
            refine = _refinement(error, report, effects, signature)
        said += exchange(reply, refine)
    problem = f"none of {refinements + 1} plans came to its end; the last: {report}"
    raise ExpansionError(step="adaplanner", problem=f"{problem} {happened(effects)}".strip())


async def _run(reply: str, task: Task, effects: list[str]) -> Any:
    """Run the plan in a reply; return its value if it can be the answer."""
    code = body_of(reply, "solution", tuple(task.inputs))
    refuse_replaced(code, task.tools)
    known = [*task.tools, *task.inputs, ASK]
    unknown = [site.name for site in placeholders(code, known)]
    if unknown:
        there = ", ".join([*task.tools, ASK])
        problem = f"there is no function {unknown[0]}; there are: {there}"
        raise ExpansionError(step="plan", problem=problem)
    program = Program(code=code, inputs=task.inputs, tools=task.tools)
    return fitting(await run_program(program, _asked_within, name="plan", effects=effects), task)


async def _asked_within(call: Unwritten) -> str:
    """Answer a call of `ask` from within a plan: what the paper calls in-plan refinement."""
    given = [*call.args, *call.kwargs.values()]
    if call.name != ASK or not 1 <= len(given) <= 2:
        raise ExpansionError(step="plan", problem=f"call {ASK}(question, text), not {call.line}")
    text = f"\n\n{given[1]}" if len(given) > 1 else ""
    return (await generate(f"{given[0]} Give the answer alone, nothing else.{text}")).text.strip()


def _asked(task: Task, signature: str) -> list[Message]:
    tools = tool_lines(tools_of(task).values()) or "(no tools)"
    ask = f"{coded_question(task)}\n\nWrite the function {signature}."
    return [
        Message(role="system", text=SYSTEM.format(tools=tools)),
        Message(role="user", text=ask),
    ]


def _refinement(error: Exception, report: str, effects: list[str], signature: str) -> str:
    is_observed = isinstance(error, ProgramError) and error.name == "AssertionError"
    how = "Something is not as the plan expects." if is_observed else "Correct the plan."
    rest = ", with only what is left to do" if effects else ""
    told = happened(effects)
    return REFINE.format(
        report=report, happened=told, how=how, signature=signature, rest=rest
    ).replace("\n\n", "\n")
