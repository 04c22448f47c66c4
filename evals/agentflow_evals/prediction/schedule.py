"""When everything of a shape would happen: list scheduling, as the engine does it.

Owns the simulation of permits and of the engine's one thread. Knows no token and no price. A job waits for
what it needs, then in line for a permit, first come first served; what it does on the engine's thread it
does one after the other with all others, and the permit is held until the attempt is over.

Source: Graham, Bounds on Multiprocessing Timing Anomalies (1969), for list scheduling and its bound.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One part with its times; all in seconds.

    `needs` are places in the list of jobs. `delay_s` passes before it asks for a permit of `pool` (None:
    it needs none), `send_s` and `read_s` on the engine's thread around `wait_s`, and `tail_s` after the
    permit was given back.
    """

    needs: tuple[int, ...] = ()
    pool: str | None = None
    delay_s: float = 0.0
    send_s: float = 0.0
    wait_s: float = 0.0
    read_s: float = 0.0
    tail_s: float = 0.0

    @property
    def attempt_s(self) -> float:
        """How long it holds a permit when it is alone."""
        return self.send_s + self.wait_s + self.read_s

    @property
    def seconds(self) -> float:
        """How long it takes when it is alone."""
        return self.delay_s + self.attempt_s + self.tail_s


@dataclass(frozen=True, slots=True)
class Schedule:
    """When it is over, and how many seconds permits were held."""

    seconds: float
    held_s: float
    ends: tuple[float, ...]


def schedule(jobs: Sequence[Job], permits: int, *, thread_from_s: float = 0.0) -> Schedule:
    """Return when `jobs` end with `permits` permits a pool; the thread is free from `thread_from_s` on.

    `needs` have no circles; jobs that are ready at the same moment start in the order given.
    """
    return _Simulation(jobs, permits, thread_from_s).run()


def critical_path_s(jobs: Sequence[Job], order: Sequence[int]) -> float:
    """Return the time with permits for all and a thread for each; `order` is topological."""
    ends = [0.0] * len(jobs)
    for place in order:
        job = jobs[place]
        ends[place] = max((ends[other] for other in job.needs), default=0.0) + job.seconds
    return max(ends, default=0.0)


@dataclass(slots=True)
class _Pool:
    free: int
    line: deque[int] = field(default_factory=deque)


class _Simulation:
    """The clock is a heap of what happens next; equal times keep the order they were planned in."""

    def __init__(self, jobs: Sequence[Job], permits: int, thread_from_s: float) -> None:
        self._jobs, self._thread_free_s = jobs, thread_from_s
        self._pools = {job.pool: _Pool(permits) for job in jobs if job.pool is not None}
        self._waits_for = [0] * len(jobs)  # which of its needs each job is waiting for
        self._waiting: list[list[int]] = [[] for _ in jobs]
        self._is_done = [False] * len(jobs)
        self._next: list[tuple[float, int, Callable[[int], None], int]] = []
        self._planned = 0
        self._now, self._held = 0.0, 0.0
        self._began = [0.0] * len(jobs)
        self._ends = [0.0] * len(jobs)

    def run(self) -> Schedule:
        for place in range(len(self._jobs)):
            self._await(place)
        while self._next:
            self._now, _, happen, place = heapq.heappop(self._next)
            happen(place)
        return Schedule(max(self._ends, default=0.0), self._held, tuple(self._ends))

    def _await(self, place: int) -> None:
        """Wait for what it needs, one after the other and in turn with others, as branches do."""
        job, which = self._jobs[place], self._waits_for[place]
        if which == len(job.needs):
            self._after(job.delay_s, self._ready, place)
        elif self._is_done[job.needs[which]]:
            self._waits_for[place] += 1
            self._after(0.0, self._await, place)
        else:
            self._waiting[job.needs[which]].append(place)

    def _after(self, wait_s: float, happen: Callable[[int], None], place: int) -> None:
        self._planned += 1
        heapq.heappush(self._next, (self._now + wait_s, self._planned, happen, place))

    def _on_thread(self, busy_s: float, happen: Callable[[int], None], place: int) -> None:
        start = max(self._now, self._thread_free_s) if busy_s else self._now
        if busy_s:
            self._thread_free_s = start + busy_s
        self._after(start + busy_s - self._now, happen, place)

    def _ready(self, place: int) -> None:
        job = self._jobs[place]
        if job.pool is None:
            self._after(job.attempt_s + job.tail_s, self._done, place)
            return
        pool = self._pools[job.pool]
        if pool.free:
            pool.free -= 1
            self._start(place)
        else:
            pool.line.append(place)

    def _start(self, place: int) -> None:
        self._began[place] = self._now
        self._on_thread(self._jobs[place].send_s, self._sent, place)

    def _sent(self, place: int) -> None:
        self._after(self._jobs[place].wait_s, self._answered, place)

    def _answered(self, place: int) -> None:
        self._on_thread(self._jobs[place].read_s, self._read, place)

    def _read(self, place: int) -> None:
        job = self._jobs[place]
        self._held += self._now - self._began[place]
        pool = self._pools[job.pool or ""]
        if pool.line:
            self._start(pool.line.popleft())
        else:
            pool.free += 1
        self._after(job.tail_s, self._done, place)

    def _done(self, place: int) -> None:
        self._ends[place], self._is_done[place] = self._now, True
        for other in self._waiting[place]:
            self._waits_for[other] += 1
            self._await(other)
