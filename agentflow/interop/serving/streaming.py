"""Send events while somebody reads them.

Owns the bytes around a stream, and that whatever makes it ends when its reader goes away. A comment now and then keeps a
silent stream alive; readers skip it.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial

from starlette.types import Receive, Scope, Send

from agentflow.cancelling import unless
from agentflow.guarding import gone

HEADERS = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}


class EventStream:
    """An ASGI answer made of events."""

    def __init__(
        self, events: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None
    ) -> None:
        self._events, self._headers = events, HEADERS | dict(headers or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the events."""
        pairs = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})

        async def sent() -> None:
            async with aclosing(self._events) as events:
                async for data in events:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await unless(partial(gone, receive), sent)
