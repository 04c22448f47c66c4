"""Carry whole runs out on the nodes of a Ray cluster, with the models and the account of this process.

Owns the workers: as many on a node as it has cores, started again when they die, ended with the fleet. What is
lost with one is begun again with another: whoever gave it sees to it that nothing recorded is repeated.
"""

import itertools
import sys
import time
from asyncio import CancelledError
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from agentflow.cancelling import uncancelled
from agentflow.cluster.asking import failed, last_line, losses
from agentflow.cluster.connection import join, leave, ray
from agentflow.cluster.fitting import fitting
from agentflow.cluster.members import Member, members
from agentflow.cluster.shipping.desk import Desk
from agentflow.cluster.shipping.hands import Hand, Hands
from agentflow.cluster.shipping.starting import (
    KEYS,
    worker_on,
)
from agentflow.cluster.shipping.wire import Done, Failure, Setup, Told
from agentflow.engine.ledger import Ledger
from agentflow.engine.notes import current_step, note
from agentflow.errors import ClusterError, NodeRefusedError, NoRunError, WorkLostError
from agentflow.resources import Resources

WAIT_S = 60.0  # for a node to come, when there is none
OPEN_S = 120.0  # to start a worker, on a busy machine
LOOK_S = 5.0  # how often to look for nodes that have come
STOP_S = 2.0  # for cancelled work to end by itself
MOST_TRIES = 4


class Fleet:
    """An async context manager; workers start with the first work.

    Args:
        address: `HOST:PORT` of the cluster's head, `auto`, or None for a cluster on this machine.
        setup: What every worker is opened with; `expected`, `models` and limits are filled in here.
        resources: Has the models that the workers ask for.
        within: The account that they all draw on.
        keys: More environment variables that no worker may have.
        wait_s: How long to wait for a node when there is none.
    """

    def __init__(
        self,
        address: str | None,
        setup: Setup,
        resources: Resources,
        within: Ledger,
        *,
        keys: tuple[str, ...] = (),
        wait_s: float = WAIT_S,
    ) -> None:
        self._address, self._wait_s = address, wait_s
        self._resources, self._within = resources, within
        self._keys, self._most = {*KEYS, *keys}, sys.maxsize
        self._hands, self._jobs = Hands(), itertools.count(1)
        self._setup = replace(
            setup,
            expected=setup.expected or fitting(setup.packages),
            limits_tokens=within.limits_tokens,
            limits_usd=within.limits_usd,
        )
        self.refused: dict[str, NodeRefusedError] = {}
        self._starting: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()  # starts of a node's workers, one after the other
        self._group: TaskGroup | None = None
        self._wanted, self._is_kept = anyio.Event(), False
        self.cores = 0

    async def __aenter__(self) -> Self:
        # In a thread: Ray leaves the signals of the process alone there.
        await uncancelled(anyio.to_thread.run_sync(join, self._address))
        try:
            self.cores = sum(node.cores for node in await members())
            self._group = await anyio.create_task_group().__aenter__()
        except BaseException:
            await uncancelled(anyio.to_thread.run_sync(leave))
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._group is not None, "it was entered"
        self._group.cancel_scope.cancel()
        # Only what a worker's failure or a cancellation from outside has done here is the group's affair.
        is_cancelled = isinstance(error, CancelledError)
        try:
            await self._group.__aexit__(*((kind, error, trace) if is_cancelled else (None,) * 3))
        finally:
            await uncancelled(anyio.to_thread.run_sync(leave))

    def limit(self, workers: int) -> None:
        """Start no more workers than that; no more pieces of work will be under way."""
        self._most = workers

    def workers(self) -> list[Hand]:
        """Return the workers that are there."""
        return self._hands.there()

    async def done(self, what: str, given: Any, again: Any) -> Any:
        """Have a worker do a piece of work; when it is lost, another is given `again`.

        Raises:
            WorkLostError: It was lost too often, but for the first time by itself.
            NodeRefusedError, ClusterError: There is no worker for it.
            AgentflowError: What the work raised.
        """
        self._keep()
        lost: list[str] = []
        while len(lost) < MOST_TRIES:
            hand = await self._hands.take(alone=bool(lost))
            try:
                found = await self._worked(hand, again if lost else given)
            except losses() as error:
                lost.append(hand.name)
                self._hands.remove(hand)
                with suppress(NoRunError):
                    text = f"{what} was lost with node {hand.name}, and is begun again"
                    note(text, node=hand.name, why=type(error).__name__)
                continue
            finally:
                self._hands.give_back(hand)
            if found.failure is not None and found.failure.name == NodeRefusedError.__name__:
                self._refuse(hand, found.failure)
                given = again
                continue
            with suppress(NoRunError):
                current_step().details["node"] = hand.name
            return found.value()
        raise WorkLostError(what=what, nodes=lost)

    def _refuse(self, hand: Hand, failure: Failure) -> None:
        """Use a node no more that turned out to lack something while it worked."""
        refusal = NodeRefusedError(**{**failure.facts, "node": hand.name})
        if hand.node not in self.refused:
            with suppress(NoRunError):
                note(str(refusal), **refusal.facts)
        self.refused[hand.node] = refusal
        for other in self._hands.there():
            if other.node == hand.node:
                self._hands.retire(other)

    async def _worked(self, hand: Hand, given: Any) -> Done:
        job = next(self._jobs)
        reference = hand.actor.work.remote(job, given)
        try:
            done: Done = await reference
        except CancelledError:
            await self._stop(hand, job, reference)
            raise
        except ray().exceptions.RayTaskError as error:
            raise failed(error) from error
        return done

    async def _stop(self, hand: Hand, job: int, reference: Any) -> None:
        """Cancel work and let it record its end; what does not listen ends with the fleet."""
        with anyio.move_on_after(STOP_S, shield=True), suppress(ray().exceptions.RayError):
            await hand.actor.stop.remote(job)
            await reference

    def _keep(self) -> None:
        """See to it from now on that there are workers."""
        if not self._is_kept:
            assert self._group is not None, "it was entered"
            self._is_kept = True
            self._group.start_soon(self._keeping)

    async def _keeping(self) -> None:
        there = time.monotonic()
        while True:
            await self._look()
            if len(self._hands) or self._starting.total():
                there = time.monotonic()
            elif self.refused:
                self._hands.give_up(next(iter(self.refused.values())))
            elif time.monotonic() > there + self._wait_s:
                problem = f"no node with a core to work on was there for {self._wait_s:g} s"
                self._hands.give_up(ClusterError(cluster=self._address or "local", problem=problem))
            with anyio.move_on_after(LOOK_S):
                await self._wanted.wait()
            self._wanted = anyio.Event()

    async def _look(self) -> None:
        """Start the workers that are missing, first where there are fewest."""
        found = await members()
        for gone in self.refused.keys() - {node.id for node in found}:
            del self.refused[gone]
        assert self._group is not None, "it was entered"

        def there(node: Member) -> int:
            return self._hands.on(node.id) + self._starting[node.id]

        while sum(map(there, found)) < self._most:
            lacking = [n for n in found if there(n) < n.cores and n.id not in self.refused]
            if not lacking:
                break
            node = min(lacking, key=there)
            self._starting[node.id] += 1
            self._group.start_soon(self._employ, node)
        self._share()

    def _share(self) -> None:
        """Spread the work over all workers, also those that are not ready yet."""
        workers = max(1, len(self._hands) + self._starting.total())
        self._hands.share(-(-self._most // workers))

    async def _employ(self, node: Member) -> None:
        """Start a worker and serve it until it is gone."""
        actor = worker_on(node, self._keys)
        try:
            try:
                is_open = await self._opened(node, actor)
            finally:
                self._starting[node.id] -= 1
            if is_open:
                await self._serve(Hand(actor=actor, node=node.id, name=node.name))
        finally:
            ray().kill(actor)
            self._share()
            self._wanted.set()

    async def _opened(self, node: Member, actor: Any) -> bool:
        refusal: tuple[str, str] | None = None
        try:
            with anyio.fail_after(OPEN_S):
                refusal = await actor.open.remote(self._setup)
            self._failed[node.id] = 0
        except ray().exceptions.RayTaskError as error:
            refusal = (f"its worker does not start: {last_line(error)}", "install agentflow there")
        except (ray().exceptions.RayError, TimeoutError) as error:
            self._failed[node.id] += 1
            if self._failed[node.id] < MOST_TRIES:
                return False  # if the node is still there, it is tried again
            problem = f"its workers die while they start: {last_line(error)}"
            refusal = (problem, "look at the logs of Ray there")
        if refusal is not None:
            problem, remedy = refusal
            self.refused[node.id] = NodeRefusedError(node=node.name, problem=problem, remedy=remedy)
        return refusal is None

    async def _serve(self, hand: Hand) -> None:
        """Answer what a worker asks for until it is gone; then give back what it had."""

        def tell(told: Told) -> None:
            hand.actor.tell.remote([told])

        async with anyio.create_task_group() as group:
            desk = Desk(self._resources, self._within, tell, group)

            async def until_gone() -> None:
                await hand.gone.wait()
                group.cancel_scope.cancel()

            group.start_soon(until_gone)
            self._hands.add(hand)
            try:
                stream = hand.actor.listen.options(num_returns="streaming").remote()
                async for reference in stream:
                    for message in await reference:
                        desk.hear(message)
            except losses():
                pass  # whoever waits for its work hears of it, too
            finally:
                self._hands.remove(hand)
                desk.close()
