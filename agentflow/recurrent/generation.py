"""One generation as whoever asked for it sees it.

Owns the way from the engine's thread to the asker's: asyncio or another thread. Pieces wait here until they are
read, at most `max_tokens` of them, so a slow reader holds up nobody.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from threading import Condition

from agentflow.errors import ModelError
from agentflow.recurrent.requests import GenerationRequest, Outcome, Piece


class Generation:
    """Pieces as they come, then the outcome. Every method may be called from any thread."""

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self._changed = Condition()
        self._pieces: deque[Piece] = deque()
        self._outcome: Outcome | None = None
        self._error: ModelError | None = None
        self._is_cancelled = False
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    # For who asked ------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop at the next step; the outcome then has the finish `cancelled`. Again or later does nothing."""
        self._is_cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to stop."""
        return self._is_cancelled

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces in another thread than an event loop's.

        Raises:
            ModelError: The engine failed.
        """
        while True:
            with self._changed:
                self._changed.wait_for(self._has_news)
                if not self._pieces:
                    break
                piece = self._pieces.popleft()
            yield piece
        self._raise_error()

    def wait(self) -> Outcome:
        """Wait for the end; pieces that were not read are dropped.

        Raises:
            ModelError: The engine failed.
        """
        for _piece in self.pieces():
            pass
        assert self._outcome is not None
        return self._outcome

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """Yield the pieces in an event loop; leaving early does not cancel.

        Raises:
            ModelError: The engine failed.
        """
        news = asyncio.Event()
        with self._changed:
            self._listeners[news] = asyncio.get_running_loop()
        try:
            while True:
                news.clear()
                with self._changed:
                    piece = self._pieces.popleft() if self._pieces else None
                    is_over = self._is_over
                if piece is not None:
                    yield piece
                elif is_over:
                    break
                else:
                    await news.wait()
        finally:
            with self._changed:
                del self._listeners[news]
        self._raise_error()

    async def outcome(self) -> Outcome:
        """Wait for the end in an event loop; a cancelled wait cancels the generation.

        Raises:
            ModelError: The engine failed.
        """
        try:
            async for _piece in self:
                pass
        except asyncio.CancelledError:
            self.cancel()
            raise
        assert self._outcome is not None
        return self._outcome

    # For the engine -----------------------------------------------------------------------

    def tell(self, piece: Piece) -> None:
        """Hand a piece over."""
        with self._changed:
            self._pieces.append(piece)
            self._notify()

    def finish(self, end: Outcome | ModelError) -> None:
        """Hand the outcome or the failure over."""
        with self._changed:
            if self._is_over:
                return
            if isinstance(end, Outcome):
                self._outcome = end
            else:
                self._error = end
            self._notify()

    @property
    def _is_over(self) -> bool:
        return self._outcome is not None or self._error is not None

    def _has_news(self) -> bool:
        return bool(self._pieces) or self._is_over

    def _notify(self) -> None:
        self._changed.notify_all()
        for news, loop in self._listeners.items():
            with contextlib.suppress(RuntimeError):  # that loop is gone, and with it who listened
                loop.call_soon_threadsafe(news.set)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
