"""How a training goes, on a terminal.

Owns the bar and the time that is left. Without a terminal it prints a line now and then instead.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from agentflow.cli.words import seconds
from agentflow.training.student import fitting

LINE_EVERY_S = 30.0
SMOOTHED = 0.1  # share of a new step in the loss that is shown


class TrainingProgress:
    """A bar of steps; a context manager around a training."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed = time.monotonic()
        self._first: fitting.Progress | None = None
        self._loss = 0.0
        self._bar: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.quiet,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def hear(self, report: fitting.Progress) -> None:
        """Take in one step."""
        if self._first is None or self._bar is None:
            self._first, self._loss = report, report.loss
            self._bar = self._progress.add_task("training", total=report.steps, note="")
        self._loss += SMOOTHED * (report.loss - self._loss)
        line = self._line(report, self._first)
        self._progress.update(self._bar, completed=report.step, note=line)
        is_due = time.monotonic() - self._printed > LINE_EVERY_S
        if not self._console.is_terminal and is_due:
            self._printed = time.monotonic()
            text = f"step {report.step:,} of {report.steps:,}  {line}"
            self._console.print(text, markup=False, highlight=False)

    def _line(self, report: fitting.Progress, first: fitting.Progress) -> str:
        parts = [f"loss {self._loss:.4f}"]
        took = report.seconds - first.seconds
        if took > 0:
            parts.append(f"{(report.tokens - first.tokens) / took:,.0f} tok/s")
            left = took / (report.step - first.step) * (report.steps - report.step)
            parts.append(f"{seconds(left)} left")
        return ", ".join(parts)
