"""Assertions in Python hold of the answer, or of the functions in the code that is the answer.

The assertions are the user's, the answer is a model's. Where the answer is code, each call that the
assertions make of it runs in a sandbox of its own, and only plain data comes back. So an answer can
neither redefine what the assertions use nor return an object that claims to equal anything.
"""

import ast
from typing import Any

from pydantic import Field

from agentflow import Program, run_program
from agentflow.errors import ExpansionError, ProgramError, ToolError
from agentflow.expansion import Unwritten
from agentflow.sandbox.names import parse_program
from agentflow_evals.scorer import Options, Score, check_python, read_options, verdict

_ARGUMENTS, _KEYWORDS = "call_arguments_", "call_keywords_"


class ProgramOptions(Options):
    """`assertions`: Python that uses the variable `output`.

    With `source` the answer is Python source text instead, and the assertions call what it defines.
    """

    assertions: str = Field(min_length=1, pattern=r"\S")
    source: bool = False


async def program(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the assertions run to their end.

    Raises:
        InputError: The options are wrong, or the assertions are not Python.
    """
    wanted = read_options(ProgramOptions, "program", options)
    check_python("program", "assertions", wanted.assertions)
    assertions = Program(code=f"{wanted.assertions}\nNone", inputs={"output": output})
    try:
        if wanted.source:
            await run_program(assertions, _Source(output).call, name="assertions")
        else:
            await run_program(assertions, _nobody, name="assertions")
    except ProgramError as error:
        return verdict(False, error.report)
    except ToolError as error:
        return verdict(False, f"{error.tool}: {error.name}: {error.message}")
    except ExpansionError as error:
        return verdict(False, str(error))
    return verdict(True, "every assertion held")


class _Source:
    """The answer as a library of functions, each call of which starts afresh."""

    def __init__(self, output: Any) -> None:
        if not isinstance(output, str):
            raise ExpansionError(step="output", problem="the answer is not Python source text")
        # A program is the body of a function: a `return` outside the answer's own functions would
        # end it before the call.
        if line := _returning_line(parse_program(output)):
            raise ExpansionError(step="output", problem=f"line {line}: `return` outside a function")
        self._code = output

    async def call(self, call: Unwritten) -> Any:
        code = f"{self._code}\n\nreturn {call.name}(*{_ARGUMENTS}, **{_KEYWORDS})"
        inputs = {_ARGUMENTS: list(call.args), _KEYWORDS: call.kwargs}
        try:
            return await run_program(Program(code=code, inputs=inputs), _nobody, name=call.name)
        except ProgramError as error:
            # As a tool's error it keeps its type: the assertions may expect and catch it.
            raise ToolError(tool=call.name, name=error.name, message=error.message) from error


def _returning_line(tree: ast.Module) -> int | None:
    nodes: list[ast.AST] = [tree]
    while nodes:  # not recursive: the depth of the tree is the model's choice
        node = nodes.pop()
        if isinstance(node, ast.Return):
            return node.lineno
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes.extend(ast.iter_child_nodes(node))
    return None


async def _nobody(call: Unwritten) -> Any:
    raise ExpansionError(step=call.name, problem=f"`{call.name}` is not defined")
