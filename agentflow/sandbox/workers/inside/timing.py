"""Cut code short that runs too long, from within.

Owns the alarm. Code that catches everything or ignores signals gets past it; the zygote then kills the
child from outside. It uses the bare `_signal`: `signal` wraps each call in enumerations, at many times the price.
"""

import _signal  # type: ignore[import-not-found]
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
_AGAIN_S = 0.1  # the alarm may hit where exceptions are swallowed, so it rings again


class TimeLimitError(BaseException):
    """The time is over; not an `Exception`, so that code does not catch it in passing."""


class Clock:
    """The time of one child: so much for each call, so much in all."""

    def __init__(self, call_s: float, total_s: float) -> None:
        self._call_s = call_s
        self._end = monotonic() + total_s
        self._rings = False

    def run(self, work: Callable[[], T]) -> T:
        """Run `work`.

        Raises:
            TimeLimitError: It took longer than one call may, or than is left.
        """
        limit_s = min(self._call_s, self._end - monotonic())
        if limit_s <= 0:
            raise TimeLimitError
        try:
            _signal.signal(_signal.SIGALRM, self._ring)
            self._rings = True
            _signal.setitimer(_signal.ITIMER_REAL, limit_s, _AGAIN_S)
            try:
                return work()
            finally:
                self._stop()
        except TimeLimitError:
            self._stop()
            raise

    def _stop(self) -> None:
        self._rings = False
        _signal.setitimer(_signal.ITIMER_REAL, 0)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._rings:
            raise TimeLimitError
