"""The one address in front of the replicas: the guard, and the way to a replica and back.

Owns what happens when a replica dies: a request that has no answer yet begins again on another one, an answer that has
begun ends with an error. All else (bodies, refusals, ids, events) is the replica's, and passes as it is.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from agentflow.cluster.connection import ray
from agentflow.cluster.serving import rosters
from agentflow.cluster.serving.asking import Asked, Headers, Told
from agentflow.cluster.serving.homes import Homes, wanted_by
from agentflow.cluster.serving.metrics import merged
from agentflow.recurrent.server.answer import Answer
from agentflow.recurrent.server.guard import LOCAL_NAMES, Guard
from agentflow.recurrent.server.metrics import CONTENT_TYPE
from agentflow.recurrent.server.refusals import FULL_WAIT_S, Refusal, loading, stopping
from agentflow.recurrent.server.service import Service
from agentflow.recurrent.server.waiting import until_gone

MOST_TRIES = 3
METRICS_S = 10.0
KEPT = (b"host", b"content-type", b"accept")  # of a request's headers; the key stays here
_log = logging.getLogger("agentflow.serve")


class Front(Service):
    """What requests share here; without replicas it is loading."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._handle: Any = None
        self._app = ""
        self.homes = Homes(self.living)

    def connect(self, handle: Any, app: str) -> None:
        """Begin to take requests: the replicas of a Serve application are there."""
        self._app, self._handle = app, handle

    def living(self) -> list[str]:
        """Return the names of the replicas that may be asked now."""
        return rosters.living(self._app)

    @property
    def state(self) -> str:
        """One word for people and for what watches the server."""
        word = super().state
        return "ready" if word == "loading" and self.living() else word

    def ask(self, asked: Asked) -> Any:
        """Return the parts of an answer as they come; `cancel` ends them."""
        return self._handle.options(stream=True).answer.remote(asked)

    async def metrics_texts(self) -> dict[str, str]:
        """Return the numbers of each replica that tells them."""
        told = self._handle.broadcast("metrics")
        found = await told.results_async(timeout_s=METRICS_S, return_exceptions=True)
        return dict(one for one in found if not isinstance(one, BaseException))


def front_application(
    front: Front, *, api_key: str | None, names: frozenset[str] | None = LOCAL_NAMES
) -> ASGIApp:
    """Return the server in front of the replicas; see `application`."""
    return Guard(_Passing(front), api_key=api_key, names=names)


class _Passing:
    """Every route; the replicas know which there are."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer(send)
        try:
            if scope["path"] == "/health":
                front = self._front
                await answer.json({"status": front.state}, 200 if front.is_ready else 503)
                return
            with self._front.busy():
                body = await Request(scope, receive).body()
                await until_gone(receive, partial(self._passed, scope, body, _Reply(answer, send)))
        except Refusal as refusal:
            await answer.refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the edge: a request never ends the server
            _log.error("%s: %r", scope["path"], error)
            await answer.refuse(Refusal(500, "a replica failed here; its log says where"))

    async def _passed(self, scope: Scope, body: bytes, reply: "_Reply") -> None:
        """Answer a request, by another replica if one is lost before it has said anything."""
        if not self._front.living():
            raise loading()
        if scope["path"] == "/metrics":
            text = merged(await self._front.metrics_texts())
            await reply.answer.whole(text.encode(), 200, {"content-type": CONTENT_TYPE})
            return
        wanted, lost = wanted_by(scope["path"], body), list[str]()
        while len(lost) < MOST_TRIES:
            with self._front.homes.chosen(wanted, lost) as home:
                if await self._from(_asked(scope, body, home), reply):
                    return
                lost.append(home)
        raise _lost(f"{MOST_TRIES} replicas were lost, one after the other")

    async def _from(self, asked: Asked, reply: "_Reply") -> bool:
        """Pass on a replica's answer; return whether there was one."""
        try:
            async with _answering(self._front.ask(asked)) as parts:
                async for told in parts:
                    await reply.tell(told)
        except ray().exceptions.RayTaskError:
            raise
        except ray().exceptions.RayError as error:
            _log.warning("replica %s was lost: %s", asked.home, type(error).__name__)
            if self._front.state == "draining":
                raise stopping() from None
            if reply.answer.status is not None:
                raise _lost("the replica that was answering was lost") from None
            return False
        return True


class _Reply:
    """An answer that is passed on; `answer` knows whether it has begun."""

    def __init__(self, answer: Answer, send: Send) -> None:
        self.answer, self._send = answer, send

    async def tell(self, told: Told) -> None:
        """Send what has come."""
        if told.status is not None:
            self.answer.status = told.status
            start = {"type": "http.response.start", "status": told.status}
            await self._send({**start, "headers": list(told.headers)})
        more = not told.is_last
        await self._send({"type": "http.response.body", "body": told.body, "more_body": more})


@asynccontextmanager
async def _answering(parts: Any) -> AsyncIterator[Any]:
    """Cancel what a replica does when nobody waits for it any more."""
    try:
        yield parts
    except BaseException:
        parts.cancel()
        raise


def _asked(scope: Scope, body: bytes, home: str) -> Asked:
    headers: Headers = tuple(
        (bytes(name), bytes(value)) for name, value in scope["headers"] if name in KEPT
    )
    return Asked(
        home=home,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=headers,
        body=body,
    )


def _lost(problem: str) -> Refusal:
    message = f"{problem}, and its states with it; ask again"
    return Refusal(503, message, code="replica_lost", retry_after_s=FULL_WAIT_S)
