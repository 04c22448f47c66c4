"""How numbers are written in reports, each kind in one way.

Owns the words of numbers only, for tables in text and for the page. What is unknown is a dash, never a zero.
"""

import math

from agentflow.statistics import Interval
from agentflow_evals.analysis.tables import Spread

UNKNOWN = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
INFINITE = "\N{INFINITY}"
MINUS = "\N{MINUS SIGN}"


def count(value: float | None) -> str:
    """Return a whole number with its thousands apart, one digit more below ten."""
    if value is None:
        return UNKNOWN
    if math.isinf(value):
        return INFINITE
    if value < 10 and value != round(value):
        return f"{value:.1f}"
    return f"{value:,.0f}"


def counted(number: int, what: str) -> str:
    """Return how many there are of something: 1 sample, 1,200 samples."""
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def short_count(value: float) -> str:
    """Return a round number for an axis: 200, 5k, 1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def whole(value: float) -> str:
    """Return a number with all its digits, thousands apart."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal."""
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def whole_percent(share: float) -> str:
    """Return a share as a percentage for an axis."""
    return f"{hundredths(share)} %"


def hundredths(share: float) -> str:
    """Return a share as a whole number of hundredths."""
    return f"{100 * share:.0f}"


def bounds(interval: Interval | None) -> str:
    """Return the bounds of a share, in per cent."""
    if interval is None:
        return UNKNOWN
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}"


def change(interval: Interval) -> str:
    """Return a difference of shares with its bounds, in percentage points."""
    return f"{points(interval.estimate)} ({points(interval.low)} to {points(interval.high)})"


def score(value: float) -> str:
    """Return a mean of values between 0 and 1."""
    return f"{value:.3f}"


def score_change(value: float) -> str:
    """Return a difference of two such means, with its sign."""
    return f"{value:+.3f}"


def ratio(value: float | None) -> str:
    """Return how many times as much, or which part of it."""
    return UNKNOWN if value is None else f"{value:.2f}"


def minus(written: str) -> str:
    """Return a written number with a true minus sign, for a page."""
    return written.replace("-", MINUS)


def usd(value: float | None) -> str:
    """Return US dollars with two digits that say something."""
    if value is None:
        return UNKNOWN
    if value == 0 or value >= 1:
        return f"${value:,.2f}"
    if value < 1e-5:
        return f"${value:.1e}"
    decimals = max(2, 1 - math.floor(math.log10(value)))
    return f"${value:.{decimals}f}"


def seconds(value: float | None) -> str:
    """Return a time span: 0.12 s, 4.5 s, 3 min 20 s, 2 h 5 min."""
    if value is None:
        return UNKNOWN
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, left = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def short_seconds(value: float) -> str:
    """Return a time span in at most six characters: 0.12s, 45s, 3m20s, 2h05m."""
    if value < 10:
        return f"{value:.2f}s" if value < 1 else f"{value:.1f}s"
    if value < 60:
        return f"{value:.0f}s"
    minutes, left = divmod(round(value), 60)
    return f"{minutes}m{left:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def short_times(found: Spread | None) -> str:
    """Return median and 95th percentile of a time."""
    if found is None:
        return UNKNOWN
    return f"{short_seconds(found.median)}/{short_seconds(found.p95)}"


def short_counts(found: Spread | None) -> str:
    """Return median and most of a count."""
    return UNKNOWN if found is None else f"{found.median:g}/{found.largest:g}"


def p_value(value: float | None) -> str:
    """Return a p-value with two digits, none of them pretended."""
    if value is None:
        return UNKNOWN
    if value < 0.001:
        return "< 0.001"
    return f"{value:.2g}" if value < 0.995 else "1"
