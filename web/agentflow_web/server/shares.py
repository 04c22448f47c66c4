"""The route that gives a run as a file to pass on, or tells what would be in it.

Owns the way from a file that is written to a reply: it is written whole before the first byte is sent, so
that an error is an error and no half of a file.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as lazily
from typing import IO, Any, TypeVar

from anyio import CapacityLimiter, from_thread, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agentflow.journal.store import Store
from agentflow_web.server.endpoint import answered
from agentflow_web.server.parameters import body_of, field, optional, run_in, texts
from agentflow_web.server.replies import bad, reply
from agentflow_web.sharing.bundle import Options, Written, write_bundle

T = TypeVar("T")
AT_ONCE = 2  # a large run takes a processor for a minute
PIECE_BYTES = 256 * 1024


class _Pieces(StreamingResponse):
    """A file on its way; the request, which has been read to its end, is not listened to any more."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await self.stream_response(send)


@dataclass(frozen=True)
class Shares:
    """The handler of one server."""

    store: Store
    threads: CapacityLimiter = lazily(default_factory=lambda: CapacityLimiter(AT_ONCE))

    def routes(self) -> Sequence[Route]:
        """Return the routes, below `/api`."""
        return [Route("/api/runs/{run}/export", answered(self.export), methods=["POST"])]

    async def export(self, request: Request) -> Response:
        """Give a run as one page, or tell what would be in it."""
        run, body = run_in(request), await body_of(request)
        options = _options(body)
        if field(body, "preview", bool):
            told = await self._run(lambda: self._write(len, run, options))
            found = {"steps": told.steps, "bytes": told.size_bytes, "findings": told.findings}
            return reply(found)
        file = await self._run(lambda: self._file(run, options))
        name = f'attachment; filename="{run}.html"'
        headers = {"content-disposition": name, "content-length": str(_size(file))}
        return _Pieces(_pieces(file), headers=headers, media_type="text/html")

    def _file(self, run: str, options: Options) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it
        try:
            self._write(file.write, run, options)
        except BaseException:
            file.close()
            raise
        return file

    def _write(self, write: Callable[[bytes], object], run: str, options: Options) -> Written:
        stop = from_thread.check_cancelled
        return write_bundle(write, self.store, run, options, between=stop)

    async def _run(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self.threads)


def _options(body: dict[str, Any]) -> Options:
    under = optional(body, "under", int)
    if under is not None and under < 1:
        raise bad("under", "is the number of a step")
    contents = optional(body, "contents", bool)
    return Options(
        under=under,
        contents=True if contents is None else contents,
        redact=texts(body, "redact"),
    )


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
