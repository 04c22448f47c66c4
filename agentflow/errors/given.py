"""What is wrong with what the user wrote or has not installed."""

from agentflow.errors.base import AgentflowError


class TaskFileError(AgentflowError):
    """A task file cannot be used; the message starts with `file:line`."""

    def __init__(self, *, path: str, line: int | None, problem: str) -> None:
        self.path, self.line, self.problem = path, line, problem
        place = path if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {problem}")


class RedactionError(AgentflowError):
    """A redaction rule cannot be used."""

    def __init__(self, *, rule: str, problem: str) -> None:
        self.rule, self.problem = rule, problem
        super().__init__(f"redaction rule {rule!r}: {problem}")


class PluginError(AgentflowError):
    """A planner, tool, scorer or model provider of that name is not installed."""

    def __init__(
        self, *, kind: str, name: str, installed: list[str], near: str | None = None
    ) -> None:
        self.kind, self.name, self.installed, self.near = kind, name, installed, near
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(
            f"unknown {kind} {name!r}{hint} (installed: {', '.join(installed) or 'none'})"
        )


class GraphError(AgentflowError):
    """A declared graph is not a DAG of matching flows; the message names the nodes."""

    def __init__(self, *, graph: str, problem: str) -> None:
        self.graph, self.problem = graph, problem
        super().__init__(f"graph {graph!r}: {problem}")


class PlanError(AgentflowError):
    """A plan's sub-tasks do not form a DAG; the message names the sub-tasks."""

    def __init__(self, *, problem: str) -> None:
        self.problem = problem
        super().__init__(f"plan: {problem}")


class MissingExtraError(AgentflowError):
    """A feature needs packages that are optional; the message is the command that installs them."""

    def __init__(self, *, feature: str, extra: str) -> None:
        self.feature, self.extra = feature, extra
        super().__init__(
            f"{feature} needs optional packages: run `pip install 'agentflow[{extra}]'`"
        )


class MissingProgramError(AgentflowError):
    """A feature needs a program that this machine does not have or cannot run."""

    def __init__(self, *, feature: str, program: str, problem: str, remedy: str) -> None:
        self.feature, self.program, self.problem, self.remedy = feature, program, problem, remedy
        super().__init__(f"{feature} needs {program}: {problem}; {remedy}")
