"""What is wrong with an evaluation, its suite or its training data."""

from agentflow.errors.base import AgentflowError


class TrainingDataError(AgentflowError):
    """Runs could not be turned into training data; `place` says where, `problem` what to do."""

    def __init__(self, *, place: str, problem: str) -> None:
        self.place, self.problem = place, problem
        super().__init__(f"{place}: {problem}")


class TrainingError(AgentflowError):
    """A model cannot be trained, or not into this folder; `problem` says what to do."""

    def __init__(self, *, folder: str, problem: str) -> None:
        self.folder, self.problem = folder, problem
        super().__init__(f"{folder}: {problem}")


class TrainingStoppedError(TrainingError):
    """A training was stopped by its user; everything up to `step` is kept."""

    def __init__(self, *, folder: str, step: int, steps: int) -> None:
        problem = f"stopped at step {step:,} of {steps:,}; the same command goes on from there"
        super().__init__(folder=folder, problem=problem)
        self.step, self.steps = step, steps


class SuiteError(AgentflowError):
    """A suite's data is missing, damaged or not what it should be; `place` is a file and line or a sample."""

    def __init__(self, *, suite: str, problem: str, place: str = "") -> None:
        self.suite, self.problem, self.place = suite, problem, place
        super().__init__(f"suite {suite}: {place}{': ' if place else ''}{problem}")


class UnjudgedError(AgentflowError):
    """A run of an evaluation ended in a way that says nothing about its planner; a resume tries it again."""

    def __init__(self, *, sample: str, planner: str, model: str, run: str, problem: str) -> None:
        self.sample, self.planner, self.model = sample, planner, model
        self.run, self.problem = run, problem
        super().__init__(f"{sample} under {planner} with {model}: {problem} (run {run})")


class EvaluationError(AgentflowError):
    """An evaluation cannot be started, continued, read or compared as asked."""

    def __init__(self, *, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class EvaluationIncompleteError(EvaluationError):
    """An evaluation went through, but some of its runs say nothing; a resume tries these again."""

    def __init__(self, *, missing: int) -> None:
        self.missing = missing
        super().__init__(problem=f"{missing} runs could not be judged; a resume tries them again")
