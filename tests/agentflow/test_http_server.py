"""What all our HTTP servers do with connections, whatever their applications are."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

pytest.importorskip("uvicorn", reason="our HTTP servers need the extra `view`")

from starlette.responses import PlainTextResponse

from agentflow import http_server
from agentflow.http_server import UnsignalledServer, most_connections, quiet_config

pytestmark = pytest.mark.anyio
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, int]]:
    """Serve a greeting; give its address."""
    server = UnsignalledServer(quiet_config(PlainTextResponse("hello"), keep_alive_s=60))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            try:
                yield listener.getsockname()[:2]
            finally:
                server.should_exit = True


async def reply(stream: anyio.abc.ByteStream) -> bytes:
    """Return what comes after a request; nothing from a connection that is closed."""
    try:
        await stream.send(REQUEST)
        return await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""


async def test_of_too_many_connections_the_last_are_closed_and_the_first_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 3)
    async with serving() as (host, port):
        streams = [await anyio.connect_tcp(host, port) for _ in range(3)]
        for stream in streams:
            assert (await reply(stream)).startswith(b"HTTP/1.1 200")
        async with await anyio.connect_tcp(host, port) as one_more:
            assert await reply(one_more) == b""
        assert (await reply(streams[0])).startswith(b"HTTP/1.1 200")
        for stream in streams:
            await stream.aclose()


@pytest.mark.parametrize(("answered", "begun"), [(0, b""), (0, REQUEST[:20]), (1, REQUEST[:20])])
async def test_a_connection_on_which_no_whole_request_comes_is_closed(
    monkeypatch: pytest.MonkeyPatch, begun: bytes, answered: int
) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.01)
    async with serving() as address, await anyio.connect_tcp(*address) as stream:
        for _ in range(answered):
            assert (await reply(stream)).startswith(b"HTTP/1.1 200")
        if begun:
            await stream.send(begun)
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


def test_half_of_the_files_are_left_for_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _name: 1024)
    assert most_connections() == 512
    monkeypatch.setattr(os, "sysconf", lambda _name: -1)  # no limit
    assert most_connections() == http_server.MOST_CONNECTIONS
