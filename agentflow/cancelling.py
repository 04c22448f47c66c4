"""Finish what cannot be stopped half-way, and stop what nobody waits for any more."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio

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


async def unless(
    ended: Callable[[], Awaitable[object]], work: Callable[[], Awaitable[T]]
) -> tuple[T] | None:
    """Do `work`, but cancel it once `ended` returns: then return None, else its result in a tuple.

    Raises:
        Exception: What `work` raised.
    """
    results: list[T] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            await ended()
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            results.append(await work())
        except Exception as error:  # noqa: BLE001 - raised below, without a group around it
            errors.append(error)
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return (results[0],) if results else None
