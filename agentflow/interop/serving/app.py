"""The server as an ASGI application: its routes, and the guard in front of them.

Owns which parts there are. What no route knows is a 404 in the form that OpenAI's clients read.
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agentflow.guarding import Guard, NotLetInError
from agentflow.interop.serving.carrying import Carrier
from agentflow.interop.serving.chatting import chat
from agentflow.interop.serving.refusals import Refusal, refused
from agentflow.interop.serving.running import Runs, models

OPEN_PATH = "/health"  # what watches a server has no key
Handler = Callable[[Request], Awaitable[ASGIApp]]


def application(
    carrier: Carrier,
    stopping: anyio.Event,
    *,
    api_key: str,
    names: frozenset[str] | None,
    max_body_bytes: int,
) -> ASGIApp:
    """Return the server of what a carrier carries out; see `agentflow.guarding.Guard` for the rest."""
    runs, created = Runs(carrier, stopping), int(time.time())
    handlers: dict[tuple[str, str], Handler] = {
        ("POST", "/v1/chat/completions"): partial(chat, carrier),
        ("GET", "/v1/models"): partial(_models, carrier, created),
        ("GET", "/v1/models/{name:path}"): partial(_model, carrier, created),
        ("GET", "/flows"): runs.flows,
        ("GET", "/flows/{name}"): runs.flow,
        ("GET", "/runs"): runs.listed,
        ("POST", "/runs"): runs.start,
        ("GET", "/runs/{run}"): runs.show,
        ("GET", "/runs/{run}/events"): runs.events,
        ("POST", "/runs/{run}/cancel"): runs.cancel,
        ("POST", "/runs/{run}/answer"): runs.answer,
        ("GET", OPEN_PATH): partial(_health, carrier),
    }
    routes = [
        Route(path, _Endpoint(handler), methods=[method])
        for (method, path), handler in handlers.items()
    ]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: _not_here})
    inner.router.redirect_slashes = False
    return Guard(
        inner,
        refused=_not_let_in,
        api_key=api_key,
        names=names,
        open_path=OPEN_PATH,
        max_body_bytes=max_body_bytes,
    )


class _Endpoint:
    """One route, which always has an answer; that of an error holds no traceback."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._handler(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - the edge: a request never ends the server
            answer = refused(error, scope["path"]).response()
        await answer(scope, receive, send)


async def _models(carrier: Carrier, created: int, _request: Request) -> ASGIApp:
    data = models(list(carrier.offers.values()), created)
    return JSONResponse({"object": "list", "data": data})


async def _model(carrier: Carrier, created: int, request: Request) -> ASGIApp:
    offer = carrier.known(request.path_params["name"], "model")
    return JSONResponse(models([offer], created)[0])


async def _health(carrier: Carrier, _request: Request) -> ASGIApp:
    state = "draining" if carrier.is_draining else "ready"
    return JSONResponse({"status": state} | carrier.counts, 503 if carrier.is_draining else 200)


def _not_let_in(error: NotLetInError) -> ASGIApp:
    return Refusal(error.status, str(error), code=error.code).response()


async def _not_here(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problems = {
        404: "there is nothing at this address",
        405: "this is not done with such a request",
    }
    message = problems.get(error.status_code, "the request was refused")
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    refusal = Refusal(error.status_code, message, code=code)
    return JSONResponse(refusal.body, refusal.status, error.headers)
