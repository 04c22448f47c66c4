"""Recursion as a trained model does it: it writes a function's body for one call, and each call below is written anew.

Owns one expansion. Source: Yu et al., ReCode, arXiv:2510.23564, Algorithm 1; as there a body is written for the call at
hand, with the values of its arguments in sight, and not for all calls of that function.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow import Program, Unwritten, flow, note, run_program, tools_in_reach
from agentflow.data import Data
from agentflow.errors import EpisodeOverError, ExpansionError, InputError, ProgramError, ToolError
from agentflow_planners.students import grammars
from agentflow_planners.students.dialogue import Dialogue
from agentflow_planners.students.names import Naming
from agentflow_planners.students.prompts import of_call
from agentflow_planners.students.sight import Texts

REPAIRABLE = (ProgramError, InputError, ToolError)
WARMER = 0.3  # by how much each further version of a body may differ from the first


class Call(BaseModel):
    """A call of a function that nobody has written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Data] = {}
    level: int = 0


class Job(BaseModel):
    """What stays the same all over one tree; see the options of `trained`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tools: tuple[str, ...]
    names: Naming
    texts: Texts
    levels: int
    repairs: int


@flow
async def write_and_run(call: Call, job: Job) -> Any:
    """Write one function for one call and return its value."""
    return await expand(call, job)


async def expand(call: Call, job: Job) -> Any:
    """Return the value of a call.

    Raises:
        ExpansionError: It is nested too deeply, or no version of its body worked.
        EpisodeOverError: The episode ended in it.
        ModelError: A call of the model failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    if call.level >= job.levels:
        problem = f"functions are nested {job.levels} deep; raise `levels` if the task needs it"
        raise ExpansionError(step=call.name, problem=problem)

    async def answer(unwritten: Unwritten) -> Any:
        below = Call(name=unwritten.name, arguments=unwritten.arguments(), level=call.level + 1)
        return await write_and_run.named(below.name)(below, job)

    tools = [tool for name, tool in tools_in_reach().items() if name in job.tools]
    question = of_call(call.name, call.arguments)
    dialogue = Dialogue(question, tools, job.names, job.texts)
    grammar = grammars.program(dialogue.sight())
    problem = ""
    for version in range(job.repairs + 1):
        code = await dialogue.reply(grammar, temperature=WARMER * version, seed=version)
        program = Program(code=code, inputs=call.arguments, tools=job.tools)
        try:
            return await run_program(program, answer, name=f"{call.name} program")
        except EpisodeOverError:
            raise
        except REPAIRABLE as error:
            problem = error.report if isinstance(error, ProgramError) else str(error)
            note(f"version {version + 1} of {call.name} failed: {problem}")
    raise ExpansionError(
        step=call.name, problem=f"none of {job.repairs + 1} versions worked; the last: {problem}"
    )
