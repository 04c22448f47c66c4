"""From a number to a place in a plot, and which numbers to write along an axis.

Owns linear and logarithmic scales. Knows no SVG. Places grow with values, and every value that a scale was
made for has its place between `start` and `end`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (1, 2, 5)
ZERO_GAP = 0.06  # share of a logarithmic axis to the left of its least value, where 0 has its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Places in proportion to values from `low` to `high`; `start` may be beyond `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Return at most `most` round values, evenly apart."""
        step = _round_step((self.high - self.low) / (most - 1))
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [(first + place) * step for place in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Places in proportion to logarithms from `low` to `high`; with `zero`, 0 has the place `start`."""

    low: float
    high: float
    start: float
    end: float
    zero: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value that is within the scale, or 0 on one that has it."""
        if value <= 0:
            return self.start
        share = math.log(value / self.low) / math.log(self.high / self.low)
        first = self.start + (ZERO_GAP * (self.end - self.start) if self.zero else 0)
        return first + share * (self.end - first)

    def ticks(self, most: int = 9) -> list[float]:
        """Return at most `most` of 1, 2 and 5 by powers of ten, or the powers alone."""
        first = math.floor(math.log10(self.low) - 1e-9)
        powers = range(first, math.ceil(math.log10(self.high) + 1e-9) + 1)
        fine = [step * 10.0**power for power in powers for step in STEPS]
        found = [tick for tick in fine if self._holds(tick)]
        if len(found) > most:
            found = [10.0**power for power in powers if self._holds(10.0**power)]
        every = math.ceil(len(found) / most)
        return ([0.0] if self.zero else []) + found[::every]

    def _holds(self, value: float) -> bool:
        return self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)


def log_scale(values: Iterable[float], start: float, end: float) -> Log:
    """Return a logarithmic scale that holds the values, at round bounds; none of them is below 0."""
    given = list(values)
    positive = [value for value in given if value > 0] or [1.0]
    low, high = _round_below(min(positive)), _round_above(max(positive))
    if high <= low:
        low, high = low / 2, high * 2
    zero = any(value <= 0 for value in given)
    return Log(low=low, high=high, start=start, end=end, zero=zero)


def _round_step(least: float) -> float:
    """Return the least of 1, 2 and 5 by powers of ten that is no less."""
    return _round_above(least)


def _round_below(value: float) -> float:
    """Return the greatest of 1, 2 and 5 by powers of ten that is no greater."""
    return max(step for step in _rounds_near(value) if step <= value * (1 + 1e-9))


def _round_above(value: float) -> float:
    """Return the least of 1, 2 and 5 by powers of ten that is no less."""
    return min(step for step in _rounds_near(value) if step >= value * (1 - 1e-9))


def _rounds_near(value: float) -> list[float]:
    power = math.floor(math.log10(value))
    return [step * 10.0**near for near in (power - 1, power, power + 1) for step in STEPS]
