"""Bind an address, serve there in a thread, and end in good order.

Owns the socket, which host names are ours, who may be let in without a key, and what signals do: the first ends the
taking of requests and lets those under way finish for a while, the second ends at once. The main thread stays free to
load the model and to hear signals.
"""

import errno
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from types import FrameType

import uvicorn

from agentflow.errors import AgentflowError
from agentflow.recurrent.server.app import application
from agentflow.recurrent.server.guard import LOCAL_NAMES
from agentflow.recurrent.server.service import Service

BACKLOG = 512
GRACE_S = 2  # for what was told already to reach its reader
KEEP_ALIVE_S = 75  # longer than clients keep an idle connection, so that they close it, not we


class ServeError(AgentflowError):
    """A model cannot be served where it should be."""

    def __init__(self, *, host: str, port: int, problem: str) -> None:
        self.host, self.port, self.problem = host, port, problem
        super().__init__(f"cannot serve at {host}:{port}: {problem}")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that runs; `origin` is its address. `is_open`: other machines can reach it."""

    origin: str
    is_open: bool
    news: SimpleQueue[str]

    def wait_stopped(self, service: Service, drain_s: float) -> bool:
        """Wait for a signal, then for the requests under way; return whether all of them could finish."""

        def hear(_number: int, _frame: FrameType | None) -> None:
            self.news.put(
                "signal"
            )  # the queue may be written to from a handler, a condition may not

        heard = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, hear) for number in heard}
        try:
            if self.news.get() == "ended":
                return False
            service.drain(lambda: self.news.put("idle"))
            return self.news.get(timeout=drain_s) == "idle"
        except Empty:
            return False
        finally:
            service.stop()
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def serving(
    service: Service, *, host: str, port: int, api_key: str | None = None
) -> Iterator[Serving]:
    """Serve until the block ends; port 0 is any that is free.

    Raises:
        ServeError: The port is taken, the host is none of this machine, or others could come in without a key.
    """
    with _listening(host, port) as listener:
        bound, port = listener.getsockname()[:2]
        place = ip_address(bound)
        if not place.is_loopback and api_key is None:
            problem = (
                "other machines could use the model without a key; name one with --api-key-env"
            )
            raise ServeError(host=host, port=port, problem=problem)
        names = LOCAL_NAMES | {_in_address(host).lower()} if place.is_loopback else None
        server = uvicorn.Server(_config(service, api_key, names))
        news: SimpleQueue[str] = SimpleQueue()

        def run() -> None:
            server.run([listener])
            news.put("ended")

        thread = threading.Thread(target=run, name="server", daemon=True)
        thread.start()  # whoever connects before it is ready waits in the socket's queue
        shown = "127.0.0.1" if place.is_unspecified else _in_address(host)
        try:
            yield Serving(origin=f"http://{shown}:{port}", is_open=not place.is_loopback, news=news)
        finally:
            service.stop()
            server.should_exit = True
            thread.join()


def _config(service: Service, api_key: str | None, names: frozenset[str] | None) -> uvicorn.Config:
    return uvicorn.Config(
        application(service, api_key=api_key, names=names),
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


def _listening(host: str, port: int) -> socket.socket:
    if not host:  # which would mean every address of this machine
        raise ServeError(host=host, port=port, problem="the host is empty")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ServeError(host=host, port=port, problem=_problem(error)) from error


def _problem(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; give another one with --port, or 0 for any that is free"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "this port is not for every user; give one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return "this machine has no such address; --host takes one of its own, or 0.0.0.0 for all"
    return error.strerror or type(error).__name__


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
