"""Act by code: each turn the model writes Python that calls the tools, and sees what came of it.

Source: Wang et al., Executable Code Actions Elicit Better LLM Agents, arXiv:2402.01030.
Cost: tens of calls: up to `turns`.
Needs: a sandbox, tools.
Published: average of ALFWorld, ScienceWorld and WebShop 43.9 (GPT-4o mini, as a baseline of ReCode).

What differs, and why:
- the code runs in a sandbox that reaches nothing but the tools, and calls that do not need each other
  run side by side; the authors run it in a Jupyter kernel of its own container;
- variables that hold plain data, imports and functions go from one program to the next (see cells.py),
  everything else is named as lost instead of failing later;
- the answer is what the code returns, so it can be of any wanted shape; a reply without code is an
  answer in words.
"""

from typing import Annotated

from pydantic import Field

from agentflow import Message, MisfitError, Result, Task, flow
from agentflow.errors import ExpansionError, InputError, OutputError, ProgramError, ToolError
from agentflow_planners.shared.acting import MAX_RESULT_CHARS, tools_of
from agentflow_planners.shared.answers import fitting, python_fence, whole_answer
from agentflow_planners.shared.cells import Cell, Notebook
from agentflow_planners.shared.coding import python_reply
from agentflow_planners.shared.replies import exchange
from agentflow_planners.shared.wording import (
    coded_question,
    cut,
    happened,
    kind_of,
    shown,
    tool_lines,
)

FAILURES = (ProgramError, ToolError, InputError, OutputError, ExpansionError, MisfitError)

SYSTEM = """\
Solve the task by writing Python, one short program at a time, between ```python and ```. \
After each program you see what it printed and the value of its last line; variables, imports and \
functions stay. Only plain Python and these functions work:
{tools}
When you know the answer, write a program that ends with `return answer` at the top level."""

GO_ON = "Once you know the answer, `return` it."


@flow
async def codeact(task: Task, *, turns: Annotated[int, Field(ge=1)] = 12) -> Result:
    """Let the model write and run programs for up to `turns` turns, until one returns the answer.

    Raises:
        ExpansionError: There is no answer after the last turn.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    notebook = Notebook(task.inputs, task.tools)
    tools = tool_lines(tools_of(task).values()) or "(none)"
    said = [
        Message(role="system", text=SYSTEM.format(tools=tools)),
        Message(role="user", text=_asked(task)),
    ]
    failures = 0
    for _turn in range(turns):
        code, text = python_fence(await python_reply(said, failures=failures))
        if code is None:
            return Result(output=await whole_answer(task, said, text))
        observation, answer, is_failure = await _observed(notebook, code, task)
        if answer is not None:
            return answer
        failures = failures + 1 if is_failure else 0
        said += exchange(text, observation)
    raise ExpansionError(step="codeact", problem=f"no answer after {turns} turns; raise `turns`")


async def _observed(notebook: Notebook, code: str, task: Task) -> tuple[str, Result | None, bool]:
    """Run a program; return what the model is told, the answer if it gave one, and if it failed."""
    known = len(notebook.effects)
    try:
        outcome = await notebook.run(code)
        if not isinstance(outcome, Cell):
            return "", Result(output=fitting(outcome.value, task)), False
    except FAILURES as error:
        report = error.report if isinstance(error, ProgramError) else str(error)
        told = happened(notebook.effects[known:])
        return f"The program failed: {report}\n{told}".strip(), None, True
    return _words(outcome), None, False


def _words(cell: Cell) -> str:
    parts = [f"Printed:\n{cell.printed.rstrip()}"] if cell.printed else []
    if cell.value is not None:
        parts.append(f"Value: {shown(cell.value, MAX_RESULT_CHARS)}")
    if cell.lost:
        parts.append(f"Not kept, since they hold no plain data: {', '.join(cell.lost)}")
    text = "\n".join(parts) or "It ran, printed nothing and its last line has no value."
    return f"{cut(text, MAX_RESULT_CHARS)}\n{GO_ON}"


def _asked(task: Task) -> str:
    names = ", ".join(f"{name} ({kind_of(value)})" for name, value in task.inputs.items())
    told = f"\n\nThese variables hold the data: {names}" if names else ""
    return f"{coded_question(task)}{told}"
