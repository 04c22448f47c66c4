"""The answer is a module that passes these tests, each in a process that the other cannot reach."""

import ast
import builtins
from typing import Any

from pydantic import Field

from agentflow.engine.trials import examine
from agentflow.sandbox.names import parse_program
from agentflow.sandbox.workers.protocol import Examination, TrialLimits
from agentflow_evals.scorer import Options, Score, check_python, read_options, verdict
from agentflow_evals.scorers.confined import not_python


class CodeTestsOptions(Options):
    """`tests` are Python that calls the answer's functions: by their names, or as `names` calls them.

    `names` maps a name in the tests to a function of the answer; without it, every function goes by its
    own name, but none takes the place of one of Python's own. `call_s` is the time for one call of the
    answer, `total_s` for all of them.
    """

    tests: str = Field(min_length=1, pattern=r"\S")
    names: dict[str, str] = Field(default_factory=dict)
    call_s: float = Field(default=TrialLimits().call_s, gt=0, le=600)
    total_s: float = Field(default=TrialLimits().total_s, gt=0, le=3600)


async def code_tests(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the tests run to their end.

    Raises:
        InputError: The options are wrong, or the tests are not Python.
        SandboxUnavailableError: Nothing can confine code on this machine.
    """
    wanted = read_options(CodeTestsOptions, "code_tests", options)
    check_python("code_tests", "tests", wanted.tests)
    if problem := not_python(output):
        return verdict(False, problem)
    own = {
        node.name: node.name for node in parse_program(output).body if isinstance(node, _FUNCTIONS)
    }
    missing = [name for name in wanted.names.values() if name not in own]
    if missing:
        return verdict(False, f"the answer defines no function `{missing[0]}`")
    names = wanted.names or {name: name for name in own if not hasattr(builtins, name)}
    limits = TrialLimits(call_s=wanted.call_s, total_s=wanted.total_s)
    trial = Examination(source=output, tests=wanted.tests, names=names, limits=limits)
    found = await examine(trial)
    if found.passed:
        return verdict(True, "every test passed")
    return verdict(False, found.failure.report if found.failure else "the tests did not end")


_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
