"""What is wrong with a record, or with going on from it."""

from agentflow.errors.base import AgentflowError


class JournalError(AgentflowError):
    """The journal cannot be read or written; `problem` says why and what to do."""

    def __init__(self, *, store: str, problem: str) -> None:
        self.store, self.problem = store, problem
        super().__init__(f"journal {store}: {problem}")


class UnknownRunError(JournalError):
    """There is no such run in the journal."""


class RunBusyError(JournalError):
    """Another process writes this run; a run has one writer at a time."""


class LeaseLostError(JournalError):
    """Another process has taken this run over, so nothing more may be written here."""


class AnnotationError(AgentflowError):
    """A person's remark on a run cannot be written or removed; `problem` says why."""

    def __init__(self, *, run: str, problem: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"annotation of run {run}: {problem}")


class ExportError(AgentflowError):
    """A run cannot be written as a file to share; `problem` says why."""

    def __init__(self, *, run: str, problem: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"export of run {run}: {problem}")


class MissingStepError(AgentflowError):
    """A replay came to a step that the journal does not hold."""

    def __init__(self, *, step: str, run: str) -> None:
        self.step, self.run = step, run
        super().__init__(
            f"run {run} holds no result for {step}: it was cut short there, so it cannot be replayed"
        )


class DriftError(AgentflowError):
    """A step's input differs from the recorded one: the code or its inputs have changed."""

    def __init__(self, *, step: str, run: str, recorded: str, now: str) -> None:
        self.step, self.run, self.recorded, self.now = step, run, recorded, now
        super().__init__(f"{step}: input differs from run {run}: recorded {recorded}, now {now}")


class CodeChangedError(AgentflowError):
    """Flows of a run that is to go on have other code than when they were recorded."""

    def __init__(self, *, run: str, changes: dict[str, list[int]]) -> None:
        self.run, self.changes = run, changes
        parts = [
            f"{flow} (steps {', '.join(map(str, steps))})" if steps else flow
            for flow, steps in changes.items()
        ]
        super().__init__(
            f"the code has changed since run {run} recorded it: {'; '.join(parts)}. Go on with the "
            "new code and keep finished steps: accept_changes=True, or `--accept-changes`"
        )


class ForkError(AgentflowError):
    """A fork as asked for makes no sense; the message says what can be changed at that step."""

    def __init__(self, *, run: str, problem: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"fork of run {run}: {problem}")
