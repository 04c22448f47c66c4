"""Where the words of a plot go so that they can be read.

Owns the placing of labels beside marks and at the ends of lines. Knows no SVG. Labels of marks avoid each
other and what is blocked as far as there is room; ends keep their order and never overlap.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

SIZE = 12.0  # of the type, in units of the plot
LINE = 14.0
WIDE = frozenset("WF")
RINGS = (9.0, 20.0, 34.0, 50.0, 68.0, 90.0)
DIRECTIONS = ((1, 0), (-1, 0), (0.6, -1), (0.6, 1), (-0.6, -1), (-0.6, 1))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `top` is the smaller of the two, as in SVG."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: "Box") -> float:
        """Return the area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)

    @property
    def area(self) -> float:
        """How much it covers."""
        return (self.right - self.left) * (self.bottom - self.top)


def text_width(text: str) -> float:
    """Return about how wide text is, in units of the plot."""
    return SIZE * sum(1.0 if unicodedata.east_asian_width(c) in WIDE else 0.57 for c in text)


def beside(
    marks: Sequence[tuple[float, float, str]], blocked: Sequence[Box], within: Box
) -> list[Box]:
    """Return a place for the text of each mark (x, y, text), near it and mostly off everything else."""
    taken = [*blocked, *(Box(x - 6, y - 6, x + 6, y + 6) for x, y, _text in marks)]
    placed: list[Box] = []
    for mark in marks:
        best = min(_candidates(*mark), key=lambda at: _badness(at, [*taken, *placed], within))
        placed.append(best)
    return placed


def spread(places: Sequence[float], low: float, high: float, gap: float = LINE) -> list[float]:
    """Return the places moved apart by `gap`, in the same order, between `low` and `high` if they fit."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    gap = min(gap, (high - low) / max(len(places) - 1, 1))
    found = list(places)
    least = low
    for index in order:
        found[index] = least = max(places[index], least)
        least += gap
    most = high
    for index in reversed(order):
        found[index] = most = min(found[index], most)
        most -= gap
    return found


def _candidates(x: float, y: float, text: str) -> list[Box]:
    wide = text_width(text)
    found = []
    for ring in RINGS:
        for across, down in DIRECTIONS:
            near = x + across * ring
            left = near if across > 0 else near - wide
            middle = y + down * ring
            found.append(Box(left, middle - LINE / 2, left + wide, middle + LINE / 2))
    return found


def _badness(at: Box, taken: Sequence[Box], within: Box) -> float:
    """Return the area that is covered already or outside; `min` takes the nearest of the best."""
    return at.area - at.shared(within) + sum(at.shared(other) for other in taken)
