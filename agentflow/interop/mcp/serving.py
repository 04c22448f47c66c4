"""Serve flows to clients of the protocol: each call of a tool is a run in the journal.

Owns the server: its list of tools, the run behind a call, its progress, its errors in words. Transports
are in `doors.py`. A cancelled call cancels its run; a key makes a repeated call the same run. Needs the
extra `mcp`.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any

import anyio
import anyio.to_thread
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp_types import INVALID_PARAMS

from agentflow.errors import (
    AgentflowError,
    InputError,
    JournalError,
    KeyReusedError,
    UnknownRunError,
)
from agentflow.interop.mcp.served import KEY_ARGUMENT, MAX_KEY_CHARS, Served, with_listener
from agentflow.interop.mcp.words import one_line
from agentflow.journal.events import StepFailed, StepFinished, StepStarted
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.redaction import Redactor
from agentflow.runner import new_run_id

RUN = "agentflow/run"
ERROR = "agentflow/error"
KEY = "agentflow/idempotency-key"
MOST_RUNS = 8
MOST_UNTOLD = 100
LAST_WORDS_S = 1.0  # progress keeps nobody waiting
MAX_ERROR_CHARS = 2_000


class FlowServer:
    """Flows behind one server of the protocol.

    Args:
        served: What is served; their names differ.
        most_runs: How many calls are carried out at a time; more wait.

    Raises:
        ValueError: Two have one name.
    """

    def __init__(self, served: Sequence[Served], *, most_runs: int = MOST_RUNS) -> None:
        self._served = {one.name: one for one in served}
        if len(self._served) < len(served):
            names = [one.name for one in served]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two of them are called {twice!r}; give one another name")
        self._places = anyio.Semaphore(most_runs)
        self._under_way: dict[str, anyio.Event] = {}
        self._redactor = Redactor()

    def protocol_server(self) -> Server[Any]:
        """Return the server for a transport of the `mcp` package."""
        return Server(
            "agentflow",
            version=version("agentflow"),
            instructions="Each call is a run that is recorded; its id is in the result's `_meta`.",
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(self, _context: Any, _params: Any) -> mcp_types.ListToolsResult:
        tools = [
            mcp_types.Tool(
                name=one.name, description=one.description, input_schema=one.whole_schema()
            )
            for one in self._served.values()
        ]
        return mcp_types.ListToolsResult(tools=tools)

    async def _call(
        self, context: Any, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        served = self._served.get(params.name)
        if served is None:
            known = ", ".join(self._served)
            message = f"there is no tool {one_line(params.name, 80)!r}; there are: {known}"
            raise MCPError(INVALID_PARAMS, message)
        given = dict(params.arguments or {})
        run = ""
        try:
            key = _key(served, given, context.meta)
            run = new_run_id() if key is None else _run_of(served.name, key)
            arguments = served.bind(given)
            async with self._alone(run), self._places:
                value = await self._run(context, served, arguments, run, is_known=key is not None)
        except AgentflowError as error:
            return self._failure(error, run)
        except Exception as error:  # noqa: BLE001 - the edge: a flow's own error is an answer
            return self._failure(error, run)
        data, text = served.answer(value)
        return mcp_types.CallToolResult(
            content=[mcp_types.TextContent(text=text)], structured_content=data, _meta={RUN: run}
        )

    @asynccontextmanager
    async def _alone(self, run: str) -> AsyncIterator[None]:
        """Wait until nobody else here is at a run: who comes second finds what the first has left."""
        while run in self._under_way:
            await self._under_way[run].wait()
        self._under_way[run] = anyio.Event()
        try:
            yield
        finally:
            self._under_way.pop(run).set()

    async def _run(
        self, context: Any, served: Served, arguments: dict[str, Any], run: str, *, is_known: bool
    ) -> Any:
        """Start a run, or go on with it, or read what it has given."""
        earlier = None
        if is_known:
            earlier = await anyio.to_thread.run_sync(_recorded, served, run)
        if earlier is not None:
            if earlier.input != served.flow.signature.write_input(arguments):
                raise KeyReusedError(run=run)
            if earlier.status == "succeeded" and earlier.output is not None:
                return served.flow.signature.read_output(earlier.output)
        send, receive = anyio.create_memory_object_stream[str](MOST_UNTOLD)
        runner = with_listener(served.runner, partial(_hear, send))

        async def work() -> Any:
            if earlier is None:
                return (await runner.run_as(run, served.flow, **arguments)).output
            return (await runner.resume(served.flow, run)).output

        return await _told_meanwhile(context, work, send, receive)

    def _failure(self, error: Exception, run: str) -> mcp_types.CallToolResult:
        kind = type(error).__name__
        message = one_line(self._redactor.text(str(error)), MAX_ERROR_CHARS)
        meta: dict[str, Any] = {ERROR: {"type": kind, "message": message}}
        if run and not isinstance(error, InputError):
            meta[RUN] = run
        return mcp_types.CallToolResult(
            content=[mcp_types.TextContent(text=f"{kind}: {message}")], is_error=True, _meta=meta
        )


def _key(served: Served, arguments: dict[str, Any], meta: Any) -> str | None:
    """Take the key out of a call; None if it has none.

    Raises:
        InputError: It is no short text.
    """
    given = arguments.pop(KEY_ARGUMENT, None) if served.takes_key else None
    if given is None:
        given = (meta or {}).get(KEY)
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= MAX_KEY_CHARS:
        problem = f"{KEY_ARGUMENT}: must be a text of 1 to {MAX_KEY_CHARS} characters"
        raise InputError(step=served.name, problem=problem)
    return given


def _run_of(tool: str, key: str) -> str:
    text = f"{tool}\0{key}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=9).hexdigest()


def _recorded(served: Served, run: str) -> RunRecord | None:
    try:
        with Journal(served.runner.journal) as journal:
            record = journal.run(run)
    except UnknownRunError:
        return None
    except JournalError:
        return None  # there is no journal yet; what is wrong with one is told when the run begins
    return record if record.last_event else None


def _progress(event: Any) -> str:
    """Return what an event says of a run's progress; empty if nothing."""
    if isinstance(event, StepStarted):
        return f"{event.name} began"
    if isinstance(event, StepFinished):
        return f"step {event.step} is done"
    return f"step {event.step} failed" if isinstance(event, StepFailed) else ""


def _hear(send: MemoryObjectSendStream[str], event: Any) -> None:
    words = _progress(event)
    if words:
        with suppress(anyio.WouldBlock, anyio.BrokenResourceError):  # nobody waits for every word
            send.send_nowait(words)


async def _told_meanwhile(
    context: Any,
    work: Callable[[], Awaitable[Any]],
    send: MemoryObjectSendStream[str],
    receive: MemoryObjectReceiveStream[str],
) -> Any:
    """Await `work`, and tell the client meanwhile what is sent."""
    results: list[Any] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_tell, context, receive)
        with send:
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001 - raised below, without a group around it
                errors.append(error)
        group.cancel_scope.deadline = anyio.current_time() + LAST_WORDS_S
    if errors:
        raise errors[0]
    return results[0]


async def _tell(context: Any, receive: MemoryObjectReceiveStream[str]) -> None:
    count = 0
    async with receive:
        async for words in receive:
            count += 1
            await context.session.report_progress(count, None, one_line(words, 200))
