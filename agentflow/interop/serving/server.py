"""Serve flows until somebody ends it.

Owns the socket, which host names are ours, and what signals do: the first one ends the taking of runs and lets those that
go on finish for a while, the second stops them. What does not let itself be stopped ends with the process. Whatever is
unfinished then is in the journal, for the next server of the same name to go on with.
"""

import signal
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn, Protocol

import anyio
from starlette.types import ASGIApp

from agentflow.cancelling import unless
from agentflow.errors import JournalError
from agentflow.http_server import KEEP_ALIVE_S, Address, UnsignalledServer, address_of, quiet_config
from agentflow.interop.serving.accepted import AcceptedRuns
from agentflow.interop.serving.app import application
from agentflow.interop.serving.carrying import Carrier
from agentflow.interop.serving.offers import Offer
from agentflow.journal.store import Store
from agentflow.listening import listening

BACKLOG = 512
STOP_S = 5.0  # what runs get to stop, which is to write that they did


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


class Operator(Protocol):
    """Who is told how the server stands."""

    def begun(self, begun: Begun) -> None:
        """Hear that it answers."""

    def finishing(self, runs: int) -> None:
        """Hear that it takes no more runs, and waits for so many."""

    def stopping(self, runs: int) -> None:
        """Hear that it stops so many runs."""

    def stuck(self, runs: int) -> NoReturn:
        """End the process, in which so many runs do not let themselves be stopped."""


def serve(offers: Mapping[str, Offer], settings: ServerSettings, operator: Operator) -> bool:
    """Serve until a signal; return whether everything that went on could finish.

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
            return anyio.run(_Serving(store, offers, settings, operator).run, listener)
    finally:
        store.close()


class _Serving:
    def __init__(
        self,
        store: Store,
        offers: Mapping[str, Offer],
        settings: ServerSettings,
        operator: Operator,
    ) -> None:
        self._settings, self._operator = settings, operator
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
                address, app = self._application(listener)
                server = UnsignalledServer(quiet_config(app, keep_alive_s=KEEP_ALIVE_S))
                resumed = await self._go_on()
                async with anyio.create_task_group() as group:
                    group.start_soon(server.serve, [listener])
                    self._operator.begun(
                        Begun(origin=address.origin, is_open=address.is_open, resumed=resumed)
                    )
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
        """Let the runs finish, for a while or until the second signal; then stop them."""
        carrier, operator = self._carrier, self._operator
        operator.finishing(carrier.counts["running"])
        finishing = partial(carrier.drain, self._settings.drain_s)
        if await unless(signals.__anext__, finishing) == (True,):
            return True
        operator.stopping(carrier.counts["running"])
        if await unless(signals.__anext__, partial(carrier.interrupt, STOP_S)) != (True,):
            operator.stuck(carrier.counts["running"])
        return False

    def _application(self, listener: socket.socket) -> tuple[Address, ASGIApp]:
        address = address_of(listener, self._settings.host)
        app = application(
            self._carrier,
            self._stopping,
            api_key=self._settings.api_key,
            names=address.names,
            max_body_bytes=self._settings.max_body_bytes,
        )
        return address, app
