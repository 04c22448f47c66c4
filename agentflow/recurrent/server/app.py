"""The server as an ASGI application: routes, and the guard in front of them.

Owns which parts there are and how they are put together, and the edge where an error becomes an answer. What no route
knows is a 404 in the form that OpenAI's clients read.
"""

import logging
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agentflow.errors import ModelError
from agentflow.recurrent.engine import Engine
from agentflow.recurrent.server.answer import Answer
from agentflow.recurrent.server.chat import chat
from agentflow.recurrent.server.completions import completions
from agentflow.recurrent.server.guard import LOCAL_NAMES, Guard
from agentflow.recurrent.server.metrics import CONTENT_TYPE
from agentflow.recurrent.server.refusals import Refusal, refused, unknown_model
from agentflow.recurrent.server.responses import delete, respond, retrieve
from agentflow.recurrent.server.service import Service, short_name
from agentflow.recurrent.server.waiting import until_gone

Work = Callable[[Service, bytes, Answer], Coroutine[Any, Any, None]]
IdWork = Callable[[Service, str, Answer], Coroutine[Any, Any, None]]
RequestWork = Callable[[Service, Request, Answer], Coroutine[Any, Any, None]]
_log = logging.getLogger("agentflow.serve")


def app(
    engine: Engine, *, api_key: str | None, names: frozenset[str] | None = LOCAL_NAMES
) -> ASGIApp:
    """Return the server of an engine.

    Args:
        engine: Started; not closed here.
        api_key: What clients must send; None lets everybody in who reaches us.
        names: Host names that are ours; None takes any, for a server that other machines reach.
    """
    return application(Service(short_name(engine.name), engine), api_key=api_key, names=names)


def application(
    service: Service, *, api_key: str | None, names: frozenset[str] | None = LOCAL_NAMES
) -> ASGIApp:
    """Return the server of a service, which may still be loading."""

    def generating(path: str, work: Work) -> Route:
        return Route(path, _Endpoint(service, path, _with_body(work)), methods=["POST"])

    def stored(method: str, work: IdWork) -> Route:
        path = "/v1/responses/{id}"
        return Route(path, _Endpoint(service, path, _with_id(work)), methods=[method])

    routes = [
        generating("/v1/chat/completions", chat),
        generating("/v1/completions", completions),
        generating("/v1/responses", respond),
        stored("GET", retrieve),
        stored("DELETE", delete),
        Route("/v1/models", partial(_models, service), methods=["GET"]),
        Route("/v1/models/{id:path}", partial(_model, service), methods=["GET"]),
        Route("/health", partial(_health, service), methods=["GET"]),
        Route("/metrics", partial(_metrics, service), methods=["GET"]),
    ]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: _not_here})
    inner.router.redirect_slashes = False
    return Guard(inner, api_key=api_key, names=names)


class _Endpoint:
    """One route: does its work while the client waits, and always has an answer."""

    def __init__(
        self,
        service: Service,
        path: str,
        work: RequestWork,
    ) -> None:
        self._service, self._path, self._work = service, path, work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer, metrics = Answer(send), self._service.metrics
        request = Request(scope, receive)
        try:
            with self._service.busy():
                await request.body()
                work = partial(self._work, self._service, request, answer)
                if await until_gone(receive, work):
                    metrics.gone += 1
                    return
        except Refusal as refusal:
            await answer.refuse(refusal)
        except ModelError as error:
            await answer.refuse(refused(error))
        except Exception as error:  # noqa: BLE001 - the edge: a request never ends the server
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("%s: %r (%s:%s)", self._path, error, place.filename, place.lineno)
            await answer.refuse(Refusal(500, "the server failed here; its log says where"))
        metrics.answers[self._path, answer.status or 500] += 1


def _with_body(work: Work) -> RequestWork:
    async def done(service: Service, request: Request, answer: Answer) -> None:
        await work(service, await request.body(), answer)

    return done


def _with_id(work: IdWork) -> RequestWork:
    async def done(service: Service, request: Request, answer: Answer) -> None:
        await work(service, request.path_params["id"], answer)

    return done


async def _models(service: Service, _request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_entry(service)]})


async def _model(service: Service, request: Request) -> Response:
    name: str = request.path_params["id"]
    if name != service.name:
        refusal = unknown_model(name, service.name)
        return JSONResponse(refusal.body, refusal.status)
    return JSONResponse(_entry(service))


def _entry(service: Service) -> dict[str, object]:
    entry: dict[str, object] = {"id": service.name, "object": "model"}
    return entry | {"created": service.created, "owned_by": "agentflow"}


async def _health(service: Service, _request: Request) -> Response:
    return JSONResponse({"status": service.state}, 200 if service.is_ready else 503)


async def _metrics(service: Service, _request: Request) -> Response:
    gauges = {
        "http_requests_active": service.active,
        "responses_stored": len(service.stored),
        "tasks": len(anyio.get_running_tasks()),
    }
    engine = service.loaded
    text = service.metrics.text(engine.totals if engine else None, gauges)
    return Response(text, headers={"content-type": CONTENT_TYPE})


async def _not_here(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problems = {
        404: "there is nothing at this address",
        405: "this is not done with such a request",
    }
    refusal = Refusal(error.status_code, problems.get(error.status_code, error.detail))
    return JSONResponse(refusal.body, refusal.status, error.headers)
