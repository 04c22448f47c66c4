"""A sink without a store: for replays and dry runs, whose events only their listeners hear."""

from agentflow.journal.events import Stored


class NullSink:
    """Keeps nothing."""

    def append(self, event: Stored, *, keep: bool = False) -> None:
        """Take one event and forget it."""

    async def durable(self) -> None:
        """Return at once: there is nothing to wait for."""

    async def room(self) -> None:
        """Return at once: there is always room."""
