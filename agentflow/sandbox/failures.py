"""What went wrong in a program, in words that a model can act on.

Owns the translation of the interpreter's errors: which phase, which line as written, and what to
write instead where the interpreter lacks something.
"""

import builtins
import re
from typing import Any

import pydantic_monty as monty

from agentflow.errors import ProgramError, ProgramPhase, ToolError
from agentflow.sandbox.rewrite import Rewritten

MAX_REPORT_CHARS = 2_000
MAX_FRAMES = 6

_LIMIT_ERRORS = {"MemoryError", "RecursionError", "TimeoutError"}
_LACKING_ERRORS = {"NotImplementedError", "ModuleNotFoundError", "ImportError"}
_LINE_END = re.compile(r"\r\n|\r|\n")
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_ADVICE = (
    ("inherit", "write a plain function instead of a class hierarchy"),
    ("class", "use plain functions and dictionaries"),
    ("yield", "build and return a list"),
    ("del", "assign a new value instead, or use dict.pop"),
    ("suspend", "call it in a comprehension first, then sort or map the results"),
    (
        "No module",
        "do without that module; math, re, json, datetime, collections, itertools are there",
    ),
)


def as_raised(error: Exception) -> tuple[str, str]:
    """Return type and message under which a host's error is raised inside a program."""
    name, message = type(error).__name__, str(error)
    if isinstance(error, ToolError):
        name, message = error.name, error.message
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, Exception) and name not in _LIMIT_ERRORS:
        return name, message
    return "RuntimeError", f"{name}: {message}"


def program_error(error: monty.MontyError, program: Rewritten, code: str) -> ProgramError:
    """Return the interpreter's error as ours, with lines as written."""
    if isinstance(error, monty.MontyCrashedError):
        if error.timed_out:
            return _plain(
                "limit",
                "TimeoutError",
                "it ran too long without an answer; look for an endless loop",
            )
        return _plain(
            "crash", "CrashError", "the interpreter broke down on this code; write it another way"
        )
    name, message = _name_and_message(error)
    frames = _frames(error, program, code)
    line = frames[-1][0] if frames else None
    report = f"{name}: {message}"
    if frames:
        report += f" in line {line}: `{frames[-1][1]}`"
        report += "".join(
            f"\n  called from line {number}: `{text}`" for number, text in reversed(frames[:-1])
        )
    phase = _phase(error, name)
    if phase == "unsupported":
        advice = next(
            (words for sign, words in _ADVICE if sign in message), "write it in simpler Python"
        )
        report += f"\n({advice})"
    missing = _UNDEFINED.fullmatch(message)
    if missing and missing[1] in program.unwritten:
        report += (
            f"\n(`{missing[1]}` does not exist yet: call it directly, for example in a comprehension, "
            "and use the results)"
        )
    return ProgramError(
        phase=phase, name=name, message=message, line=line, report=report[:MAX_REPORT_CHARS]
    )


def _phase(error: monty.MontyError, name: str) -> ProgramPhase:
    # What got here parses in Python, so a syntax error of the interpreter is something it lacks.
    if isinstance(error, monty.MontySyntaxError) or name in _LACKING_ERRORS:
        return "unsupported"
    return "limit" if name in _LIMIT_ERRORS else "run"


def _name_and_message(error: monty.MontyError) -> tuple[str, str]:
    try:
        inner = error.exception()
    except (AttributeError, ValueError):
        return type(error).__name__, str(error)
    return type(inner).__name__, str(inner)


def _frames(error: Any, program: Rewritten, code: str) -> list[tuple[int, str]]:
    """Return the lines as written that led to the error, outermost first, each with its text."""
    lines = _LINE_END.split(code)  # as the parser counts them, unlike str.splitlines
    found: list[tuple[int, str]] = []
    for frame in error.traceback() if hasattr(error, "traceback") else []:
        line = program.line_of(frame.line)
        if line is not None and 1 <= line <= len(lines):
            found.append((line, lines[line - 1].strip()))
    return found[-MAX_FRAMES:]


def _plain(phase: ProgramPhase, name: str, message: str) -> ProgramError:
    return ProgramError(
        phase=phase, name=name, message=message, line=None, report=f"{name}: {message}"
    )
