"""What running generated code came to."""

from typing import Literal

from agentflow.errors.base import AgentflowError

ProgramPhase = Literal["parse", "run", "limit", "crash", "unsupported"]


class SandboxUnavailableError(AgentflowError):
    """Generated code cannot be confined on this machine; the message says what to install."""

    def __init__(self, *, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"no sandbox: {problem}; {remedy}")


class ProgramError(AgentflowError):
    """Generated code failed inside the sandbox.

    `line` counts from 1 in the program as written; `report` is the traceback as a model reads it.
    """

    def __init__(
        self, *, phase: ProgramPhase, name: str, message: str, line: int | None, report: str
    ) -> None:
        self.phase, self.name, self.message = phase, name, message
        self.line, self.report = line, report
        place = "" if line is None else f" (line {line})"
        super().__init__(f"program: {name}: {message}{place}")
