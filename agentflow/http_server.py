"""What our HTTP servers have in common around their applications. Needs uvicorn.

Owns how quiet uvicorn is, what it leaves to others, and what may be said of an address that is listened at. Knows no
application.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

from agentflow.guarding import LOCAL_NAMES
from agentflow.listening import in_address

KEEP_ALIVE_S = 75  # longer than clients keep an idle connection, so that they close it, not we
GRACE_S = 2  # for what was told already to reach its reader
BROWSERS_KEEP_ALIVE_S = 5  # uvicorn's own


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


def quiet_config(app: ASGIApp, *, keep_alive_s: int = BROWSERS_KEEP_ALIVE_S) -> uvicorn.Config:
    """Return how an application is served: without logs, other protocols, or trust in proxies."""
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
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=GRACE_S,
    )


class UnsignalledServer(uvicorn.Server):
    """A server that leaves signals to who started it, so that what is under way ends in good order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
