"""Assertions in Python hold of the answer, or of the code that is the answer.

They run in the sandbox: the answer is a model's, and may be code.
"""

from typing import Any

from agentflow import Program, run_program
from agentflow.errors import ExpansionError, ProgramError
from agentflow.expansion import Unwritten
from agentflow_evals.scorer import Options, Score, read_options, verdict


class ProgramOptions(Options):
    """`assertions`: Python that uses the variable `output`.

    With `source` the answer is Python source text instead, and the assertions call what it defines.
    """

    assertions: str
    source: bool = False


async def program(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the code runs to its end: every assertion held."""
    wanted = read_options(ProgramOptions, "program", options)
    code = f"{output}\n\n{wanted.assertions}\n" if wanted.source else f"{wanted.assertions}\n"
    try:
        await run_program(Program(code=f"{code}\nNone", inputs={"output": output}), _nobody, name="assertions")
    except (ProgramError, ExpansionError) as error:
        report = error.report if isinstance(error, ProgramError) else str(error)
        return verdict(False, report)
    return verdict(True, "every assertion held")


async def _nobody(call: Unwritten) -> Any:
    raise ExpansionError(step=call.name, problem=f"`{call.name}` is not defined")
