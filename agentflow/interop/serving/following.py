"""Follow a run's events as they happen, from any of them on.

Owns the stream of one reader: what the journal has, in order and without a gap, then what comes; between them the text
that models are writing, which is nowhere kept. A reader that is too slow misses such text, and nothing else.
"""

from collections import deque
from collections.abc import AsyncIterator
from functools import partial

import anyio

from agentflow.interop.serving.accepted import Accepted
from agentflow.interop.serving.carrying import Carrier
from agentflow.interop.serving.views import ENDED, status_of, told_event
from agentflow.journal.events import Event, TextStreamed

MOST_PIECES = 2000  # of text that a reader has not taken yet
COMMIT_S = 0.05  # how far the journal may trail behind what was heard
LOOK_S = 2.0  # how often to look after a run that another process carries out
ALIVE_S = 15.0  # after so long a silence a line is sent, so that nothing between takes it for dead
ALIVE = b": waiting\n\n"


class Following:
    """One reader of one run; `after` is the number of the last event it knows."""

    def __init__(self, carrier: Carrier, run: Accepted, after: int, stopping: anyio.Event) -> None:
        self._carrier, self._run, self._after = carrier, run, after
        self.run, self._stopping = run.id, stopping
        self._texts: deque[TextStreamed] = deque(maxlen=MOST_PIECES)
        self._heard = after
        self._news = anyio.Event()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the events as they go over the wire, until the run is over or the server stops."""
        with self._carrier.hearing(self.run, self._hear):
            silent_s = 0.0
            while not self._stopping.is_set():
                self._news = anyio.Event()
                status = await self._status()  # first: what comes later is for the next round
                sent = False
                async for data in self._new():
                    sent = True
                    yield data
                if status in ENDED:
                    return
                silent_s = 0.0 if sent else silent_s
                wait_s = self._patience_s(status)
                silent_s += wait_s
                if silent_s > ALIVE_S:
                    silent_s = 0.0
                    yield ALIVE
                with anyio.move_on_after(wait_s):
                    await self._news.wait()
                    await anyio.sleep(COMMIT_S)  # many come at once

    async def _new(self) -> AsyncIterator[bytes]:
        texts, self._texts = self._texts, deque(maxlen=MOST_PIECES)
        while data := await self._carrier.read(self._next):
            yield data
        if texts:
            yield b"".join(told_event(text, self.run) for text in texts)

    def _next(self) -> bytes:
        """Return the next events, some of a long run's, as they go over the wire."""
        events = self._carrier.runs.events(self._run, self._after)
        if events:
            self._after = events[-1].number
        return b"".join(told_event(event, self.run) for event in events)

    async def _status(self) -> str:
        """Return how the run stands; while it is still here, its last event is not written."""
        job = self._carrier.job(self.run)
        found = await self._carrier.found(self.run)
        status = status_of(found, None if job is None else job.state)
        return "ending" if job is not None and status in ENDED else status

    def _patience_s(self, status: str) -> float:
        if self._heard > self._after:
            return COMMIT_S
        return LOOK_S if status == "running" and not self._carrier.job(self.run) else ALIVE_S

    def _hear(self, event: Event | None) -> None:
        if isinstance(event, TextStreamed):
            self._texts.append(event)
        elif event is not None:
            self._heard = event.number
        self._news.set()


async def is_over(carrier: Carrier, run: Accepted, after: int) -> bool:
    """Return whether a reader that knows event `after` has nothing more to hear of a run."""
    if status_of(run, None) not in ENDED or carrier.job(run.id) is not None:
        return False
    return not await carrier.read(partial(carrier.runs.events, run, after))
