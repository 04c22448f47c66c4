"""Bind an address and serve the viewer there, in a thread with an event loop of its own.

Owns the socket, the token, the host names that are ours, and how serving begins and ends. A command that
only serves and a run that is looked at use the same: the main thread stays free for Ctrl-C or the run.
"""

import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import uvicorn

from agentflow.errors import JournalError
from agentflow.http_server import quiet_config
from agentflow.journal.store import Store
from agentflow.listening import in_address, listening
from agentflow_web.server.app import application
from agentflow_web.server.commands import Commands
from agentflow_web.server.live import LiveRuns

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
HTTP_PORT = 80  # which browsers leave out of `Host`
BACKLOG = 128
Place = IPv4Address | IPv6Address


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A viewer that is being served; `origin` is its address without the token.

    `is_open`: other machines can reach it.
    """

    origin: str
    is_open: bool
    token: str = field(repr=False)
    live: LiveRuns
    thread: threading.Thread

    @property
    def address(self) -> str:
        """What to open in a browser. The token stands in the fragment, which browsers send to nobody."""
        return f"{self.origin}/#t={self.token}"

    def address_of(self, run: str) -> str:
        """Return the address that opens at one run."""
        return f"{self.address}&run={quote(run)}"

    def wait_ended(self) -> None:
        """Wait until somebody presses Ctrl-C, or the server has stopped by itself."""
        # A shell starts what is in the background with that signal ignored; then only a kill would end us.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.thread.join()
        except KeyboardInterrupt:
            return


@contextmanager
def serve_in_thread(
    journal: str | None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Serving]:
    """Serve a journal until the block ends; port 0 is any that is free.

    Raises:
        ServingError: The port is taken, or the host is none of this machine.
        JournalError: The journal does not exist or cannot be read.
    """
    store = Store(journal, create=False)
    try:
        if not store.is_lasting:
            problem = "a journal in memory belongs to its process alone; name a file or a database"
            raise JournalError(store=store.name, problem=problem)
        with listening(host, port, backlog=BACKLOG, free_port="none") as listener:
            yield from _serve(store, journal, host, listener)
    finally:
        store.close()


def open_browser(address: str) -> bool:
    """Open an address in the user's browser; return whether there is one to be seen."""
    return _has_display() and webbrowser.open(address)


def _serve(
    store: Store, journal: str | None, host: str, listener: socket.socket
) -> Iterator[Serving]:
    bound, port = listener.getsockname()[:2]
    place = ip_address(bound)
    token, live = secrets.token_urlsafe(32), LiveRuns()
    app = application(
        store, Commands.here(journal), live, hosts=_hosts(host, place, port), token=token
    )
    server = uvicorn.Server(quiet_config(app))
    thread = threading.Thread(target=server.run, args=([listener],), name="viewer", daemon=True)
    thread.start()  # whoever connects before it is ready waits in the socket's queue
    origin = f"http://{_shown(host, place)}:{port}"
    try:
        yield Serving(
            origin=origin,
            is_open=not place.is_loopback,
            token=token,
            live=live,
            thread=thread,
        )
    finally:
        live.end()
        server.should_exit = True
        thread.join()


def _hosts(host: str, place: Place, port: int) -> frozenset[str]:
    """Return the values of `Host` under which a browser may come to us."""
    names = {in_address(host), in_address(str(place))}
    if place.is_loopback or place.is_unspecified:
        names |= LOCAL
    if place.is_unspecified:
        names |= _own_names()
    ours = {f"{name}:{port}" for name in names}
    return frozenset(ours | names if port == HTTP_PORT else ours)


def _shown(host: str, place: Place) -> str:
    if place.is_unspecified:
        return "127.0.0.1" if place.version == 4 else "[::1]"
    return in_address(host)


def _own_names() -> set[str]:
    """Return the names and addresses of this machine, as far as it knows them itself."""
    name = socket.gethostname()
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        found = set()
    return {name, socket.getfqdn(), *(in_address(address) for address in found)}


def _has_display() -> bool:
    """Whether a browser would have a window; one in the terminal would take it over."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
