"""The simulated world around the engine: a model's server and a place with workers.

Owns latencies, failures and the count of both. What happens to a piece of work is drawn from the seed, the work
itself and how often it was tried, so the order in which pieces are served changes nothing. Only time is simulated:
the requests are the engine's real ones, and the replies are checked and recorded as any other.
"""

import asyncio
import math
import os
import random
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentflow.data import canonical
from agentflow.engine.notes import current_step, note
from agentflow.errors import ClusterError, ModelUnavailableError, RateLimitedError
from agentflow.models.protocol import ModelSpec, OnText, Price, Reply, Request, Usage
from agentflow.placement import RemoteCall
from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.protocol import Examination, Examined, Observation, Observed, Trial
from benchmarks.scale.clock import now_s
from benchmarks.scale.tree import text_of

SIGMA = 0.8  # of the logarithm of a latency: 90 % take less than twice the mean
BUSY, SILENT = 0.02, 0.01  # of the calls: refused with 429, never answered
AWAY = 30.0  # mean latencies until a lost worker is back


@dataclass
class World:
    """What has happened. `done` counts pieces of work that were answered."""

    seed: int
    latency_s: float
    lost: float  # of the pieces of work
    end_at: int = 0  # the process is killed when so many are done; 0 for never
    done: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)  # what has failed so often, and goes on
    marks: list[Callable[[int], None]] = field(default_factory=list)

    def roll(self, what: str) -> random.Random:
        """Return the dice for the next attempt at `what`."""
        return random.Random(f"{self.seed} {what} {self.begun.get(what, 0)}")

    def latency(self, dice: random.Random) -> float:
        """Draw a latency in seconds."""
        return dice.lognormvariate(math.log(self.latency_s or 1e-9) - SIGMA**2 / 2, SIGMA)

    def fail(self, what: str, how: str) -> None:
        """Count a failure of `what`."""
        self.begun[what] = self.begun.get(what, 0) + 1
        self.failures[how] = self.failures.get(how, 0) + 1

    def succeed(self, what: str) -> None:
        """Count a piece of work that was answered."""
        self.begun.pop(what, None)
        self.done += 1
        for mark in self.marks:
            mark(self.done)
        if self.done == self.end_at:
            os.kill(os.getpid(), signal.SIGKILL)


class SimulatedModel:
    """A model whose server takes its time, refuses some calls and loses others."""

    def __init__(self, world: World, concurrency: int, per_minute: float | None) -> None:
        self.spec = ModelSpec(
            provider="simulated", name="model", requests_per_minute=per_minute, retries=8
        )
        self.concurrency: int | None = concurrency
        self.price: Price | None = Price(input=1.0, output=4.0)
        self.busy = self.most_busy = 0
        self._world = world

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            return await self._answered(request.messages[-1].text, on_text)
        finally:
            self.busy -= 1

    async def _answered(self, prompt: str, on_text: OnText) -> Reply:
        what = prompt.partition(":")[0]
        dice = self._world.roll(what)
        latency_s, chance = self._world.latency(dice), dice.random()
        if chance < BUSY:
            self._world.fail(what, "429")
            wait_s = 2 * self._world.latency_s
            problem = "too many requests"
            raise RateLimitedError(model="simulated", problem=problem, retry_after_s=wait_s)
        if chance < BUSY + SILENT:
            await anyio.sleep(5 * self._world.latency_s)
            self._world.fail(what, "timeout")
            raise ModelUnavailableError(model="simulated", problem="no answer in time")
        await anyio.sleep(latency_s)
        self._world.succeed(what)
        text = text_of(f"answer to {what}")
        on_text(text)
        used = Usage(input_tokens=len(prompt) // 4, output_tokens=len(text) // 4)
        return Reply(text=text, usage=used, model="simulated-1")

    async def aclose(self) -> None:
        """Nothing to close."""


class SimulatedPlace:
    """A place with so many workers, each at one piece of work at a time; see `Placement`, `Workers`."""

    def __init__(self, world: World, workers: int) -> None:
        self.busy_s = 0.0  # of all workers, also what they did for nothing
        self.most_busy = 0
        self._world, self._size = world, workers
        self._free = deque(range(workers))
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._busy: set[int] = set()
        self._looked_at_s = 0.0

    @property
    def busy_until_now_s(self) -> float:
        """The seconds that workers have been busy, of all of them together."""
        self._look()
        return self.busy_s

    async def sandbox(self) -> ProgramSandbox:
        raise ClusterError(cluster="simulated", problem="runs no programs")

    async def workers(self) -> "SimulatedPlace":
        return self

    async def call(self, call: RemoteCall) -> bytes:
        await self._done(call.input.decode()[:60])
        return canonical(f"{len(call.input)} bytes checked")

    async def observe(self, trial: Trial) -> Observed:
        await self._done(trial.source.partition(":")[0])
        return Observed(observations=tuple(Observation(outcome="returned", value=1) for _ in "12"))

    async def examine(self, examination: Examination) -> Examined:
        await self._done(examination.source[:60])
        return Examined(passed=True)

    async def aclose(self) -> None:
        """Nothing to leave."""

    async def _done(self, what: str) -> None:
        """Have some worker do it; with a worker that is lost it begins again on another."""
        while True:
            dice = self._world.roll(what)
            latency_s, is_lost = self._world.latency(dice), dice.random() < self._world.lost
            async with self._worker(is_lost) as worker:
                await anyio.sleep(latency_s * (dice.random() if is_lost else 1.0))
            if not is_lost:
                break
            self._world.fail(what, "lost")
            note(f"work was lost with worker-{worker}, and is begun again", node=f"worker-{worker}")
        current_step().details["node"] = f"worker-{worker}"
        self._world.succeed(what)

    @asynccontextmanager
    async def _worker(self, is_lost: bool) -> AsyncIterator[int]:
        worker = await self._take()
        try:
            yield worker
        finally:
            self._look()
            self._busy.discard(worker)
            if is_lost:
                loop = asyncio.get_running_loop()
                loop.call_later(AWAY * self._world.latency_s, self._give_back, worker)
            else:
                self._give_back(worker)

    async def _take(self) -> int:
        if self._free:
            worker = self._free.popleft()
        else:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            worker = await future
        self._look()
        assert worker not in self._busy
        self._busy.add(worker)
        self.most_busy = max(self.most_busy, len(self._busy))
        return worker

    def _give_back(self, worker: int) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(worker)
                break
        else:
            self._free.append(worker)

    def _look(self) -> None:
        """Count the time since the last look."""
        at_s = now_s()
        self.busy_s += len(self._busy) * (at_s - self._looked_at_s)
        self._looked_at_s = at_s


def facts(world: World, model: SimulatedModel, place: SimulatedPlace) -> dict[str, Any]:
    """Return what has happened, for a report."""
    return {
        "leaves": world.done,
        "failures": world.failures,
        "most_workers": place.most_busy,
        "most_calls": model.most_busy,
    }
