"""What all requests share: the engine, how many are under way, and when no more are taken.

Owns the states of the server: loading, ready, draining, stopping. Knows no API. The event loop of the server calls
everything here but `open`, `drain` and `stop`, which belong to the thread that runs the process.

Always holds: a generation that was begun has ended or is cancelled when its request is over.
"""

import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TypeVar, cast

from anyio import CapacityLimiter, to_thread

from agentflow.errors import ModelError
from agentflow.recurrent.engine import Engine
from agentflow.recurrent.generation import Generation
from agentflow.recurrent.requests import GenerationRequest, Outcome, Piece
from agentflow.recurrent.server.messages import OwnReplies
from agentflow.recurrent.server.metrics import Metrics
from agentflow.recurrent.server.refusals import loading, stopping, unknown_model
from agentflow.recurrent.server.stored import StoredResponses

T = TypeVar("T")
PREPARERS = 1  # tokenizers and grammars are not made for more at once


class Service:
    """The engine as requests see it; without one it is loading.

    `mark` stands in the ids of its responses, where one of several servers must be found again.
    """

    def __init__(self, name: str, engine: Engine | None = None, *, mark: str = "") -> None:
        self.name, self.mark = name, mark
        self.created = int(time.time())
        self.metrics = Metrics()
        self.own = OwnReplies()
        self.stored = StoredResponses(self._unpin)
        self.active = 0
        self._engine = engine
        self._limiter = CapacityLimiter(PREPARERS)
        self._lock = threading.Lock()
        self._live: set[Generation] = set()
        self._is_draining = self._is_stopping = False
        self._tell_idle: Callable[[], None] | None = None

    # For the thread that runs the process -------------------------------------------------

    def open(self, engine: Engine) -> None:
        """Begin to take requests."""
        self._engine = engine

    def drain(self, tell_idle: Callable[[], None]) -> None:
        """Take no more requests; `tell_idle` is called when none is under way, from any thread."""
        with self._lock:
            self._is_draining, self._tell_idle = True, tell_idle
            is_idle = not self.active
        if is_idle:
            tell_idle()

    def stop(self) -> None:
        """Cancel what is under way."""
        with self._lock:
            self._is_draining = self._is_stopping = True
            live = list(self._live)
        for generation in live:
            generation.cancel()

    # For requests -------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self.state == "ready"

    @property
    def state(self) -> str:
        """One word for people and for what watches the server."""
        if self._is_draining:
            return "draining"
        if self._engine is None:
            return "loading"
        return "ready" if self._engine.is_ready else "closed"

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            Refusal: The model is still being loaded.
        """
        if self._engine is None:
            raise loading()
        return self._engine

    @property
    def loaded(self) -> Engine | None:
        """The engine; None while the model is being loaded."""
        return self._engine

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count a request while it is under way.

        Raises:
            Refusal: None are taken now.
        """
        with self._lock:
            if self._is_draining:
                raise stopping()
            self.active += 1
        try:
            yield
        finally:
            with self._lock:
                self.active -= 1
                tell = self._tell_idle if not self.active else None
            if tell is not None:
                tell()

    def check_model(self, name: str) -> None:
        """Refuse a request that is meant for another model."""
        if name != self.name:
            raise unknown_model(name, self.name)

    async def prepare(self, work: Callable[[], T]) -> T:
        """Return what `work` does in a thread: reading texts and grammars takes longer than others should wait."""
        return await to_thread.run_sync(work, limiter=self._limiter)

    @contextmanager
    def generating(self, requests: Sequence[GenerationRequest]) -> Iterator[list[Generation]]:
        """Begin generations, all or none; none of them goes on after the block.

        Raises:
            ModelError: The engine does not take them.
        """
        begun: list[Generation] = []
        try:
            for request in requests:
                begun.append(self._begin(request))  # noqa: PERF401 - the next one may be refused
            yield begun
        finally:
            with self._lock:
                self._live.difference_update(begun)
            for generation in begun:
                generation.cancel()

    async def follow(
        self, generation: Generation, take: Callable[[Piece], Awaitable[None]]
    ) -> Outcome:
        """Hand each piece to `take` as it comes, and return the outcome.

        Raises:
            ModelError: The engine failed.
            Refusal: The server stops.
        """
        try:
            outcome = await self._followed(generation, take)
        except ModelError:
            if self._is_stopping:
                raise stopping() from None
            raise
        if outcome.finish == "cancelled":
            raise stopping()
        return outcome

    async def _followed(
        self, generation: Generation, take: Callable[[Piece], Awaitable[None]]
    ) -> Outcome:
        observe, before = self.metrics.first_token.observe, time.perf_counter()
        pieces = cast("AsyncGenerator[Piece, None]", aiter(generation))
        async with aclosing(pieces):
            async for piece in pieces:
                now = time.perf_counter()
                observe(now - before)
                observe, before = self.metrics.per_token.observe, now
                await take(piece)
        return await generation.outcome()

    def _begin(self, request: GenerationRequest) -> Generation:
        generation = self.engine.submit(request)
        with self._lock:
            self._live.add(generation)
            is_late = self._is_stopping
        if is_late:
            generation.cancel()
        return generation

    def _unpin(self, handle: str) -> None:
        self.engine.unpin(handle)


def short_name(model: str) -> str:
    """Return what clients call a model: a folder's own name, so that no path of this machine is told."""
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else model
