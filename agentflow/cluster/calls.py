"""Calls of remote tools on their way: short ones travel together, so that a message costs less than they do.

Owns the queue, how much goes into a message, and what becomes of calls whose process ends. How long a tool takes
is learned from its answers: what is not known yet, or is long, travels alone. Belongs to one event loop.
"""

import asyncio
from asyncio import CancelledError, Future, Task, get_running_loop
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from itertools import count

import anyio

from agentflow.cluster.asking import STOP_S, LostError, failed, losses
from agentflow.cluster.connection import ray
from agentflow.cluster.fitting import fitting
from agentflow.cluster.nodes import Node, Nodes, Worker
from agentflow.cluster.wire import Answer
from agentflow.cluster.worker import BATCH_BYTES, BATCH_S, HOLD_S, Part
from agentflow.placement import RemoteCall

MOST_CALLS = 32  # in a message

Outcome = tuple[Node, Answer | None]


@dataclass(eq=False, slots=True, kw_only=True)
class Asked:
    """A call on its way: `worker` has it, `left` is told when nothing works on it any more."""

    number: int
    call: RemoteCall
    outcome: "Future[Outcome]"
    worker: tuple[Node, Worker] | None = None
    left: anyio.Event | None = None

    def end(self, outcome: Outcome | Exception | None) -> None:
        """Tell whoever waits; None when nobody does."""
        self.worker = None
        if self.left is not None:
            self.left.set()
        if self.outcome.done() or outcome is None:
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class Calls:
    """The calls of a place: one carrier waits for a slot while there are any, one goes with each message."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._queue: deque[Asked] = deque()
        self._numbers = count(1)
        self._pace: dict[str, float] = {}  # seconds that a tool takes
        self._carriers: set[Task[None]] = set()
        self._is_one_waiting = False

    async def carry(self, call: RemoteCall) -> Outcome:
        """Have a call done, and return where and its answer; None with a node on which it should go alone.

        Raises:
            LostError: Its process ended.
            NodeRefusedError, ClusterError: There is no node for it.
        """
        outcome: Future[Outcome] = get_running_loop().create_future()
        asked = Asked(number=next(self._numbers), call=call, outcome=outcome)
        self._queue.append(asked)
        self._go_on()
        try:
            return await outcome
        except CancelledError:
            if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
                node, answer = outcome.result()
                if answer is None:
                    self._nodes.give_back(node)
            await self._stop(asked)
            raise

    def learn(self, call: RemoteCall, spent_s: float) -> None:
        """Believe at once that a tool is slow, and soon that it is fast."""
        if spent_s:
            before_s = self._pace.get(call.target, spent_s)
            self._pace[call.target] = max(spent_s, (before_s + spent_s) / 2)

    async def aclose(self) -> None:
        """Carry nothing more."""
        carriers = list(self._carriers)
        for task in carriers:
            task.cancel()
        if carriers:
            await asyncio.wait(carriers)
        while self._queue:
            self._queue.popleft().outcome.cancel()

    def _go_on(self) -> None:
        if self._queue and not self._is_one_waiting:
            self._is_one_waiting = True
            # Kept here and awaited in `aclose`: whoever asked may be cancelled, and others travel with it.
            task = get_running_loop().create_task(self._carry(), context=Context())
            self._carriers.add(task)
            task.add_done_callback(self._carriers.discard)

    async def _carry(self) -> None:
        """Wait for a slot, and send as much as should go there."""
        try:
            node = await self._nodes.take()
        except Exception as error:  # noqa: BLE001 - told to those who wait
            while self._queue:
                self._queue.popleft().end(error)
            return
        finally:
            self._is_one_waiting = False
        batch = self._cut()
        self._go_on()
        if len(batch) == 1 and self._takes_s(batch[0]) >= HOLD_S:
            batch[0].end((node, None))  # which has the slot now
            return
        try:
            if batch:
                await self._send(node, batch)
        finally:
            self._nodes.give_back(node)

    def _cut(self) -> list[Asked]:
        """Take what travels together from the queue: no more than its share of what is free."""
        share = -(-len(self._queue) // (1 + self._nodes.free()))
        most, left_s, left_bytes = min(MOST_CALLS, share), BATCH_S, BATCH_BYTES
        batch: list[Asked] = []
        while self._queue and len(batch) < most:
            asked = self._queue[0]
            if not asked.outcome.done():
                left_s -= self._takes_s(asked)
                left_bytes -= len(asked.call.input)
                if batch and min(left_s, left_bytes) < 0:
                    break
                batch.append(asked)
            self._queue.popleft()
        return batch

    def _takes_s(self, asked: Asked) -> float:
        return self._pace.get(asked.call.target, BATCH_S)

    async def _send(self, node: Node, batch: list[Asked]) -> None:
        undone = deque(batch)
        worker = node.worker()
        worker.in_flight += 1
        try:
            for asked in batch:
                asked.worker = (node, worker)
            calls = [(asked.number, asked.call) for asked in batch]
            part: Part = await worker.actor.work.remote(calls, fitting())
            self._answered(node, undone, *part.answers)
            self._again([undone.pop() for _ in range(len(undone) - part.is_working)][::-1])
            if part.is_working:
                await self._rest(node, worker, undone)
        except Exception as error:  # noqa: BLE001 - told to those who wait
            if isinstance(error, losses()) and not worker.is_ended:
                await self._nodes.look_after(node)
            self._failed(node, worker, undone, error)
        finally:
            worker.in_flight -= 1
            for asked in undone:
                asked.outcome.cancel()  # the place is closed

    async def _rest(self, node: Node, worker: Worker, undone: deque[Asked]) -> None:
        """Wait for the end of a long call; its process has nothing else meanwhile."""
        (asked,) = undone
        self.learn(asked.call, HOLD_S)
        worker.is_held = True
        self._answered(node, undone, await worker.actor.rest.remote(asked.number))
        worker.is_held = False

    def _answered(self, node: Node, undone: deque[Asked], *answers: Answer) -> None:
        for answer in answers:
            asked = undone.popleft()
            self.learn(asked.call, answer.spent_s)
            asked.end((node, answer))

    def _again(self, batch: Sequence[Asked]) -> None:
        """Put calls that have not begun, or begin again, before all others."""
        for asked in reversed(batch):
            asked.end(None)
            if not asked.outcome.done():
                self._queue.appendleft(asked)
        self._go_on()

    def _failed(self, node: Node, worker: Worker, undone: deque[Asked], error: Exception) -> None:
        batch = list(undone)
        undone.clear()
        if isinstance(error, losses()) and worker.is_ended:
            self._again(batch)  # all but the one that it was ended for
            return
        if isinstance(error, losses()):
            node.dismiss(worker)
            error = LostError(node.name, error)
        elif isinstance(error, ray().exceptions.RayTaskError):
            error = failed(error)
        for asked in batch:
            asked.end(error)

    async def _stop(self, asked: Asked) -> None:
        """Have a call stopped, first by asking; one that does not listen is ended with its process."""
        if asked.worker is None:
            return
        node, worker = asked.worker
        asked.left = anyio.Event()
        with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_S, shield=True):
            worker.actor.stop.remote(asked.number)
            await asked.left.wait()
            return
        node.dismiss(worker)
