"""The routes that read.

Owns how a request names what it wants, and what a browser may keep. What is read comes from
`agentflow_web.reading`, in threads, so that a slow query holds up nobody else.
"""

import gzip
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, TypeVar, get_args

from anyio import CapacityLimiter, from_thread, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from agentflow.cancelling import unless
from agentflow.guarding import gone
from agentflow.journal.annotations import Annotation, read_annotations
from agentflow.journal.store import Store
from agentflow_web.reading.comparing import compare
from agentflow_web.reading.index import Indexes
from agentflow_web.reading.pages import MOST_EVENTS, Encoded, Pages
from agentflow_web.reading.runs import MOST_HEADS, run, runs
from agentflow_web.reading.search import MOST_FOUND, PARTS, search, split_words
from agentflow_web.reading.step import MOST_STEPS, Part, part_of, steps
from agentflow_web.server.endpoint import answered
from agentflow_web.server.live import LiveRuns, StreamedText
from agentflow_web.server.packing import takes_gzip
from agentflow_web.server.parameters import checked_run, number, number_in, numbers, one_of, run_in
from agentflow_web.server.replies import Refusal, bad, reply
from agentflow_web.server.static import is_known

TEXT = "text/plain; charset=utf-8"
PAGE_EVENTS = 60_000
THREADS = 8  # below the connections that a store keeps
SEARCHES = 2  # each may go through gigabytes; the others wait, not the rest of the page
STATUSES = ("", "running", "succeeded", "failed", "interrupted", "paused", "stopped")
# By token: another viewer at this address may serve another journal.
FOR_EVER = {"cache-control": "private, max-age=31536000, immutable", "vary": "authorization"}

T = TypeVar("T")


@dataclass(frozen=True)
class Reads:
    """The handlers of one server; `folder` is where its commands run."""

    store: Store
    live: LiveRuns
    folder: Path
    indexes: Indexes
    pages: Pages = field(default_factory=Pages)
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(THREADS))
    searches: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(SEARCHES))

    def routes(self) -> Sequence[Route]:
        """Return the routes, below `/api`."""
        run = "/api/runs/{run}"
        handlers = {
            "/api/runs": self.list_runs,
            "/api/live": self.list_running,
            "/api/compare": self.compare,
            run: self.show_run,
            f"{run}/changes": self.changes,
            f"{run}/steps": self.show_steps,
            f"{run}/steps/{{step}}/content": self.content,
            f"{run}/search": self.search,
            f"{run}/annotations": self.annotations,
            f"{run}/live/{{step}}": self.stream,
        }
        return [
            Route(path, answered(handler), methods=["GET"]) for path, handler in handlers.items()
        ]

    async def list_runs(self, request: Request) -> Response:
        """List runs, newest first."""
        wanted = partial(
            runs,
            self.store,
            after=request.query_params.get("after", ""),
            limit=number(request, "limit", 100, low=1, high=MOST_HEADS),
            words=request.query_params.get("q", "").split(),
            status=one_of(request, "status", STATUSES),
        )
        try:
            return reply(await self._read(wanted))
        except ValueError as error:
            raise bad("after", str(error)) from error

    async def list_running(self, _request: Request) -> Response:
        """List the ids of runs that are going on."""
        found = await self._read(partial(runs, self.store, status="running", limit=MOST_HEADS))
        return reply({"runs": [head["id"] for head in found["runs"]]})

    async def show_run(self, request: Request) -> Response:
        """Show one run, without its steps."""
        return reply(await self._read(partial(self._run, run_in(request))))

    async def changes(self, request: Request) -> Response:
        """Give the next events of a run."""
        name, after = run_in(request), number(request, "after", 0)
        limit = number(request, "limit", PAGE_EVENTS, low=1, high=MOST_EVENTS)
        page = await self._read(lambda: self.pages.encoded(self.indexes.of(name), after, limit))
        return _page(request, page)

    async def show_steps(self, request: Request) -> Response:
        """Show some steps with what went in and came out."""
        wanted = numbers(request, "numbers", at_most=MOST_STEPS)
        name = run_in(request)

        def read() -> list[dict[str, Any]]:
            index = self.indexes.of(name)
            return steps(index, wanted, read_annotations(self.store, name, None))

        return reply({"steps": await self._read(read)})

    async def content(self, request: Request) -> Response:
        """Give one content of a step, whole."""
        part: Part = one_of(request, "part", get_args(Part))  # type: ignore[assignment]  # it is one
        name, step, place = run_in(request), number_in(request, "step"), number(request, "index", 0)
        text = await self._read(lambda: part_of(self.indexes.of(name), step, part, place))
        if text is None:
            raise Refusal(404, "UnknownContent", f"step {step} has no {part}")
        return Response(text.encode("utf-8", errors="replace"), media_type=TEXT)

    async def search(self, request: Request) -> Response:
        """Find the steps whose contents have all words; a client that goes away ends the search."""
        name = run_in(request)
        parts = request.query_params.get("in", ",".join(PARTS)).split(",")
        limit = number(request, "limit", MOST_FOUND, low=1, high=MOST_FOUND)
        if unknown := [part for part in parts if part not in PARTS]:
            raise bad("in", f"{unknown[0][:40]!r} is none of {', '.join(PARTS)}")
        try:
            words = split_words(request.query_params.get("q", ""))
        except ValueError as error:
            raise bad("q", str(error)) from error

        def look() -> dict[str, Any]:
            index = self.indexes.of(name)
            between = from_thread.check_cancelled
            return search(index, words, parts=parts, limit=limit, between=between)

        work = partial(to_thread.run_sync, look, limiter=self.searches)
        return reply(await _while_awaited(request, work))

    async def annotations(self, request: Request) -> Response:
        """List what people have written on a run."""
        name = run_in(request)

        def read() -> list[Annotation]:
            self.indexes.of(name)  # the whole id, no abbreviation
            return read_annotations(self.store, name, None)

        return reply({"annotations": [asdict(one) for one in await self._read(read)]})

    async def compare(self, request: Request) -> Response:
        """Compare two runs."""
        left, right = (checked_run(request.query_params.get(name, "")) for name in ("a", "b"))
        return reply(
            await self._read(lambda: compare(self.indexes.of(left), self.indexes.of(right)))
        )

    async def stream(self, request: Request) -> Response:
        """Give the text of a step as a model writes it."""
        found, step = self.live.get(run_in(request)), number_in(request, "step")
        if found is None:
            raise Refusal(404, "NotLive", "this run does not go on in the viewer's own process")
        text = found.text(step)
        body = _nothing() if text is None else _encoded(text, number(request, "from", 0))
        return StreamingResponse(body, media_type=TEXT)

    def _run(self, name: str) -> dict[str, Any]:
        is_live = self.live.get(name) is not None
        found = run(self.indexes.of(name), is_live=is_live)
        return found | {"cwd_ok": _can_be_found(found["target"], self.folder)}

    async def _read(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self.threads)


def _can_be_found(target: str, folder: Path) -> bool:
    """Whether a command in `folder` would find a flow; nothing is imported for that."""
    module, _, name = target.partition(":")
    package = module.partition(".")[0]
    if not name.isidentifier() or not package:
        return False
    return PathFinder.find_spec(package, [*sys.path, str(folder)]) is not None


def _page(request: Request, page: Encoded) -> Response:
    headers = {"etag": f'"{page.etag}"', **FOR_EVER} if page.is_final else {}
    if page.is_final and is_known(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    if not takes_gzip(request):
        return Response(gzip.decompress(page.body), headers=headers, media_type="application/json")
    packed = {"content-encoding": "gzip"}
    return Response(page.body, headers=headers | packed, media_type="application/json")


async def _while_awaited(request: Request, work: Callable[[], Any]) -> Any:
    """Return what `work` gives; it is cancelled when the client has gone."""
    done = await unless(partial(gone, request.receive), work)
    if done is None:
        raise Refusal(499, "ClientGone", "nobody waits for this any more")
    return done[0]


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # an iterator, though it gives nothing


async def _encoded(text: StreamedText, start: int) -> AsyncIterator[bytes]:
    async for piece in text.follow(start):
        yield piece.encode("utf-8", errors="replace")
