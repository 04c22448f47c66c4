"""How a training goes, on a terminal.

Owns what the bar says and the time that is left.
"""

from rich.console import Console
from rich.progress import TaskID

from agentflow.cli.words import seconds
from agentflow.training.student import fitting
from agentflow_evals.cli.bars import Bars

SMOOTHED = 0.1  # share of a new step in the loss that is shown


class TrainingProgress(Bars):
    """A bar of steps; a context manager around a training."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._first: fitting.Progress | None = None
        self._loss = 0.0
        self._bar: TaskID | None = None

    def hear(self, report: fitting.Progress) -> None:
        """Take in one step."""
        if self._first is None or self._bar is None:
            self._first, self._loss = report, report.loss
            self._bar = self._progress.add_task("training", total=report.steps, note="")
        self._loss += SMOOTHED * (report.loss - self._loss)
        line = self._line(report, self._first)
        self._progress.update(self._bar, completed=report.step, note=line)
        self._print_if_due(f"step {report.step:,} of {report.steps:,}  {line}")

    def _line(self, report: fitting.Progress, first: fitting.Progress) -> str:
        parts = [f"loss {self._loss:.4f}"]
        took = report.seconds - first.seconds
        if took > 0:
            parts.append(f"{(report.tokens - first.tokens) / took:,.0f} tok/s")
            left = took / (report.step - first.step) * (report.steps - report.step)
            parts.append(f"{seconds(left)} left")
        return ", ".join(parts)
