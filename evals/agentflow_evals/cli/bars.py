"""Bars on a terminal, for work that takes long; without a terminal a line now and then instead.

Owns how they look and when a line is due. What they count is theirs who use them.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

LINE_EVERY_S = 30.0


class Bars:
    """Base of the bars of one piece of work; a context manager around it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed = time.monotonic()
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

    def _print_if_due(self, line: str) -> None:
        """Print a line where there is no terminal, unless one was printed just now."""
        if not self._console.is_terminal and time.monotonic() - self._printed > LINE_EVERY_S:
            self._printed = time.monotonic()
            self._console.print(line, markup=False, highlight=False)
