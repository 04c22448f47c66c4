"""Assertions in Python hold of the answer, or of the code that is the answer.

They run in the sandbox: the answer is a model's, and may be code.
"""

import ast
from typing import Any

from agentflow import Program, run_program
from agentflow.errors import ExpansionError, ProgramError
from agentflow.expansion import Unwritten
from agentflow.sandbox.names import parse
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
    try:
        code = _source(output) + wanted.assertions if wanted.source else wanted.assertions
        await run_program(
            Program(code=f"{code}\nNone", inputs={"output": output}), _nobody, name="assertions"
        )
    except (ProgramError, ExpansionError) as error:
        report = error.report if isinstance(error, ProgramError) else str(error)
        return verdict(False, report)
    return verdict(True, "every assertion held")


def _source(output: Any) -> str:
    """Return the answer as code that cannot keep the assertions after it from running."""
    if not isinstance(output, str):
        raise ExpansionError(step="output", problem="the answer is not Python source text")
    # A program is the body of a function: a `return` outside the answer's own functions would end it.
    if line := _returning_line(parse(output)):
        raise ExpansionError(step="output", problem=f"line {line}: `return` outside a function")
    return f"{output}\n\n"


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
