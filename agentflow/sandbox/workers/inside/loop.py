"""Run coroutines without the system calls that asyncio's own loops need.

Owns the event loop of generated code: ready callbacks and timers, woken from threads by an event. It
has no sockets, pipes or processes, because the jail has none.
"""

import asyncio
import asyncio.base_events
import threading
import warnings
from collections.abc import Iterator
from typing import Any

_mro = type.__dict__["__mro__"].__get__  # a metaclass can have another one
_members = type.__dict__["__dict__"].__get__


class _Waiting:
    """Stands where a selector would: waits for the next timer or for a thread."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s != 0:
            self._woken.wait(timeout_s)
        self._woken.clear()
        return []

    def wake(self) -> None:
        self._woken.set()


class JailLoop(asyncio.base_events.BaseEventLoop):
    """An event loop of timers and callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Waiting()

    def _process_events(self, _events: list[Any]) -> None:
        """Nothing but timers and callbacks ever happens."""

    def _write_to_self(self) -> None:
        self._selector.wake()


def use_for_asyncio() -> None:
    """Have `asyncio.run` and `new_event_loop` of the code use this loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # policies, from Python 3.14 on
        policy = asyncio.DefaultEventLoopPolicy()
        policy._loop_factory = JailLoop  # type: ignore[attr-defined]
        asyncio.set_event_loop_policy(policy)


def settled(value: Any) -> Any:
    """Return what an awaitable comes to, an asynchronous iterator as a plain one, else `value`."""
    for base in _mro(type(value)):
        if "__await__" in _members(base):
            return asyncio.run(_awaited(value))
        if "__anext__" in _members(base):
            return _items(value)
    return value


async def _awaited(value: Any) -> Any:
    return await value


def _items(source: Any) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        while True:
            try:
                yield runner.run(_awaited(source.__anext__()))
            except StopAsyncIteration:
                return
