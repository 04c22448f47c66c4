"""What our HTTP servers have in common around their applications. Needs uvicorn.

Owns how quiet uvicorn is, what it leaves to others, how many connections it keeps and how long it waits for a request on
one, and what may be said of an address that is listened at. Knows no application.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from agentflow.guarding import LOCAL_NAMES
from agentflow.listening import in_address

KEEP_ALIVE_S = 75  # longer than clients keep an idle connection, so that they close it, not we
GRACE_S = 2  # for what was told already to reach its reader
BROWSERS_KEEP_ALIVE_S = 5  # uvicorn's own
HEAD_TIMEOUT_S = 30.0  # for the first line and the headers of a request
MOST_CONNECTIONS = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers; `names` are the host names that are ours, None for any.

    `is_open`: other machines can reach it.
    """

    origin: str
    is_open: bool
    names: frozenset[str] | None


def address_of(listener: socket.socket, host: str) -> Address:
    """Return the address of a socket that was bound as `host`."""
    bound, port = listener.getsockname()[:2]
    place = ip_address(bound)
    shown = "127.0.0.1" if place.is_unspecified else in_address(host)
    names = LOCAL_NAMES | {in_address(host).lower()} if place.is_loopback else None
    return Address(f"http://{shown}:{port}", is_open=not place.is_loopback, names=names)


def most_connections() -> int:
    """Return how many connections are kept: the other half of the files that may be open is for the work."""
    files = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 0
    return min(MOST_CONNECTIONS, files // 2) if files > 0 else MOST_CONNECTIONS


class BoundedProtocol(H11Protocol):
    """A connection that is closed if there are too many, or if no whole head of a request comes."""

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; uvicorn waits only for the first byte of a request."""
        super().data_received(data)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._closing is None:
            self._closing = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None


def quiet_config(app: ASGIApp, *, keep_alive_s: int = BROWSERS_KEEP_ALIVE_S) -> uvicorn.Config:
    """Return how an application is served: without logs, other protocols, or trust in proxies."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=BoundedProtocol,
        backlog=max(1, most_connections() // 4),  # so many are taken before the first can be closed
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=GRACE_S,
    )


class UnsignalledServer(uvicorn.Server):
    """A server that leaves signals to who started it, so that what is under way ends in good order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
