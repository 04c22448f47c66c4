"""The answer's text while a model writes it, where it is known which model writes the answer.

Owns which text that is: that of the first model called directly by a step of one of the names given. What has been told
is never taken back; if it turns out not to be the beginning of the answer, whoever told it is told so.
"""

from collections.abc import Collection

import anyio

from agentflow.journal.events import Event, Noted, StepStarted, TextStreamed


class LiveText:
    """What one reader was told; `steps` are names of steps, none for a reader that is told only the end."""

    def __init__(self, steps: Collection[str]) -> None:
        self._names = frozenset(steps)
        self._above: set[int] = set()
        self._step: int | None = None
        self._text = self._told = ""
        self._news = anyio.Event()

    async def wait(self) -> None:
        """Return when something has happened since the last time."""
        await self._news.wait()
        self._news = anyio.Event()

    def hear(self, event: Event | None) -> None:
        """Take in one event of the run; None is another state of it."""
        match event:
            case None:
                self._news.set()
            case StepStarted(kind="flow") if event.name in self._names:
                self._above.add(event.step)
            case StepStarted(kind="model") if self._step is None and event.parent in self._above:
                self._step = event.step
            case Noted() if event.step == self._step and "retry" in event.details:
                self._text = ""  # it is written anew
            case TextStreamed() if event.step == self._step:
                self._text += event.text
                self._news.set()

    def take(self) -> str:
        """Return what is known beyond what was told; empty for nothing."""
        known = self._text.strip()  # the ends may be cut off yet
        if len(known) <= len(self._told) or not known.startswith(self._told):
            return ""
        news = known[len(self._told) :]
        self._told = known
        return news

    def rest_of(self, answer: str) -> str | None:
        """Return what of the answer was not told; None if what was told is not its beginning."""
        whole = answer.lstrip() if self._told else answer
        return whole[len(self._told) :] if whole.startswith(self._told) else None
