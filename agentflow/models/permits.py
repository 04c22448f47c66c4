"""Hold back calls of a model that would be too many at once or too fast.

Owns one limit of concurrency and one of pace for each model at each address. A permit belongs
around one attempt of a leaf call and nothing else, so that recursion can never wait for itself.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import anyio
from aiolimiter import AsyncLimiter

from agentflow.models.protocol import Model

Key = tuple[str, str | None]


class Permits:
    """The permits of one run, in one event loop. Limits appear with the first call of a model."""

    def __init__(self) -> None:
        self._room: dict[Key, anyio.CapacityLimiter] = {}
        self._pace: dict[Key, AsyncLimiter] = {}

    def permit(self, model: Model) -> AbstractAsyncContextManager[None]:
        """Return a context that waits for room and for its turn, then holds the room.

        The limits are `model.concurrency` and, when the specification names them, its own
        `concurrency` and `requests_per_minute`; of two different limits the lower one holds.
        """
        return self._hold(self._room_of(model), self._pace_of(model))

    @asynccontextmanager
    async def _hold(
        self, room: anyio.CapacityLimiter | None, pace: AsyncLimiter | None
    ) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if room is not None:
                holder = object()  # not the task: a task may hold two when one model calls another
                await room.acquire_on_behalf_of(holder)
                stack.callback(room.release_on_behalf_of, holder)
            if pace is not None:
                await pace.acquire()
            yield

    def _room_of(self, model: Model) -> anyio.CapacityLimiter | None:
        wanted = [n for n in (model.concurrency, model.spec.concurrency) if n is not None]
        key = _key(model)
        if wanted:
            room = self._room.get(key)
            if room is None:
                room = self._room[key] = anyio.CapacityLimiter(min(wanted))
            room.total_tokens = min(room.total_tokens, *wanted)
        return self._room.get(key)

    def _pace_of(self, model: Model) -> AsyncLimiter | None:
        rate, key = model.spec.requests_per_minute, _key(model)
        if rate is not None:
            slowest = self._pace.get(key)
            if slowest is None or slowest.time_period < 60 / rate:
                # One call per interval: a bucket of a whole minute would let two minutes' worth through in one.
                self._pace[key] = AsyncLimiter(1, 60 / rate)
        return self._pace.get(key)


def _key(model: Model) -> Key:
    return str(model.spec), model.spec.base_url
