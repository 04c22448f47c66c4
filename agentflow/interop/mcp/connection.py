"""One live connection to a server, in a thread of its own.

Owns the thread, its event loop and the session in it. Runs in any event loop may call through it, and it
can be closed from anywhere. What a server asks of us (a model, a person, files) is refused; what it tells
unasked is not listened to, but for the news that its tools have changed. Needs the extra `mcp`.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import mcp_types
from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, REQUEST_TIMEOUT
from pydantic import ValidationError

from agentflow.errors import McpServerError
from agentflow.interop.mcp.offers import MOST_TOOLS, Listing, listing_of
from agentflow.interop.mcp.place import Place
from agentflow.interop.mcp.transports import UNREACHED, Fault, reaching
from agentflow.interop.mcp.words import one_line

GRACE_S = 5.0  # for the thread to answer after the server's time is over
CLOSE_S = 10.0
MOST_PAGES = 50
KEY = "agentflow/idempotency-key"
# What the client says for a server; the codes beside these words are ones that servers use as well.
CLOSED = ("Connection closed", "SSE stream")
TIMED_OUT = "timed out"
FORGOTTEN = "Session terminated"
MADE_UP = ("Server returned an error response", "Not Found")

T = TypeVar("T")


class LostError(Exception):
    """The connection is over. `is_sent`: the request may have reached the server."""

    def __init__(self, problem: str, *, is_sent: bool) -> None:
        self.problem, self.is_sent = problem, is_sent
        super().__init__(problem)


class CallError(Exception):
    """The server refused a request, or did not answer it well; `name` says which of these."""

    def __init__(self, name: str, message: str) -> None:
        self.name, self.message = name, message
        super().__init__(message)


class Connection:
    """A connection that is made when it is opened; every method but `call` and `listing` may block."""

    def __init__(self, place: Place) -> None:
        self.place, self.secrets = place, place.secrets
        self._fault = Fault()
        self._ready: Future[None] = Future()
        self._is_over = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: anyio.Event | None = None
        self._client: Client | None = None
        self._listing: Listing | None = None
        self._thread = threading.Thread(target=self._run, name=f"mcp {place.name}", daemon=True)

    @classmethod
    def open(cls, place: Place) -> "Connection":
        """Return a connection whose server has answered.

        Raises:
            McpServerError: It cannot be started or reached, or took too long.
        """
        logging.getLogger("mcp").addHandler(
            logging.NullHandler()
        )  # a server's words are not for a terminal
        connection = cls(place)
        connection._thread.start()
        try:
            connection._ready.result(place.connect_timeout_s + GRACE_S)
        except TimeoutError as error:
            connection.close()
            raise connection._failed("it took too long to answer") from error
        return connection

    @property
    def is_alive(self) -> bool:
        """Whether nothing is known against another call."""
        return not self._is_over.is_set() and not self._fault.reason

    def close(self) -> None:
        """End the connection, and a server that was started for it."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stopping.set)
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    async def listing(self) -> Listing:
        """Return the server's tools; asked again only after it said that they have changed.

        Raises:
            LostError, CallError: See there.
        """
        found = self._listing
        if found is None:
            found = await self._there(self._listed, self.place.connect_timeout_s)
        return found

    def listing_now(self) -> Listing:
        """Return the server's tools, from code that is not async.

        Raises:
            McpServerError: It does not say.
        """
        loop = self._loop
        assert loop is not None, "opened"
        try:
            future = asyncio.run_coroutine_threadsafe(self._listed(), loop)
            return future.result(self.place.connect_timeout_s + GRACE_S)
        except (LostError, CallError) as error:
            raise self._failed(str(error)) from error
        except (TimeoutError, FutureCancelledError, RuntimeError) as error:
            raise self._failed(self._reason("it did not list its tools")) from error

    async def call(self, title: str, arguments: dict[str, Any], key: str) -> Any:
        """Return the `CallToolResult` of one call.

        Raises:
            LostError, CallError: See there.
        """
        return await self._there(
            lambda: self._called(title, arguments, key), self.place.timeout_s + GRACE_S
        )

    async def _there(self, work: Callable[[], Coroutine[Any, Any, T]], limit_s: float) -> T:
        """Await something in the thread's own loop; cancelled here, it is cancelled there."""
        loop = self._loop
        if loop is None or loop.is_closed() or not self.is_alive:
            raise self._lost(is_sent=False)
        try:
            future = asyncio.run_coroutine_threadsafe(work(), loop)
        except RuntimeError as error:
            raise self._lost(is_sent=False) from error
        try:
            with anyio.fail_after(limit_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise CallError("McpTimeout", f"no answer within {self.place.timeout_s:g} s") from error
        except FutureCancelledError as error:
            raise self._lost(is_sent=True) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling() == 0 and not self.is_alive:
                raise self._lost(is_sent=True) from error  # the thread has ended, not the caller
            raise

    def _lost(self, *, is_sent: bool) -> LostError:
        return LostError(self._reason("the connection is over"), is_sent=is_sent)

    def _reason(self, fallback: str) -> str:
        reason = self._fault.reason or fallback
        said = one_line(self.secrets.text(self._fault.said)[-300:])
        return f"{reason}; it said: {said}" if said else reason

    def _failed(self, problem: str) -> McpServerError:
        return McpServerError(server=self.place.shown, problem=problem)

    def _run(self) -> None:
        try:
            anyio.run(self._live)
        except BaseException as error:  # noqa: BLE001 - the end of a thread: it is told to who waits
            self._fault.of(one_line(self.secrets.text(_told(error))))
            if not self._ready.done():
                self._ready.set_exception(self._opening_error(error))
        finally:
            self._is_over.set()
            if not self._ready.done():
                self._ready.set_exception(self._failed(self._reason("it took too long to answer")))

    def _opening_error(self, error: BaseException) -> McpServerError:
        inner = _innermost(error)
        if isinstance(inner, MCPError) and not inner.message.startswith(CLOSED):
            return self._failed(self._told(inner))  # more than that it then closed the connection
        return inner if isinstance(inner, McpServerError) else self._failed(self._reason(""))

    async def _live(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), anyio.Event()
        with anyio.CancelScope() as opening:
            opening.deadline = anyio.current_time() + self.place.connect_timeout_s
            client = Client(
                reaching(self.place, self._fault),
                mode="auto",
                cache=None,
                read_timeout_seconds=self.place.connect_timeout_s,
                message_handler=self._hear,
            )
            async with client:
                opening.deadline = float("inf")
                self._client = client
                self._ready.set_result(None)
                await self._stopping.wait()
                self._is_over.set()

    async def _hear(self, message: Any) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._listing = None

    async def _listed(self) -> Listing:
        tools: list[Any] = []
        cursor, pages = None, 0
        while True:
            page = await self._asked(partial(self._session.list_tools, cursor=cursor))
            tools += page.tools
            cursor, pages = page.next_cursor, pages + 1
            if cursor is None:
                break
            if pages >= MOST_PAGES or len(tools) > MOST_TOOLS:
                raise CallError("McpMalformed", "its list of tools does not end")
        try:
            self._listing = listing_of(tools, self.place.name, self.secrets)
        except ValueError as error:
            raise CallError("McpMalformed", str(error)) from error
        return self._listing

    async def _called(self, title: str, arguments: dict[str, Any], key: str) -> Any:
        params = mcp_types.CallToolRequestParams(name=title, arguments=arguments, _meta={KEY: key})
        request = mcp_types.CallToolRequest(params=params)
        # Not `call_tool`: it compares results with a schema from outside, which may take for ever.
        return await self._asked(
            lambda: self._session.session.send_request(
                request,
                mcp_types.CallToolResult,
                request_read_timeout_seconds=self.place.timeout_s,
            )
        )

    @property
    def _session(self) -> Client:
        assert self._client is not None, "opened"
        return self._client

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except MCPError as error:
            raise self._refusal(error) from error
        except ValidationError as error:
            raise CallError("McpMalformed", "its answer is not one of the protocol") from error
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise self._lost(is_sent=True) from error

    def _refusal(self, error: MCPError) -> Exception:
        message = self._told(error)
        if error.code == CONNECTION_CLOSED and error.message.startswith(CLOSED):
            self._fault.of("it closed the connection")
            return self._lost(is_sent=True)
        if error.code == INVALID_REQUEST and error.message == FORGOTTEN:
            self._fault.of("it has forgotten the connection")
            return self._lost(is_sent=False)
        if error.code == UNREACHED:
            self._fault.of(message)
            return self._lost(is_sent=False)
        if error.code == REQUEST_TIMEOUT and error.message.endswith(TIMED_OUT):
            limit = (
                f"no answer within {self.place.timeout_s:g} s, so whether it was done is unknown"
            )
            return CallError("McpTimeout", limit)
        return CallError("McpError", f"{message} (code {error.code})")

    def _told(self, error: MCPError) -> str:
        """Return the words of an error; where the client has made them up, the status of HTTP instead."""
        if self._fault.status and error.message in MADE_UP:
            return f"it refused with HTTP status {self._fault.status}"
        return one_line(self.secrets.text(error.message))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _told(error: BaseException) -> str:
    inner = _innermost(error)
    return str(inner) or type(inner).__name__
