"""Steps asked for by worker threads.

Owns the way from code that blocks back to the event loop in which the run lives. Every step asked for
here has ended before `run` returns. A thread that knows its place in the run (its context was copied)
keeps its lineage; one that does not is known by what it asks for, never by when it came.
"""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from agentflow.cancelling import settled
from agentflow.engine.lineage import FRAME, Frame, child_key
from agentflow.engine.steps import current_frame
from agentflow.interop.frameworks.failures import FrameworkError

T = TypeVar("T")
Make = Callable[[], Coroutine[Any, Any, T]]


class StoppedError(BaseException):
    """The flow that a thread works for is being cancelled; nothing may catch this and go on."""


class Bridge:
    """Where the threads of one call of a flow come to have steps performed."""

    def __init__(self, framework: str, name: str) -> None:
        self._framework, self._name = framework, name
        self._loop = asyncio.get_running_loop()
        self._frame = current_frame(name)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: Counter[bytes] = Counter()
        self._is_open = True

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a worker thread to its end; cancelled, its steps are stopped and it with them."""
        # Threads wait here for other threads: with a limit on them, they could wait for ever.
        thread = asyncio.ensure_future(
            anyio.to_thread.run_sync(work, limiter=CapacityLimiter(math.inf))
        )
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._stop()
            with suppress(Exception, StoppedError):  # what it was about no longer matters
                await settled(thread)
            raise
        except StoppedError as error:
            raise self._misuse("a step was cancelled by something other than its flow") from error

    async def aclose(self) -> None:
        """Stop what threads that outlived their flow have asked for."""
        self._stop()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def step(self, make: Make[T], content: bytes) -> T:
        """Perform a step from a thread and wait for it; `content` is what tells it from others.

        Raises:
            FrameworkError: The caller is in the event loop, which would wait for itself.
        """
        if self.is_here():
            raise self._misuse(
                "code that blocks is called inside `aforward`: call `await module.acall(...)` there"
            )
        answer: Future[T] = Future()
        context = copy_context()
        self._loop.call_soon_threadsafe(self._start, make, content, answer, context=context)
        return answer.result()

    def is_here(self) -> bool:
        """Return whether the caller runs in the event loop."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _start(self, make: Make[T], content: bytes, answer: "Future[T]") -> None:
        if not self._is_open:
            answer.set_exception(StoppedError())
            return
        if FRAME.get(None) is None:
            FRAME.set(self._frame_of(content))
        task = self._loop.create_task(_answer(make, answer))  # kept, and awaited in `aclose`
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _frame_of(self, content: bytes) -> Frame:
        digest = hashlib.blake2b(content, digest_size=16).digest()
        self._asked[digest] += 1
        step = self._frame.step
        lineage = child_key(step.key, "thread", digest.hex(), str(self._asked[digest]))
        return Frame(self._frame.run, step, lineage)

    def _stop(self) -> None:
        self._is_open = False
        for task in self._tasks:
            task.cancel()

    def _misuse(self, problem: str) -> FrameworkError:
        return FrameworkError(framework=self._framework, what=self._name, problem=problem)


async def _answer(make: Make[T], answer: "Future[T]") -> None:
    try:
        answer.set_result(await make())
    except asyncio.CancelledError:
        answer.set_exception(StoppedError())
        raise
    except Exception as error:  # noqa: BLE001 - raised in the thread that asked
        answer.set_exception(error)
