"""A process of a node that calls tools: imported by name, one after another, several to a message.

Owns the order of the calls it was sent, and what it says of them: which have ended, which one is at work and
which have not begun, so that nothing waits behind a long one. Keeps nothing that a run could miss.
"""

import asyncio
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import reduce
from importlib import import_module
from typing import Any

import anyio

from agentflow.cluster.fitting import misfit
from agentflow.cluster.wire import Answer, answered
from agentflow.errors import ClusterError
from agentflow.placement import RemoteCall
from agentflow.tools import Tool

HOLD_S = 0.1  # what is not answered by then is long, and what waits behind it goes elsewhere
BATCH_S = 0.02  # how much work travels in one message,
BATCH_BYTES = 64 << 10  # and how much data in each direction

Numbered = tuple[int, RemoteCall]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What became of the calls of a message: the first have these answers, the next may be at work.

    The others have not begun, and will not.
    """

    answers: tuple[Answer, ...]
    is_working: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class Batch:
    """The calls of one message; `is_closed` when no more of them may begin."""

    calls: list[Numbered]
    answers: list[Answer] = field(default_factory=list)
    begun: int = 0
    is_closed: bool = False
    end: "Future[None]" = field(default_factory=Future)

    def is_full(self, until: float) -> bool:
        """Return whether what has ended should be told before anything else begins."""
        written = sum(len(answer.content or b"") for answer in self.answers)
        return time.monotonic() > until or written > BATCH_BYTES


class ToolWorker:
    """One process; its methods are asked from afar, and answer whatever a tool does."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # of what both threads touch: batches and scopes
        self._scopes: dict[int, anyio.CancelScope | None] = {}  # by call; None before it begins
        self._long: dict[int, Batch] = {}  # by the call at work, until its rest is asked for
        self._is_up = threading.Event()
        # Tools have a thread and a loop of their own: one that blocks its loop still lets us answer.
        threading.Thread(target=self._live, daemon=True).start()
        self._is_up.wait()

    async def work(self, calls: list[Numbered], expected: dict[str, str]) -> Part:
        """Carry out calls, and return when they have ended or `HOLD_S` is over."""
        different = misfit(expected)
        if different:
            refused = _refused(f"a node has {different}")
            return Part(answers=(refused,) * len(calls))
        batch = Batch(calls=calls)
        with self._guard:
            self._scopes.update((number, None) for number, _ in calls)
        self._loop.call_soon_threadsafe(self._arrived.put_nowait, batch)
        await asyncio.wait({asyncio.wrap_future(batch.end)}, timeout=HOLD_S)
        with self._guard:
            batch.is_closed = True
            for number, _ in calls[batch.begun :]:
                self._scopes.pop(number, None)
            part = Part(answers=tuple(batch.answers), is_working=batch.begun > len(batch.answers))
            if part.is_working:
                self._long[calls[len(batch.answers)][0]] = batch
        return part

    async def rest(self, number: int) -> Answer:
        """Return the answer of the call that was at work, once it has ended."""
        batch = self._long.pop(number)
        await asyncio.wrap_future(batch.end)
        return batch.answers[-1]

    async def stop(self, number: int) -> None:
        """Do not begin a call, or interrupt it; one that does not listen goes on."""
        with self._guard:
            if number not in self._scopes:
                return
            scope = self._scopes.pop(number)
        if scope is not None:
            self._loop.call_soon_threadsafe(scope.cancel)

    def _live(self) -> None:
        try:
            anyio.run(self._serve)
        except BaseException:  # noqa: BLE001 - without its thread it answers nobody
            os._exit(1)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[Batch] = asyncio.Queue()
        self._is_up.set()
        while True:
            batch = await self._arrived.get()
            await self._carry_out(batch)
            batch.end.set_result(None)

    async def _carry_out(self, batch: Batch) -> None:
        until = time.monotonic() + BATCH_S
        for number, call in batch.calls:
            with self._guard:
                if batch.is_closed or (batch.begun and batch.is_full(until)):
                    return
                batch.begun += 1
                is_wanted, scope = number in self._scopes, anyio.CancelScope()
                if is_wanted:
                    self._scopes[number] = scope
            answer = await _called(call, scope) if is_wanted else _refused("cancelled")
            with self._guard:
                self._scopes.pop(number, None)
                batch.answers.append(answer)


async def _called(call: RemoteCall, scope: anyio.CancelScope) -> Answer:
    answer = _refused("cancelled")  # nobody reads it
    with scope:
        try:
            answer = await _answer(call)
        except Exception as error:  # noqa: BLE001 - a bug of ours: the others of the message go on
            answer = _refused(f"work failed: {type(error).__name__}: {error}")
    return answer


def call_tool(call: RemoteCall, expected: dict[str, str]) -> Answer:
    """Call a tool in this process, which does nothing else meanwhile."""
    different = misfit(expected)
    return _refused(f"a node has {different}") if different else anyio.run(_answer, call)


async def _answer(call: RemoteCall) -> Answer:
    spent_s = 0.0

    async def work() -> bytes:
        nonlocal spent_s
        found = _imported(call)
        began = time.monotonic()
        try:
            return await found.carry_out(call.input)
        finally:
            spent_s = time.monotonic() - began

    return replace(await answered(work), spent_s=spent_s)


def _refused(problem: str) -> Answer:
    error = ClusterError(cluster="ray", problem=problem)
    return Answer(name=type(error).__name__, message=str(error), facts=error.facts)


def _imported(call: RemoteCall) -> Tool[..., Any]:
    """Return the tool, with the code that the run has.

    Raises:
        ClusterError: It is not there, or another one is.
    """
    module, _, name = call.target.partition(":")
    try:
        found: Any = reduce(getattr, name.split("."), import_module(module))
    except (ImportError, AttributeError) as error:
        problem = f"tool {call.tool}: {call.target} cannot be imported there ({error})"
        raise ClusterError(cluster="ray", problem=problem) from error
    if not isinstance(found, Tool) or found.code() != call.code:
        problem = f"tool {call.tool}: {call.target} is other code there than here"
        raise ClusterError(cluster="ray", problem=problem)
    return found
