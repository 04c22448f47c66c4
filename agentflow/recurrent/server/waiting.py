"""Work on a request only while somebody waits for the answer.

Owns the two uses of task groups here, and that what they raise is an error, not a group around it.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from starlette.types import Receive

Work = Callable[[], Coroutine[Any, Any, None]]


async def until_gone(receive: Receive, work: Work) -> bool:
    """Do `work`, but cancel it when the client goes away; return whether it did."""
    is_done = False
    with _plain_errors():
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await work()
            is_done = True
            group.cancel_scope.cancel()
    return not is_done


async def together(works: Iterable[Work]) -> None:
    """Do several works at once; the first error cancels the others and is raised."""
    with _plain_errors():
        async with anyio.create_task_group() as group:
            for work in works:
                group.start_soon(work)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
