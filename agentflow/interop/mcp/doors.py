"""The two ways in to a server of flows: standard input and output, and HTTP on this machine.

Owns who is let in by HTTP: requests that carry the token, name this machine, and come from no page of
another site. Needs the extra `mcp`.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any, cast

import anyio.to_thread
from mcp.server.stdio import stdio_server
from mcp_types import INVALID_REQUEST
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from agentflow.guarding import LOCAL_NAMES, Guard, NotLetInError
from agentflow.http_server import UnsignalledServer, quiet_config
from agentflow.interop.mcp.serving import FlowServer
from agentflow.listening import listening

HOST = "127.0.0.1"
PATH = "/mcp"
NOTHING = ""  # no path is open to those without the token
BACKLOG = 64
MAX_BODY_BYTES = 4 * 2**20


async def serve_stdio(server: FlowServer) -> None:
    """Serve one client through this process's standard input and output, until it is gone.

    What flows print goes to standard error.
    """
    protocol = server.protocol_server()
    lines = cast("Any", _Lines())
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await protocol.run(incoming, outgoing, protocol.create_initialization_options())


class _Lines:
    """The lines of standard input, waited for in a way that can be given up.

    Who starts programs here must not have them read what is meant for us: standard input is empty from now on.
    """

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(0), "rb")
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)

    def __aiter__(self) -> "_Lines":
        return self

    async def __anext__(self) -> str:
        reading = partial(self._file.readline, MAX_BODY_BYTES)
        line = await anyio.to_thread.run_sync(reading, abandon_on_cancel=True)
        if not line:
            raise StopAsyncIteration
        return line.decode("utf-8", "replace")


def http_socket(port: int) -> socket:
    """Return a socket to serve at; port 0 is any that is free.

    Raises:
        ServingError: The port is taken.
    """
    return listening(HOST, port, backlog=BACKLOG, free_port="--http 0")


async def serve_http(
    server: FlowServer, listener: socket, token: str, *, ready: Callable[[str], None]
) -> None:
    """Serve any number of clients by HTTP until cancelled, which cancels their runs.

    Args:
        server: What is served.
        listener: Where; see `http_socket`.
        token: What `Authorization: Bearer` must carry.
        ready: Called once, before the first request is taken.
    """
    protocol = server.protocol_server()
    app = protocol.streamable_http_app(streamable_http_path=PATH, host=HOST)
    guarded = Guard(
        app,
        refused=_refused,
        api_key=token,
        names=LOCAL_NAMES,
        open_path=NOTHING,
        max_body_bytes=MAX_BODY_BYTES,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    async with protocol.session_manager.run():  # no lifespan does it
        ready(f"http://{HOST}:{listener.getsockname()[1]}{PATH}")
        await UnsignalledServer(quiet_config(guarded)).serve([listener])


def _refused(error: NotLetInError) -> ASGIApp:
    """Return a refusal as the protocol tells it: an error that belongs to no request."""
    body = {"code": INVALID_REQUEST, "message": str(error), "data": {"reason": error.code}}
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
    told = {"jsonrpc": "2.0", "id": None, "error": body}
    return JSONResponse(told, error.status, headers)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record tells of more than requests that end with the server."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)
