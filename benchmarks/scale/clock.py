"""An event loop that skips waiting: where nothing is ready, its clock jumps to the next timer.

Owns the clock and nothing else. By `wall` it shows the wall clock plus what was skipped: all the time the engine
itself takes is in it, so a simulated hour comes out as long as a real one, and latencies that are shorter than the
engine's work are hidden by it, as in life. By `cpu` it shows the CPU time of the process instead of the wall clock: for
machines that are shared with others; waiting for the disk is not in it. A `free` clock moves only by skipping: the
engine's work takes no time at all, and the same seed gives the same order of events.

Threads of `run_in_executor` are waited for in real time (time stands still meanwhile, but by the wall). Nothing
else may come from outside while a timer is set: it would be skipped.
"""

import asyncio
import concurrent.futures
import selectors
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar, TypeVarTuple, Unpack

import anyio

Clock = Literal["wall", "cpu", "free"]
OWN_S: dict[Clock, Callable[[], float]] = {
    "wall": time.perf_counter,
    "cpu": time.process_time,
    "free": lambda: 0.0,
}
LATE_S = 1e-6  # no real timer is exact either, and what waits for a sum of fractions must get there
T = TypeVar("T")
Given = TypeVarTuple("Given")


class _Skipping(selectors.DefaultSelector):
    """Returns at once, and notes for how long it did not wait."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.skipped_s = clock, 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.threads:
            return super().select(timeout if self.clock == "wall" else None)
        ready = super().select(0)
        if not ready:
            self.skipped_s += timeout + LATE_S
        return ready


class SkippingLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._skipping, self._own_s = _Skipping(clock), OWN_S[clock]
        super().__init__(self._skipping)

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._own_s() + self._skipping.skipped_s

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[Unpack[Given]], T],
        *args: *Given,
    ) -> asyncio.Future[T]:
        """Run in a thread, and wait for it in real time."""
        made = super().run_in_executor(executor, func, *args)
        self._skipping.threads += 1
        made.add_done_callback(self._thread_is_done)
        return made

    def _thread_is_done(self, _future: object) -> None:
        self._skipping.threads -= 1


def run(work: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Run `work` in such a loop."""
    return anyio.run(work, backend_options={"loop_factory": lambda: SkippingLoop(clock)})


def now_s() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()
