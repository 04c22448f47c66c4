"""Serve flows until somebody ends it.

Owns the socket, which host names are ours, and what signals do: the first one ends the taking of runs and lets those that
go on finish for a while, the second ends at once. Whatever is unfinished then is in the journal, for the next server of
the same name to go on with.
"""

import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import anyio
import uvicorn
from starlette.types import ASGIApp

from agentflow.errors import JournalError
from agentflow.guarding import LOCAL_NAMES
from agentflow.interop.serving.accepted import AcceptedRuns
from agentflow.interop.serving.app import application
from agentflow.interop.serving.carrying import Carrier
from agentflow.interop.serving.offers import Offer
from agentflow.journal.store import Store
from agentflow.listening import in_address, listening

BACKLOG = 512
GRACE_S = 2  # for what was told already to reach its reader
KEEP_ALIVE_S = 75  # longer than clients keep an idle connection, so that they close it, not we


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How flows are served; `name` is whose the runs are, over every start."""

    name: str
    api_key: str = field(repr=False)
    journal: str | None = field(default=None, repr=False)  # a URL may hold a password
    host: str = "127.0.0.1"
    port: int = 8000
    most_running: int = 4
    most_waiting: int = 64
    max_body_bytes: int = 2**20
    drain_s: float = 30.0
    resumes: bool = True


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A server that answers; `resumed` runs of an earlier one go on."""

    origin: str
    is_open: bool
    resumed: int


def serve(
    offers: Mapping[str, Offer], settings: ServerSettings, begun: Callable[[Begun], None]
) -> bool:
    """Serve until a signal; return whether everything that went on could finish.

    Args:
        offers: The flows by name.
        settings: How.
        begun: Is told once, when the server answers.

    Raises:
        ServingError: The port is taken, or the host is none of this machine.
        JournalError: The journal cannot be used.
    """
    store = Store(settings.journal)
    try:
        if not store.is_lasting:
            problem = "a journal in memory does not outlive the server; name a file or a database"
            raise JournalError(store=store.name, problem=problem)
        with listening(settings.host, settings.port, backlog=BACKLOG, free_port="0") as listener:
            return anyio.run(_Serving(store, offers, settings, begun).run, listener)
    finally:
        store.close()


class _Serving:
    def __init__(
        self,
        store: Store,
        offers: Mapping[str, Offer],
        settings: ServerSettings,
        begun: Callable[[Begun], None],
    ) -> None:
        self._settings, self._begun = settings, begun
        self._carrier = Carrier(
            AcceptedRuns(store, settings.name),
            offers,
            journal=settings.journal,
            most_running=settings.most_running,
            most_waiting=settings.most_waiting,
        )
        self._stopping = anyio.Event()

    async def run(self, listener: socket.socket) -> bool:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with self._carrier.open():
                origin, is_open, app = self._application(listener)
                server = _Server(_config(app))
                resumed = await self._go_on()
                async with anyio.create_task_group() as group:
                    group.start_soon(server.serve, [listener])
                    self._begun(Begun(origin=origin, is_open=is_open, resumed=resumed))
                    await anext(signals)
                    is_clean = await self._drained(signals)
                    self._stopping.set()
                    self._carrier.wake()
                    server.should_exit = True
                return is_clean

    async def _go_on(self) -> int:
        if not self._settings.resumes:
            return 0
        carrier = self._carrier
        return carrier.go_on(await carrier.read(carrier.runs.unfinished))

    async def _drained(self, signals: AsyncIterator[signal.Signals]) -> bool:
        """Let the runs finish, for a while or until the second signal."""
        is_clean: list[bool] = []
        async with anyio.create_task_group() as group:

            async def hurry() -> None:
                await anext(signals)
                group.cancel_scope.cancel()

            group.start_soon(hurry)
            is_clean.append(await self._carrier.drain(self._settings.drain_s))
            group.cancel_scope.cancel()
        await self._carrier.interrupt()
        return is_clean == [True]

    def _application(self, listener: socket.socket) -> tuple[str, bool, ASGIApp]:
        bound, port = listener.getsockname()[:2]
        place, host = ip_address(bound), self._settings.host
        names = LOCAL_NAMES | {in_address(host).lower()} if place.is_loopback else None
        app = application(
            self._carrier,
            self._stopping,
            api_key=self._settings.api_key,
            names=names,
            max_body_bytes=self._settings.max_body_bytes,
        )
        shown = "127.0.0.1" if place.is_unspecified else in_address(host)
        return f"http://{shown}:{port}", not place.is_loopback, app


class _Server(uvicorn.Server):
    """Leaves the signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
