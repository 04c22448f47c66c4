"""Text that models stream to the runs of this process, for a page that looks on.

Owns the pieces while a step is under way; when it has ended, its text is in the journal. Knows no HTTP.
The run only appends to a list: a reader, however slow, never holds it up. What is kept has a bound, and
a reader comes round often enough to look immediate.
"""

from collections.abc import AsyncIterator

import anyio

from agentflow.journal.events import (
    Event,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    TextStreamed,
)

POLL_S = 0.05
MAX_CHARACTERS = 8_000_000  # of all steps under way in one run


class StreamedText:
    """The text of one step so far: one writer, any number of readers in other threads."""

    __slots__ = ("is_ended", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.is_ended = False

    async def follow(self, start: int = 0) -> AsyncIterator[str]:
        """Yield the text from character `start` on, as it comes, until the step ends."""
        read = 0
        while True:
            is_ended = (
                self.is_ended
            )  # before looking: a piece that comes later is for the next round
            count = len(self.pieces)
            text = "".join(self.pieces[read:count])
            read = count
            if text[start:]:
                yield text[start:]
            start = max(0, start - len(text))
            if is_ended:
                return
            await anyio.sleep(POLL_S)


class LiveRun:
    """The steps of one run that are under way; `hear` is for `Runner(on_event=…)`."""

    def __init__(self, *, max_characters: int = MAX_CHARACTERS) -> None:
        self.is_over = False
        self._steps: dict[int, StreamedText] = {}
        self._left = max_characters

    def hear(self, event: Event) -> None:
        """Take in one event of the run."""
        match event:
            case TextStreamed():
                self._add(event)
            case StepStarted(kind="model"):
                self._steps[event.step] = StreamedText()
            case StepFinished() | StepFailed() | StepCancelled():
                self._end(event.step)
            case RunFinished():
                self.end()

    def text(self, step: int) -> StreamedText | None:
        """Return the text of a step; None when it is not under way."""
        return self._steps.get(step)

    def end(self) -> None:
        """End every step: the run is over, or nobody is to look on any more."""
        self.is_over = True
        for step in list(self._steps):
            self._end(step)

    def _add(self, event: TextStreamed) -> None:
        streamed = self._steps.get(event.step)
        if streamed is None or self._left < len(event.text):
            return  # the whole text is in the journal when the step has ended
        self._left -= len(event.text)
        streamed.pieces.append(event.text)

    def _end(self, step: int) -> None:
        streamed = self._steps.pop(step, None)
        if streamed is not None:
            self._left += sum(map(len, streamed.pieces))
            streamed.is_ended = True


class LiveRuns:
    """The runs of this process by id."""

    def __init__(self) -> None:
        self._runs: dict[str, LiveRun] = {}

    def begin(self, run: str) -> LiveRun:
        """Return the run of that id, to be told what happens."""
        return self._runs.setdefault(run, LiveRun())

    def get(self, run: str) -> LiveRun | None:
        """Return a run that goes on in this process, else None."""
        found = self._runs.get(run)
        return None if found is None or found.is_over else found

    def end(self) -> None:
        """End them all."""
        for run in list(self._runs.values()):
            run.end()
