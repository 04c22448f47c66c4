"""How numbers are written on the page, each kind in one way.

Owns the words of numbers only. What is unknown is a dash, never a zero.
"""

import math

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


def short_count(value: float) -> str:
    """Return a round number for an axis: 200, 5k, 1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal."""
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def whole_percent(share: float) -> str:
    """Return a share as a percentage for an axis."""
    return f"{100 * share:.0f} %"


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


def p_value(value: float | None) -> str:
    """Return a p-value with two digits, none of them pretended."""
    if value is None:
        return UNKNOWN
    if value < 0.001:
        return "< 0.001"
    return f"{value:.2g}" if value < 0.995 else "1"
