"""Notice when a run can do nothing more without help from outside.

Owns the count of steps at work: open, without an open child, and not parked. A parked step waits for
something that nobody in the run can give (an answer of a person; in a dry run, a result). When every
step that is open waits for a parked one, the run is idle and whoever asked is told.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentflow.engine.run import Step

GRACE_S = 0.05  # time for code between two steps to begin the next one


class Idleness:
    """The count of one run; `on_idle` is called once, when the run has been idle for `grace_s`."""

    def __init__(self, grace_s: float = 0.0) -> None:
        self._grace_s = max(grace_s, GRACE_S)
        self.on_idle: Callable[[], None] | None = None
        self.parked: dict[Step, str] = {}
        self._at_work = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, parent: "Step") -> None:
        """Count a step that begins below `parent`."""
        if parent.open_children or not parent.number:
            self._at_work += 1
        parent.open_children += 1

    def end(self, parent: "Step") -> None:
        """Count a step of `parent` that ends."""
        parent.open_children -= 1
        if parent.open_children or not parent.number:
            self._at_work -= 1
            if self.parked:
                self._look()

    def park(self, step: "Step", what: str = "") -> None:
        """Count a step out that waits for `what` outside."""
        self.parked[step] = what
        self._at_work -= 1
        self._look()

    def go_on(self, step: "Step") -> None:
        """Count a parked step in again."""
        del self.parked[step]
        self._at_work += 1

    def stop(self) -> None:
        """Tell nobody any more."""
        self.on_idle = None
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._at_work > 0 or self.on_idle is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._tell)

    def _tell(self) -> None:
        self._timer = None
        if self._at_work <= 0 and self.parked and self.on_idle is not None:
            tell, self.on_idle = self.on_idle, None
            tell()
