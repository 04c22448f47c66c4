"""Stop a run in good order.

Owns what Ctrl-C and SIGTERM do: they cancel the run, and the process ends once its journal does. The
event loop watches the signals itself, so one that comes while nothing happens is heard at once.
"""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def until_stopped(work: Callable[[], Awaitable[T]]) -> T:
    """Await `work` and return its result.

    Raises:
        KeyboardInterrupt: The process was asked to stop, and `work` has.
        Exception: What `work` raised.
    """
    results: list[T] = []
    errors: list[Exception] = []
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                async for _number in signals:
                    group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001 - raised below, without a group around it
                errors.append(error)
            group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    if not results:
        raise KeyboardInterrupt
    return results[0]
