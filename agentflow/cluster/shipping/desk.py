"""The driver's end of what a worker asks for: its models, their permits and the account.

Owns the attempts under way for one worker and what was promised to it; all of that is given back when the
worker is gone. The order is that of a call made here: money, the model, room and pace, then the attempt.
"""

import time
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from agentflow.cluster.shipping.wire import Ask, Failure, Message, Promise, Release, Told
from agentflow.engine.ledger import Ledger, Reservation
from agentflow.models.prices import price_of
from agentflow.models.protocol import ModelSpec, Reply
from agentflow.resources import Resources

Tell = Callable[[Told], None]


class Desk:
    """Serves one worker. `group` has the attempts; it is cancelled when the worker is gone."""

    def __init__(self, resources: Resources, within: Ledger, tell: Tell, group: TaskGroup) -> None:
        self._resources, self._within = resources, within
        self._tell, self._group = tell, group
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._promised: dict[int, Reservation] = {}

    def hear(self, message: Message) -> None:
        """Take a message of the worker."""
        if isinstance(message, Release):
            self._release(message.promise)
        elif isinstance(message, Ask):
            begun = self._scopes[message.call] = anyio.CancelScope()
            self._group.start_soon(self._serve, message, begun)
        elif scope := self._scopes.get(message.call):
            scope.cancel()

    def close(self) -> None:
        """Give back what was promised: nobody will use it."""
        for number in list(self._promised):
            self._release(number)

    async def _serve(self, ask: Ask, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                reply, seconds = await self._attempt(ask)
                self._tell(Told(call=ask.call, reply=reply, seconds=seconds))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is an error of the worker's step
            self._tell(Told(call=ask.call, failure=Failure.of(error)))
        finally:
            del self._scopes[ask.call]

    async def _attempt(self, ask: Ask) -> tuple[Reply, float]:
        if ask.promise is not None:
            self._promise(ask.promise)
        model = self._resources.model(ask.spec)
        async with self._resources.permit(model):
            began = time.perf_counter()
            reply = await model.complete(ask.request, _unheard)
            seconds = time.perf_counter() - began
        if ask.promise is not None and (held := self._promised.pop(ask.promise.number, None)):
            self._within.settle(held, reply.usage, _cost(ask.spec, reply))
        return reply, seconds

    def _promise(self, promise: Promise) -> None:
        """Take what a call may cost from the account; a repeated attempt of it has that already.

        Raises:
            BudgetExceededError: The account does not cover it.
        """
        if promise.number not in self._promised:
            held = self._within.reserve(promise.step, promise.tokens, promise.usd, shared=True)
            self._promised[promise.number] = held

    def _release(self, number: int) -> None:
        held = self._promised.pop(number, None)
        if held is not None:
            self._within.release(held)


def _unheard(_text: str) -> None:
    """Text does not stream to workers."""


def _cost(spec: ModelSpec, reply: Reply) -> float | None:
    """Return what a reply costs, as the worker's run reckons it."""
    price = price_of(spec)
    if reply.cost_usd is not None or price is None:
        return reply.cost_usd
    return price.cost_usd(reply.usage)
