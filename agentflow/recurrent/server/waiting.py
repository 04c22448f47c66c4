"""Work on a request only while somebody waits for the answer.

Owns that what several works raise is an error, not a group around it.
"""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import anyio
from starlette.types import Receive

from agentflow.cancelling import unless
from agentflow.guarding import gone

Work = Callable[[], Coroutine[Any, Any, None]]


async def until_gone(receive: Receive, work: Work) -> bool:
    """Do `work`, but cancel it when the client goes away; return whether it did."""
    return await unless(partial(gone, receive), work) is None


async def together(works: Iterable[Work]) -> None:
    """Do several works at once; the first error cancels the others and is raised."""
    try:
        async with anyio.create_task_group() as group:
            for work in works:
                group.start_soon(work)
    except BaseExceptionGroup as group_of_errors:
        raise _first(group_of_errors) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
