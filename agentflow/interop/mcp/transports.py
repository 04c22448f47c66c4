"""The two ways to a server, with bounds: its process's pipes, and HTTP.

Owns the process and its end, the longest message, and how much a server may say unasked. A server that
goes past a bound is cut off, and `Fault` says why. Needs the extra `mcp`.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import mcp_types
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from agentflow.errors import McpServerError
from agentflow.interop.mcp.place import Place

MAX_MESSAGE_BYTES = 8 * 2**20
MOST_UNASKED = 5_000  # notifications and stray lines since the last answer
KEPT_STDERR_BYTES = 2_000
SESSION = "mcp-session-id"
UNREACHED = -31_001  # ours; those of the protocol begin at -32,000
END_S = 2.0  # for a server to end by itself, then to heed a signal

Sending = MemoryObjectSendStream[SessionMessage]
Receiving = MemoryObjectReceiveStream[SessionMessage | Exception]
Streams = tuple[Receiving, Sending]


@dataclass
class Fault:
    """Why a connection is over, in words; empty while it is not.

    `said`: the end of its stderr; `status`: the last by which it refused a request of HTTP.
    """

    reason: str = ""
    said: str = ""
    status: int = 0

    def of(self, reason: str) -> None:
        """Keep the first reason."""
        self.reason = self.reason or reason


@asynccontextmanager
async def reaching(place: Place, fault: Fault) -> AsyncIterator[Streams]:
    """Give the streams to a server, counted.

    Raises:
        McpServerError: It cannot be started, or a variable is not set.
    """
    way = _by_http(place, fault) if place.url else _by_process(place, fault)
    async with way as (incoming, outgoing), anyio.create_task_group() as group:
        send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        group.start_soon(_count, incoming, send, fault)
        try:
            yield receive, outgoing
        finally:
            receive.close()
            group.cancel_scope.cancel()


async def _count(incoming: Any, send: Any, fault: Fault) -> None:
    """Hand messages on; end when there are too many that nobody asked for."""
    unasked = 0
    async with send:
        async for message in incoming:
            is_answer = isinstance(message, SessionMessage) and isinstance(
                message.message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError
            )
            unasked = 0 if is_answer else unasked + 1
            if unasked > MOST_UNASKED:
                fault.of(f"it sent more than {MOST_UNASKED:,} messages that nobody asked for")
                return
            try:
                await send.send(message)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return
    fault.of("it closed the connection")


@asynccontextmanager
async def _by_process(place: Place, fault: Fault) -> AsyncIterator[Streams]:
    process = await _started(place)
    send, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, receive = anyio.create_memory_object_stream[SessionMessage](0)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_read, process.stdout, send, fault)
            group.start_soon(_listen, process.stderr, fault)
            group.start_soon(_write, process, receive)
            try:
                yield incoming, outgoing
            finally:
                incoming.close()
                outgoing.close()
                group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _ended(process)


async def _started(place: Place) -> Process:
    try:
        return await anyio.open_process(
            list(place.command), env=place.process_environment(), start_new_session=True
        )
    except OSError as error:
        problem = f"`{place.command[0]}` cannot be started: {error.strerror or error}"
        raise McpServerError(server=place.shown, problem=problem) from error


async def _read(stdout: ByteReceiveStream, send: Any, fault: Fault) -> None:
    """Turn lines into messages; lines that are none are counted, not told: servers log there."""
    kept, strays = bytearray(), 0
    async with send:
        while True:
            try:
                part = await stdout.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return
            kept += part
            lines: list[bytearray] = []
            if b"\n" in part:
                *lines, kept = kept.split(b"\n")
            if len(kept) > MAX_MESSAGE_BYTES:
                fault.of(f"it sent a message of more than {MAX_MESSAGE_BYTES:,} bytes")
                return
            for line in lines:
                message = _message(bytes(line))
                strays += message is None
                if strays > MOST_UNASKED:
                    fault.of("what it writes to its standard output are no messages")
                    return
                if message is not None:
                    try:
                        await send.send(message)
                    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                        return


def _message(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _listen(stderr: ByteReceiveStream, fault: Fault) -> None:
    """Keep the end of what it says, so that its pipe never fills."""
    kept = b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            kept = (kept + await stderr.receive())[-KEPT_STDERR_BYTES:]
            fault.said = kept.decode("utf-8", "replace")


async def _write(process: Process, receive: Any) -> None:
    assert process.stdin is not None
    async with receive:
        async for message in receive:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await process.stdin.send(text.encode("utf-8", "replace") + b"\n")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                return


async def _ended(process: Process) -> None:
    """End a server and all that it has started: by closing its input, then by signals."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and stream is not process.stdout:
            with suppress(OSError, anyio.BrokenResourceError):
                await stream.aclose()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
        with anyio.move_on_after(END_S):
            await process.wait()
            break
    with suppress(ProcessLookupError, PermissionError):  # what it has left behind
        os.killpg(process.pid, signal.SIGKILL)
    await process.aclose()


@asynccontextmanager
async def _by_http(place: Place, fault: Fault) -> AsyncIterator[Any]:
    async def bound(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.StreamError("it packed its answer, which nobody asked for")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Bounded(response.stream, fault)  # events have a bound of their own
        if response.status_code >= 400:
            fault.status = response.status_code
            if await _is_without_session(response):
                _say_no_session(response)

    headers = place.sent_headers() | {"accept-encoding": "identity"}
    timeout = httpx2.Timeout(place.connect_timeout_s, read=place.timeout_s)
    client = _Client(headers=headers, timeout=timeout, event_hooks={"response": [bound]})
    async with (
        client,
        streamable_http_client(
            place.url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES
        ) as streams,
    ):
        yield streams


class _Client(httpx2.AsyncClient):
    """A client for which a server that cannot be reached has refused the request: nothing was sent."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request."""
        try:
            return await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            problem = {"code": UNREACHED, "message": f"it cannot be reached: {error}"}
            told = {"jsonrpc": "2.0", "id": None, "error": problem}
            return httpx2.Response(503, json=told, request=request)


async def _is_without_session(response: httpx2.Response) -> bool:
    """Return whether a server refuses because it knows the session no more.

    The protocol has 404 for that. Servers also send 400, and say it in words.
    """
    if SESSION not in response.request.headers or response.status_code not in (400, 404):
        return False
    if response.status_code == 404:
        return True
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return False
    return b"session" in (await response.aread()).lower()


def _say_no_session(response: httpx2.Response) -> None:
    """Make an answer a bare 404: with anything in it, the client would tell that instead."""
    response.status_code = 404
    response.headers["content-type"] = "text/plain"


class _Bounded(httpx2.AsyncByteStream):
    """The body of a response, cut off where it is too long."""

    def __init__(self, stream: Any, fault: Fault) -> None:
        self._stream, self._fault = stream, fault

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_MESSAGE_BYTES
        async for part in self._stream:
            left -= len(part)
            if left < 0:
                problem = f"it sent a message of more than {MAX_MESSAGE_BYTES:,} bytes"
                self._fault.of(problem)
                raise httpx2.StreamError(problem)
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
