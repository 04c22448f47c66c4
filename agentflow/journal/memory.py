"""A journal that lives as long as the process: for replay, and for those who want no file."""

from agentflow.journal.events import Stored


class MemorySink:
    """Keeps the events of one run in a list."""

    def __init__(self) -> None:
        self.events: list[Stored] = []

    def append(self, event: Stored, *, keep: bool = False) -> None:  # noqa: ARG002 - memory keeps nothing
        """Keep one event."""
        self.events.append(event)

    async def durable(self) -> None:
        """Return at once: memory is all there is."""

    async def room(self) -> None:
        """Return at once: there is always room."""
