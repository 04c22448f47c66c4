"""Models and money for runs on a node: both stay with the driver, and are asked for call by call.

Owns the worker's end of that. For the engine these are a model, a permit and an account like any other, with the
same errors; the driver makes an attempt when its account, its limits and its pace allow. Text does not stream.
Belongs to one event loop.
"""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar

import anyio

from agentflow.budget import Budget
from agentflow.cluster.shipping.wire import (
    Ask,
    Drop,
    Known,
    Message,
    Promise,
    Release,
    Told,
)
from agentflow.engine.ledger import Ledger, Reservation
from agentflow.engine.notes import current_step
from agentflow.models.prices import price_of
from agentflow.models.protocol import Model, ModelSpec, OnText, Price, Reply, Request, Usage
from agentflow.resources import Resources
from agentflow.sandbox.monty import open_sandbox
from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.pool import open_workers
from agentflow.sandbox.workers.protocol import Workers

# What the step that is under way here asked its account for.
_PROMISE: ContextVar[Promise | None] = ContextVar("promise", default=None)
# How long its last attempt took there.
_SECONDS: ContextVar[float] = ContextVar("seconds", default=0.0)


class Line:
    """The connection to the driver: messages go out in batches, what it tells comes back by attempt."""

    def __init__(self) -> None:
        self._out: list[Message] = []
        self._ready = anyio.Event()
        self._told: dict[int, Told] = {}
        self._waiting: dict[int, anyio.Event] = {}
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Return a number that was not given before."""
        return next(self._numbers)

    def say(self, message: Message) -> None:
        """Send a message."""
        self._out.append(message)
        self._ready.set()

    async def said(self) -> AsyncIterator[list[Message]]:
        """Yield what is to be sent, for ever."""
        while True:
            await self._ready.wait()
            batch, self._out, self._ready = self._out, [], anyio.Event()
            yield batch

    async def exchange(self, ask: Ask) -> Told:
        """Have the driver make an attempt and return what became of it.

        Raises:
            AgentflowError: It failed, or there is no money for it.
        """
        event = self._waiting[ask.call] = anyio.Event()
        self.say(ask)
        try:
            await event.wait()
        except BaseException:
            self.say(Drop(call=ask.call))
            raise
        finally:
            del self._waiting[ask.call]
        told = self._told.pop(ask.call)
        if told.failure is not None:
            raise told.failure.error()
        return told

    def hear(self, told: Told) -> None:
        """Take what the driver says; nobody may wait for it any more."""
        event = self._waiting.get(told.call)
        if event is not None:
            self._told[told.call] = told
            event.set()


class FarModel:
    """A model that the driver has; see `Model`."""

    def __init__(self, spec: ModelSpec, known: Known, line: Line) -> None:
        self.spec, self.concurrency = spec, known.concurrency
        self._price, self._line = known.price, line

    @property
    def price(self) -> Price | None:
        """What the driver's model says."""
        return self._price

    async def complete(self, request: Request, on_text: OnText) -> Reply:  # noqa: ARG002 - of `Model`
        """Have the driver make one attempt, under its own permit.

        Raises:
            ModelError: What the driver's model raised.
            BudgetExceededError: The driver's account does not cover it.
        """
        call = self._line.number()
        ask = Ask(call=call, spec=self.spec, promise=_PROMISE.get(), request=request)
        told = await self._line.exchange(ask)
        assert told.reply is not None, "an attempt ends with a reply or fails"
        _SECONDS.set(told.seconds)
        return told.reply

    async def aclose(self) -> None:
        """Nothing to close: the driver closes it."""


class FarLedger(Ledger):
    """The driver's account. It refuses when the attempt is asked for, with the error that it has here."""

    def __init__(self, line: Line, *, limits_tokens: bool, limits_usd: bool) -> None:
        super().__init__(Budget())
        self._line = line
        self._limits = limits_tokens, limits_usd

    @property
    def limits_tokens(self) -> bool:
        """Whether tokens are limited there."""
        return self._limits[0]

    @property
    def limits_usd(self) -> bool:
        """Whether dollars are limited there."""
        return self._limits[1]

    def reserve(self, step: str, tokens: int, usd: float, *, shared: bool = False) -> Reservation:
        """Note what the call may cost; the driver promises or refuses it before the first attempt."""
        assert shared, "it is the account above others"
        number = self._line.number()
        _PROMISE.set(Promise(number=number, step=step, tokens=tokens, usd=usd))
        return FarReservation(number)

    def settle(self, reservation: Reservation, usage: Usage, cost_usd: float | None) -> None:  # noqa: ARG002
        """Nothing to tell: the driver has settled it with the reply."""
        assert isinstance(reservation, FarReservation)
        reservation.is_open = False
        _PROMISE.set(None)

    def release(self, reservation: Reservation) -> None:
        """Give a promise back; doing it twice changes nothing."""
        assert isinstance(reservation, FarReservation)
        if reservation.is_open:
            reservation.is_open = False
            _PROMISE.set(None)
            self._line.say(Release(promise=reservation.number))


class FarReservation(Reservation):
    """A promise of the driver's account."""

    __slots__ = ("is_open", "number")

    def __init__(self, number: int) -> None:
        super().__init__(0, 0.0)
        self.number, self.is_open = number, True


class FarResources(Resources):
    """What runs of a worker share: the driver's models, and a sandbox and jails of the node's own.

    `jails` is how many generated functions may be carried out at once.
    """

    def __init__(self, line: Line, known: Mapping[str, Known], jails: int) -> None:
        super().__init__()
        self._line, self._known, self._jails = line, known, jails

    def model(self, spec: ModelSpec) -> Model:
        """Return the driver's model; whether it has one shows with the first call."""
        unknown = Known(price=price_of(spec), concurrency=spec.concurrency)
        return FarModel(spec, self._known.get(spec.model_dump_json(), unknown), self._line)

    def permit(self, model: Model) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - of `Resources`
        """Return what stands for a permit: the driver's is held around the attempt itself."""
        return _measured()

    async def sandbox(self) -> ProgramSandbox:
        """Return the node's sandbox for plan code."""
        async with self._lock:
            self._sandbox = self._sandbox or await open_sandbox(self._jails)
            return self._sandbox

    async def workers(self) -> Workers:
        """Return the node's jails."""
        async with self._lock:
            self._workers = self._workers or await open_workers(jails=self._jails)
            return self._workers


@asynccontextmanager
async def _measured() -> AsyncIterator[None]:
    """Correct what the step says of an attempt that went well: the wait for the permit was there, not here."""
    yield
    current_step().details["attempt_s"] = round(_SECONDS.get(), 6)
