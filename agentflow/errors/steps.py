"""What a flow, tool or budget came to."""

from typing import Any, Literal

from agentflow.errors.base import AgentflowError

BudgetKind = Literal["tokens", "usd", "seconds", "depth", "width", "steps"]


class NoRunError(AgentflowError):
    """A flow, tool, model or person was called outside a run."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} was called outside a run: start one with agentflow.run({name}, ...)"
        )


class InputError(AgentflowError):
    """A step was called with input that does not fit its declared types."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step}: input: {problem}")


class OutputError(AgentflowError):
    """A step returned something that does not fit its declared type."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step}: output: {problem}")


class PayloadError(AgentflowError):
    """A value cannot be written to the journal; `problem` says where in the value."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(
            f"{step}: {problem}, so the journal cannot store it: "
            "annotate the parameter or return type, or pass plain data"
        )


class BudgetExceededError(AgentflowError):
    """A step was refused because the tree's budget does not cover it, or one `shared` with other trees."""

    def __init__(
        self, *, kind: BudgetKind, limit: float, used: float, step: str, shared: bool = False
    ) -> None:
        self.kind, self.limit, self.used, self.step = kind, limit, used, step
        self.shared = shared
        super().__init__(
            f"{step}: refused, the budget of {limit:g} {kind} does not cover it "
            f"({used:g} in use); raise `budget.{kind}`"
        )


class ExitError(AgentflowError):
    """A flow, or a branch of one, called `sys.exit`: it would end whatever process it runs in."""

    def __init__(self, *, step: str, code: str) -> None:
        self.step, self.code = step, code
        super().__init__(f"{step}: called sys.exit({code}): return, or raise an error, instead")


class ToolError(AgentflowError):
    """A tool raised; carries the type and message of what it raised."""

    def __init__(self, *, tool: str, name: str, message: str) -> None:
        self.tool, self.name, self.message = tool, name, message
        super().__init__(f"tool {tool}: {name}: {message}")


class EpisodeOverError(ToolError):
    """An action came after the end of its environment's episode; nothing happened."""

    def __init__(self, *, tool: str) -> None:
        message = "the episode is over, so nothing happened; act no more and give your answer"
        super().__init__(tool=tool, name="EpisodeOverError", message=message)


class AskError(AgentflowError):
    """A question to a person has no answer: nobody is there, or the answer does not fit."""

    def __init__(self, *, question: str, problem: str) -> None:
        self.question, self.problem = question, problem
        super().__init__(f"ask {question!r}: {problem}")


class RunPausedError(AgentflowError):
    """A run can do no more until a person has answered; it is recorded and can be resumed."""

    def __init__(self, *, run: str, questions: list[dict[str, Any]]) -> None:
        self.run, self.questions = run, questions
        asked = "; ".join(f"step {item['step']}: {item['text']}" for item in questions)
        super().__init__(
            f"run {run} is paused: {asked or 'a result from outside is missing'} "
            f"(answer with `agentflow answer {run} ...`, then `agentflow resume {run}`)"
        )


class EnvironmentRestoreError(AgentflowError):
    """A stateful tool could not be brought back to the state its recorded actions led to."""

    def __init__(self, *, environment: str, problem: str) -> None:
        self.environment, self.problem = environment, problem
        super().__init__(f"environment {environment}: {problem}")


class ExpansionError(AgentflowError):
    """A planner could not turn a task or a placeholder into something that runs."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step}: {problem}")
