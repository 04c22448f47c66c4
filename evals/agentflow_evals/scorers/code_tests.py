"""The answer is a module that passes these tests, each in a process that the other cannot reach."""

import ast
from typing import Any

from pydantic import Field

from agentflow.engine.trials import examine
from agentflow.errors import ProgramError
from agentflow.sandbox.names import parse
from agentflow.sandbox.workers.protocol import Examination
from agentflow_evals.scorer import Options, Score, check_python, read_options, verdict


class CodeTestsOptions(Options):
    """`tests` are Python that calls the answer's functions by name."""

    tests: str = Field(min_length=1, pattern=r"\S")


async def code_tests(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the tests run to their end.

    Raises:
        InputError: The options are wrong, or the tests are not Python.
        SandboxUnavailableError: Nothing can confine code on this machine.
    """
    wanted = read_options(CodeTestsOptions, "code_tests", options)
    check_python("code_tests", "tests", wanted.tests)
    if not isinstance(output, str):
        return verdict(False, "the answer is not Python source text")
    try:
        tree = parse(output)
    except ProgramError as error:
        return verdict(False, f"the answer is not Python: {error.report}")
    names = {node.name: node.name for node in tree.body if isinstance(node, _FUNCTIONS)}
    found = await examine(Examination(source=output, tests=wanted.tests, names=names))
    if found.passed:
        return verdict(True, "every test passed")
    return verdict(False, found.failure.report if found.failure else "the tests did not end")


_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
