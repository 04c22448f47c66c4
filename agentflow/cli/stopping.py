"""Stop a run in good order.

Owns what Ctrl-C and SIGTERM do: they cancel the run, and the process ends once its journal does. The
event loop watches the signals itself, so one that comes while nothing happens is heard at once.
"""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from agentflow.cancelling import unless

T = TypeVar("T")


async def until_stopped(work: Callable[[], Awaitable[T]]) -> T:
    """Await `work` and return its result.

    Raises:
        KeyboardInterrupt: The process was asked to stop, and `work` has.
        Exception: What `work` raised.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        done = await unless(signals.__anext__, work)
    if done is None:
        raise KeyboardInterrupt
    return done[0]
