"""What runs on a node: an engine with our server in front of it, without a socket.

Owns the way from a request as data to the server's application and back. States, batches, refusals and the wire are the
server's own, as it is without a cluster. The server has an event loop of its own, so that what belongs to one loop stays
in one, whatever Ray does with its own.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from typing import Any

from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from agentflow.cluster.connection import ray
from agentflow.cluster.fitting import misfit
from agentflow.cluster.serving.asking import Asked, Described, Opening, Told, mark_of
from agentflow.errors import ClusterError
from agentflow.recurrent.engine import Engine
from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.packaged_models import folder_of
from agentflow.recurrent.server.app import application
from agentflow.recurrent.server.service import Service

NAMED = b"x-agentflow-replica"


class Replica:
    """One of several servers of a model."""

    _loop: AbstractContextManager[BlockingPortal] | None = None

    def __init__(self, opening: Opening) -> None:
        different = misfit(opening.expected)
        if different:
            raise ClusterError(cluster="ray", problem=f"a node has {different}")
        serve: Any = import_module("ray.serve")
        self.name: str = serve.get_replica_context().replica_id.unique_id
        self._engine = Engine.open(folder_of(opening.model), _options(opening))
        self._service = Service(opening.name, self._engine, mark=mark_of(self.name))
        self._opening = opening
        self._app = application(self._service, api_key=None, names=None)
        loop = start_blocking_portal("asyncio")
        self._portal, self._loop = loop.__enter__(), loop

    async def answer(self, asked: Asked) -> AsyncIterator[Told]:
        """Answer a request; cancelling frees its place at the next token."""
        mailbox = _Mailbox()
        done = self._portal.start_task_soon(self._carry_out, asked, mailbox)
        try:
            is_last = False
            while not is_last:
                told = await mailbox.taken()
                is_last = told.is_last
                yield told
        except BaseException:
            done.cancel()
            raise

    async def describe(self) -> Described:
        """Return what the probe has found."""
        model = self._engine.model
        return Described(
            replica=self.name,
            pid=os.getpid(),
            device=str(model.device),
            reads="several tokens" if model.abilities.continues else "one token",
            rows=(self._engine.options.most_rows or model.most_rows)
            if model.abilities.stacks
            else 1,
            notes=tuple(model.abilities.notes),
        )

    async def metrics(self) -> tuple[str, str]:
        """Return its name and its numbers, as Prometheus reads them."""
        asked = Asked(home="", method="GET", path="/metrics", query=b"", headers=(HOST,), body=b"")
        parts = [told.body async for told in self.answer(asked)]
        return self.name, b"".join(parts).decode()

    async def check_health(self) -> None:
        """Have the whole application end when nobody is left whom it serves; Serve asks every few seconds."""
        try:
            await self._opening.owner.is_there.remote()
        except ray().exceptions.ActorDiedError:
            serve: Any = import_module("ray.serve")
            await to_thread.run_sync(partial(serve.delete, self._opening.app, _blocking=False))

    def __del__(self) -> None:
        """End in good order; Serve calls this when a replica is no longer wanted."""
        if self._loop is not None:
            loop, self._loop = self._loop, None
            self._service.stop()
            self._engine.close()
            loop.__exit__(None, None, None)

    async def _carry_out(self, asked: Asked, mailbox: "_Mailbox") -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": asked.path,
            "raw_path": asked.path.encode(),
            "query_string": asked.query,
            "root_path": "",
            "headers": list(asked.headers),
            "client": None,
            "server": None,
        }
        given: list[dict[str, Any]] = [
            {"type": "http.request", "body": asked.body, "more_body": False}
        ]

        async def receive() -> Any:
            if given:
                return given.pop()
            return await asyncio.Event().wait()  # who has gone is cancelled

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                named = (NAMED, self.name.encode())
                headers = (
                    *((bytes(key), bytes(value)) for key, value in message["headers"]),
                    named,
                )
                mailbox.put(Told(status=message["status"], headers=headers))
            else:
                body, more = message.get("body", b""), message.get("more_body", False)
                mailbox.put(Told(body=body, is_last=not more))

        try:
            await self._app(scope, receive, send)
        finally:
            mailbox.put(Told(is_last=True))


HOST = (b"host", b"replica")


class _Mailbox:
    """From the server's loop to Ray's; what has come meanwhile is taken together."""

    def __init__(self) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        self._waiting: deque[Told] = deque()

    def put(self, told: Told) -> None:
        """Leave a part of an answer; from any thread."""
        self._waiting.append(told)
        self._loop.call_soon_threadsafe(self._news.set)

    async def taken(self) -> Told:
        """Wait until there is something, and return all there is as one."""
        await self._news.wait()
        self._news.clear()
        parts = [self._waiting.popleft() for _ in range(len(self._waiting))]
        head = next((part for part in parts if part.status is not None), Told())
        return Told(
            status=head.status,
            headers=head.headers,
            body=b"".join(part.body for part in parts),
            is_last=any(part.is_last for part in parts),
        )


def _options(opening: Opening) -> EngineOptions:
    """Return the engine's options; nodes may share a disk, and a folder of states belongs to one of them."""
    options = EngineOptions.model_validate_json(opening.options)
    if options.spill_folder is None:
        return options
    node = ray().get_runtime_context().get_node_id()[:16]
    return options.model_copy(update={"spill_folder": options.spill_folder / node})
