"""The answer is a program that prints the right output for each input.

Owns how a program is run and how its output is compared. Each case starts the program afresh in a
confined process that is given the input and never the expected output, which is compared here. What
says how a run ended does not go through the program's output, so printing cannot fake it; all that a
hostile program can do is print the right answer.
"""

import ast
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import Field

from agentflow.engine.trials import observe
from agentflow.sandbox.names import parse_program
from agentflow.sandbox.workers.protocol import Observed, Trial, TrialLimits
from agentflow_evals.scorer import Options, Score, read_options, shown, verdict
from agentflow_evals.scorers.confined import ConfinedOptions, not_python, not_returned

MOST_KEPT_BYTES = 64 << 20
_SLACK_BYTES = 64 << 10

# The program is a text inside the module that is loaded, so that it runs when it is called, as `__main__`.
# exit() is a thing of interactive Python, but contest programs use it; and open(0) is the standard input.
_STAGE = """
import builtins, sys

def run_program():
    def leave(code=None):
        raise SystemExit(code)

    def open_(file, *rest, **named):
        return sys.stdin if file == 0 else builtins.open(file, *rest, **named)

    names = {{"__name__": "__main__", "exit": leave, "quit": leave, "open": open_}}
    exec({prelude!r}, names)
    try:
        exec(compile({source!r}, "program.py", "exec"), names)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise RuntimeError(f"it exited with {{end.code!r}}") from None
"""


class Case(Options):
    """`stdin` and the outputs of which any is right."""

    stdin: str
    outputs: tuple[str, ...] = Field(min_length=1)


class ProgramIoOptions(ConfinedOptions):
    """`cases`, and how outputs are compared.

    `lines`: line by line without spaces around them, numbers in a line by value. `tokens`: word by word.
    """

    cases: tuple[Case, ...] = Field(min_length=1)
    compare: Literal["lines", "tokens"] = "lines"


async def program_io(output: Any, options: dict[str, Any]) -> Score:
    """Pass if every case's output is right; the first that is not ends the examination.

    Raises:
        InputError: The options are wrong.
        SandboxUnavailableError: Nothing can confine code on this machine.
    """
    wanted = read_options(ProgramIoOptions, "program_io", options)
    if problem := not_python(output):
        return verdict(False, problem)
    source = as_program(output)
    for number, case in enumerate(wanted.cases, 1):
        seen = await observe(_trial(source, case, wanted), name="case")
        if problem := _problem(seen, case, wanted):
            return verdict(False, f"case {number} of {len(wanted.cases)}: {problem}")
    return verdict(True, f"the output was right in all {len(wanted.cases)} cases")


def as_program(source: str) -> str:
    """Return a source that runs as a script: if it only defines `main`, with a call of it.

    Raises:
        ProgramError: It does not parse.
    """
    tree = parse_program(source)
    defines = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    others = [node for node in tree.body if not isinstance(node, _DEFINITIONS)]
    # Nesting is the model's choice: what is too deep to walk is taken to call it.
    is_called = any(isinstance(item, ast.Name) and item.id == "main" for item in _inside(others))
    return f"{source}\n\nmain()\n" if defines and not is_called else source


def same_output(given: str, wanted: str, compare: str = "lines", tolerance: float = 0.0) -> bool:
    """Return whether a program's output is the expected one, whatever the spaces at its ends."""
    if compare == "tokens":
        return _same_words(given.split(), wanted.split(), tolerance)
    ones, others = _lines(given), _lines(wanted)
    return len(ones) == len(others) and all(
        one == other or _same_numbers(one.split(), other.split(), tolerance)
        for one, other in zip(ones, others, strict=True)
    )


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom


def _inside(nodes: list[Any]) -> list[ast.AST]:
    found: list[ast.AST] = list(nodes)
    for node in found:  # it grows meanwhile
        found.extend(ast.iter_child_nodes(node))
    return found


def _trial(source: str, case: Case, wanted: ProgramIoOptions) -> Trial:
    longest = max(len(one.encode("utf-8", "replace")) for one in case.outputs)
    limits = TrialLimits(
        call_s=wanted.seconds,
        total_s=wanted.seconds + 5,
        memory_bytes=wanted.memory_bytes,
        stdout_bytes=min(2 * longest + _SLACK_BYTES, MOST_KEPT_BYTES),
    )
    stage = _STAGE.format(source=source, prelude=wanted.prelude)
    return Trial(source=stage, calls=("run_program()",), stdin=case.stdin, limits=limits)


def _problem(seen: Observed, case: Case, wanted: ProgramIoOptions) -> str:
    """Return what was wrong, in words; empty if nothing was."""
    if seen.failure is not None:
        return seen.failure.message
    found = seen.observations[0]
    if problem := not_returned(found, f"{wanted.seconds:g} s"):
        return problem
    if any(
        same_output(found.stdout, one, wanted.compare, wanted.tolerance) for one in case.outputs
    ):
        return ""
    return f"it printed {shown(found.stdout)}, not {shown(case.outputs[0])}"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text.strip())]


def _same_numbers(ones: list[str], others: list[str], tolerance: float) -> bool:
    """Return whether two lines are the same numbers."""
    if len(ones) != len(others):
        return False
    pairs = [(_number(one), _number(other)) for one, other in zip(ones, others, strict=True)]
    return all(
        one is not None and other is not None and _close(one, other, tolerance)
        for one, other in pairs
    )


def _same_words(ones: list[str], others: list[str], tolerance: float) -> bool:
    return len(ones) == len(others) and all(
        one == other or _same_numbers([one], [other], tolerance)
        for one, other in zip(ones, others, strict=True)
    )


def _number(word: str) -> Decimal | None:
    try:
        found = Decimal(word) if len(word) < 10_000 else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def _close(one: Decimal, other: Decimal, tolerance: float) -> bool:
    if one == other or tolerance == 0:
        return one == other
    return math.isclose(float(one), float(other), rel_tol=tolerance, abs_tol=tolerance)
