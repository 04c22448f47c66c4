"""The live view of a run on a terminal.

Owns what is on the screen while a run is under way. Without a terminal it prints a line for each
finished flow instead, so that logs stay readable.
"""

from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from agentflow.budget import Budget
from agentflow.cli.tree import live_view, run_tree, status_line
from agentflow.cli.words import clean, seconds
from agentflow.journal.events import Event, StepFailed, StepFinished
from agentflow.journal.records import RunRecord

FRAMES_PER_S = 8
FINAL_TREE_LINES = 60


class Screen:
    """A console that follows one run; a context manager around it."""

    def __init__(self, console: Console, budget: Budget, record: RunRecord) -> None:
        self.record = record
        self._console, self._budget = console, budget
        self._live: Live | None = None

    def __enter__(self) -> "Screen":
        if self._console.is_terminal and not self._console.quiet:
            self._live = Live(
                console=self._console,
                get_renderable=self._frame,
                refresh_per_second=FRAMES_PER_S,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.pause()
        if self.record.root is not None:
            self._console.print(run_tree(self.record, max_lines=FINAL_TREE_LINES))
            self._console.print(status_line(self.record, self._budget))

    def hear(self, event: Event) -> None:
        """Take in one event of the run."""
        self.record.apply(event)
        if self._live is None and isinstance(event, StepFinished | StepFailed):
            step = self.record.steps[event.step]
            if step.kind == "flow":
                took = seconds(step.seconds)
                self._console.print(
                    Text(f"{step.status}: {clean(step.name, 60)} {took}", style="dim")
                )

    def pause(self) -> None:
        """Take the live view off the screen, to speak with the person in front of it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str = "dim") -> None:
        """Print one line below the view."""
        self._console.print(Text(clean(text), style=style))

    def _frame(self) -> RenderableType:
        return live_view(self.record, self._budget, self._console.height)
