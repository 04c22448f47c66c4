"""Bind an address, serve there in a thread, and end in good order.

Owns the socket, which host names are ours, who may be let in without a key, and what signals do: the first ends the
taking of requests and lets those under way finish for a while, the second ends at once. The main thread stays free to
load the model and to hear signals.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from agentflow.http_server import KEEP_ALIVE_S, address_of, quiet_config
from agentflow.listening import ServingError, listening
from agentflow.recurrent.server.app import application
from agentflow.recurrent.server.service import Service

BACKLOG = 512


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
    service: Service,
    *,
    host: str,
    port: int,
    api_key: str | None = None,
    make: Callable[..., ASGIApp] = application,
) -> Iterator[Serving]:
    """Serve until the block ends; port 0 is any that is free. `make` is asked as `application` is.

    Raises:
        ServingError: The port is taken, the host is none of this machine, or others could come in without a key.
    """
    with listening(host, port, backlog=BACKLOG, free_port="0") as listener:
        address = address_of(listener, host)
        if address.is_open and api_key is None:
            problem = (
                "other machines could use the model without a key; name one with --api-key-env"
            )
            raise ServingError(host=host, port=port, problem=problem)
        app = make(service, api_key=api_key, names=address.names)
        server = uvicorn.Server(quiet_config(app, keep_alive_s=KEEP_ALIVE_S))
        news: SimpleQueue[str] = SimpleQueue()

        def run() -> None:
            server.run([listener])
            news.put("ended")

        thread = threading.Thread(target=run, name="server", daemon=True)
        thread.start()  # whoever connects before it is ready waits in the socket's queue
        try:
            yield Serving(origin=address.origin, is_open=address.is_open, news=news)
        finally:
            service.stop()
            server.should_exit = True
            thread.join()
