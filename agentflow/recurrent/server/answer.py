"""Send one answer: JSON, or events as they happen.

Owns the bytes on the wire. The status goes out with the first of them, so what fails later is told as an event.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Send

from agentflow.recurrent.server.refusals import Refusal

EVENTS = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
JSON = {"content-type": "application/json"}


class Answer:
    """The answer to one request; `status` is None until something was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def json(
        self, value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the whole answer."""
        await self.whole(_data(value), status, {**JSON, **(headers or {})})

    async def whole(self, data: bytes, status: int, headers: Mapping[str, str]) -> None:
        """Send the whole answer as bytes."""
        await self._start(status, {**headers, "content-length": str(len(data))})
        await self._body(data, is_last=True)

    async def begin(self) -> None:
        """Begin a stream before there is an event, so that a client knows that it was let in."""
        await self._start(200, EVENTS)

    async def event(self, value: dict[str, Any], *, name: str | None = None) -> None:
        """Send one event of a stream."""
        if self.status is None:
            await self.begin()
        line = b"" if name is None else b"event: " + name.encode() + b"\n"
        await self._body(line + b"data: " + _data(value) + b"\n\n", is_last=False)

    async def end(self, mark: bytes = b"") -> None:
        """End a stream."""
        await self._body(mark, is_last=True)

    async def refuse(self, refusal: Refusal) -> None:
        """Say no: as the answer, or as the last event of a stream that has begun."""
        if self.status is None:
            await self.json(refusal.body, refusal.status, refusal.headers)
            return
        self.status = refusal.status
        await self.event(refusal.body, name="error")
        await self.end()

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _body(self, data: bytes, *, is_last: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})


def _data(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate has no UTF-8, but an escape in JSON.
    return text.encode("utf-8", errors="backslashreplace")
