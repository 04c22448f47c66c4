"""Finish what cannot be stopped half-way."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def settled(future: "asyncio.Future[T]") -> T:
    """Await `future` to its end although the caller is being cancelled; the caller stops after it."""
    is_cancelled = False
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError:
            is_cancelled = True
        except Exception:  # noqa: BLE001 - raised by `result` below
            break
    if is_cancelled and (current := asyncio.current_task()) is not None:
        current.uncancel()
        current.cancel()  # again, at the next await
    return future.result()


async def uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end although the caller is being cancelled.

    For work that goes on in any case, such as a thread: what it did is then recorded.
    """
    return await settled(asyncio.ensure_future(work))  # awaited whatever happens: no orphan
