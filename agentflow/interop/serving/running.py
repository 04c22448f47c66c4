"""The routes of flows and runs.

Owns how a request names what it wants, and the answers around runs. A run belongs to the journal: what a connection does
changes nothing of it.
"""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from agentflow.errors import InputError
from agentflow.interop.serving import refusals, views
from agentflow.interop.serving.carrying import Carrier
from agentflow.interop.serving.conversing import read_object, wrong
from agentflow.interop.serving.following import Following, is_over
from agentflow.interop.serving.keys import idempotency_key
from agentflow.interop.serving.offers import Offer, plain
from agentflow.interop.serving.refusals import bad
from agentflow.interop.serving.streaming import EventStream

MOST_LISTED = 200
MOST_STREAMS = 200  # each asks the journal as long as it lasts
MOST_STEP = 2**53


class _NewRun(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    flow: str
    input: Any = Field(default_factory=dict)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    answer: Any
    step: int | None = Field(default=None, ge=1, le=MOST_STEP)


class Runs:
    """The handlers of one server; streams end when `stopping` is set."""

    def __init__(self, carrier: Carrier, stopping: anyio.Event) -> None:
        self._carrier, self._stopping = carrier, stopping
        self._streams = 0

    async def flows(self, _request: Request) -> ASGIApp:
        """List what is served."""
        data = [_offer(offer) for offer in self._carrier.offers.values()]
        return _json({"object": "list", "data": data})

    async def flow(self, request: Request) -> ASGIApp:
        """Tell what one flow takes."""
        offer = self._carrier.known(request.path_params["name"], "flow")
        return _json(_offer(offer) | {"input_schema": offer.schema()})

    async def start(self, request: Request) -> ASGIApp:
        """Take a run on."""
        body = _read(_NewRun, await request.body())
        offer = self._carrier.known(body.flow, "flow")
        try:
            arguments = offer.arguments(body.input)
        except InputError as error:
            raise refusals.wrong_input(error, "input") from error
        run, is_new = await self._carrier.accept(offer, arguments, idempotency_key(request))
        headers = {"location": f"/runs/{run}"}
        if not is_new:
            headers["idempotency-replayed"] = "true"
        return _json(await self._head(run), 202, headers)

    async def listed(self, request: Request) -> ASGIApp:
        """List runs, newest first."""
        limit = _number(request, "limit", 50, most=MOST_LISTED)
        after = request.query_params.get("after")
        before = None if after is None else (await self._carrier.found(after)).number
        states = self._carrier.states()
        page = await self._carrier.read(partial(self._carrier.runs.page, limit + 1, before))
        data = [views.head(run, states.get(run.id)) for run in page[:limit]]
        more = {"has_more": len(page) > limit, "last_id": data[-1]["id"] if data else None}
        return _json({"object": "list", "data": data} | more)

    async def show(self, request: Request) -> ASGIApp:
        """Show one run."""
        return _json(await self._whole(request.path_params["run"]))

    async def events(self, request: Request) -> ASGIApp:
        """Tell a run's events as they happen."""
        run = await self._carrier.found(request.path_params["run"])
        after = _after(request)
        if await is_over(self._carrier, run, after):
            return Response(status_code=204)  # which tells a reader not to come back
        if self._streams >= MOST_STREAMS:
            raise refusals.full()
        return EventStream(self._counted(Following(self._carrier, run, after, self._stopping)))

    async def cancel(self, request: Request) -> ASGIApp:
        """End a run for good."""
        run = request.path_params["run"]
        await self._carrier.cancel(run)
        return _json(await self._head(run))

    async def answer(self, request: Request) -> ASGIApp:
        """Answer a question of a run."""
        body, run = _read(_Answer, await request.body()), request.path_params["run"]
        step = await self._carrier.answer(run, body.answer, body.step)
        return _json(await self._head(run) | {"answered": step})

    async def _counted(self, following: Following) -> AsyncGenerator[bytes, None]:
        self._streams += 1
        try:
            async for data in following.stream():
                yield data
        except Exception as error:  # noqa: BLE001 - the edge: its head is sent; a reader comes back and is told
            refusals.refused(error, f"events of {following.run}")
        finally:
            self._streams -= 1

    async def _head(self, run: str) -> dict[str, Any]:
        state = self._carrier.states().get(run)
        return views.head(await self._carrier.found(run), state)

    async def _whole(self, run: str) -> dict[str, Any]:
        carrier = self._carrier
        state = carrier.states().get(run)
        found = await carrier.found(run)
        record = await carrier.read(partial(carrier.runs.record, found))
        offer, problem = carrier.offers.get(found.offer), carrier.problems.get(run)
        return views.whole(found, state, record, offer, problem)


def models(offers: Sequence[Offer], created: int) -> list[dict[str, Any]]:
    """Return the flows as OpenAI's clients list models."""
    return [
        {"id": offer.name, "object": "model", "created": created, "owned_by": "agentflow"}
        for offer in offers
    ]


def _offer(offer: Offer) -> dict[str, Any]:
    return {"name": offer.name, "object": "flow", "description": offer.description}


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(plain(value), status, headers, media_type="application/json")


def _read(kind: type[Any], data: bytes) -> Any:
    try:
        return kind.model_validate(read_object(data))
    except ValidationError as error:
        raise wrong(error) from error


def _after(request: Request) -> int:
    """Return the number of the last event that a reader knows: by its header, or as it asks."""
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (given.isascii() and given.isdecimal() and len(given) < 16):
        raise bad("Last-Event-ID", "it must be the id of an event")
    return int(given)


def _number(request: Request, name: str, default: int, *, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal() and len(given) < 8 and 1 <= int(given) <= most):
        raise bad(name, f"it must be a number from 1 to {most}")
    return int(given)
