"""The plots of a report: what solving costs, what a budget buys, what form runs have.

Owns which marks stand for what. Knows neither evaluation nor report: it is given points, curves and counts.
Accuracy goes from 0 to 1 in every plot, so that none looks better than it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentflow_evals.reports import numbers, svg
from agentflow_evals.reports.labels import SIZE, Box, beside, spread, text_width
from agentflow_evals.reports.markup import Markup, cut, tag
from agentflow_evals.reports.scales import Linear, Log, log_scale

LABEL_CHARS = 26
BINS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One planner under one model: what a sample cost it (`x`) and how many it solved (`y`, 0 to 1).

    `text` stands beside the mark; `label` names it in full.
    """

    label: str
    text: str
    x: float
    y: float
    low: float
    high: float
    colour: int
    shape: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The share solved (second) with at most so many tokens (first), where it changes, in order."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: int


def scatter(name: str, points: Sequence[Point], x_title: str, write: svg.Write) -> Markup:
    """Return accuracy against cost, with intervals, a label at each mark and the frontier."""
    height = max(360.0, 15.0 * len(points))
    across = log_scale((point.x for point in points), 56, 728)
    up = Linear(low=0, high=1, start=height - 48, end=28)
    boxes = beside(
        [(across(p.x), up(p.y), cut(p.text, LABEL_CHARS)) for p in points],
        [Box(across(p.x) - 3, up(p.high), across(p.x) + 3, up(p.low)) for p in points],
        Box(58, 18, 756, height - 48),
    )
    marks = [_mark(p, box, across, up, write) for p, box in zip(points, boxes, strict=True)]
    front = [(across(x), up(y)) for x, y in frontier([(p.x, p.y) for p in points])]
    return svg.picture(
        name,
        760,
        height,
        f"Accuracy against {x_title}",
        "; ".join(
            f"{p.label}: {numbers.percent(p.y)} ({numbers.percent(p.low)} to "
            f"{numbers.percent(p.high)}) at {write(p.x)}"
            for p in points
        ),
        svg.axes(
            svg.Axis(scale=across, title=x_title, write=write),
            svg.Axis(scale=up, title="solved", write=numbers.whole_percent),
        ),
        tag("g", svg.steps(front, across.end, 0, "frontier"), class_="frontier"),
        marks,
    )


def _mark(point: Point, box: Box, across: Log, up: Linear, write: svg.Write) -> Markup:
    x, y = across(point.x), up(point.y)
    return tag(
        "g",
        tag(
            "title", f"{point.label}: {numbers.percent(point.y)} solved, {write(point.x)} a sample"
        ),
        svg.leader(x, y, box),
        svg.whisker(x, up(point.high), up(point.low), point.colour),
        svg.mark(x, y, point.colour, point.shape),
        svg.words(box.left, box.bottom - 3.5, cut(point.text, LABEL_CHARS), "label"),
    )


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points to which none is both cheaper (or as cheap) and better (or as good)."""
    found: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found


def curves(
    name: str, title: str, lines: Sequence[Curve], within: tuple[float, float], x_title: str
) -> Markup:
    """Return the share solved against the budget, a step line each; `within` are the least and most."""
    height = max(320.0, 90 + 15.0 * len(lines))
    texts = [cut(line.label, LABEL_CHARS) for line in lines]
    right = 520 - 14 - max(text_width(text) for text in texts)
    across = log_scale(within, 52, right)
    up = Linear(low=0, high=1, start=height - 48, end=28)
    last = [line.points[-1][1] if line.points else 0.0 for line in lines]
    ends = spread([up(y) for y in last], 30, height - 50)
    drawn = []
    for line, y in zip(lines, last, strict=True):
        places = [(across.start, up(0))] + [(across(x), up(share)) for x, share in line.points]
        says = f"{line.label}: {numbers.percent(y)} with any budget"
        drawn.append(svg.steps(places, across.end, line.colour, says))
    return svg.picture(
        name,
        520,
        height,
        title,
        "; ".join(_told(line) for line in lines),
        svg.axes(
            svg.Axis(scale=across, title=x_title, write=numbers.short_count),
            svg.Axis(scale=up, title="solved", write=numbers.whole_percent),
        ),
        drawn,
        [
            _end(line, text, across.end, up(y), place)
            for line, text, y, place in zip(lines, texts, last, ends, strict=True)
        ],
    )


def _end(line: Curve, text: str, x: float, y: float, place: float) -> Markup:
    return tag(
        "g",
        svg.line(x, y, x + 8, place, "leader"),
        svg.words(
            x + 11, place + SIZE / 3, text, f"label c{line.colour % svg.COLOURS}", line.label
        ),
    )


def _told(line: Curve) -> str:
    """Return a curve in words: where it reaches half of its end, and the end."""
    if not line.points or not line.points[-1][1]:
        return f"{line.label}: nothing solved"
    end = line.points[-1]
    half = next(x for x, y in line.points if y >= end[1] / 2)
    return (
        f"{line.label}: half of what it solves with {numbers.count(half)} tokens, "
        f"{numbers.percent(end[1])} with {numbers.count(end[0])}"
    )


def bars(name: str, title: str, counts: Mapping[int, int], highest: int, share: float) -> Markup:
    """Return how often each whole number from 0 to `highest` occurred; `share` is a full bar's."""
    width, found = _binned(counts, highest)
    total = sum(found)
    across = Linear(low=0, high=len(found), start=4, end=236)
    up = Linear(low=0, high=share * total or 1, start=64, end=24)
    lows = [numbers.short_count(place * width) for place in range(len(found))]
    every = math.ceil((max(map(text_width, lows)) + 3) / (across(1) - across(0)))
    told = {place: f"{_range(place * width, width)}: {n}" for place, n in enumerate(found) if n}
    return svg.picture(
        name,
        240,
        82,
        title,
        "; ".join(told.values()) or "no runs",
        svg.words(across.start, 10, title, "tick"),
        svg.line(across.start, up.start, across.end, up.start, "grid"),
        [
            _bar(across, up, place, found[place] / total, total, says)
            for place, says in told.items()
        ],
        [
            svg.words(across(place + 0.5), 77, low, "tick middle")
            for place, low in enumerate(lows)
            if place % every == 0
        ],
    )


def _bar(across: Linear, up: Linear, place: int, share: float, total: int, says: str) -> Markup:
    top = up(share * total)
    bar = tag(
        "rect",
        tag("title", says),
        x=across(place) + 1,
        y=top,
        width=across(1) - across(0) - 2,
        height=up(0) - top,
        class_="bar",
    )
    percent = svg.words(across(place + 0.5), top - 2, numbers.hundredths(share), "tick middle")
    return tag("g", bar, percent)


def full_bar(counts: Sequence[Mapping[int, int]], highest: int) -> float:
    """Return the greatest share of runs in one bar of several pictures, so that they compare."""
    shares = [max(_binned(each, highest)[1]) / (sum(each.values()) or 1) for each in counts]
    return max(shares, default=0.0)


def _binned(counts: Mapping[int, int], highest: int) -> tuple[int, list[int]]:
    """Return how wide bins are and how many are in each."""
    width = highest // BINS + 1
    found = [0] * (highest // width + 1)
    for value, number in counts.items():
        found[value // width] += number
    return width, found


def _range(low: int, width: int) -> str:
    return str(low) if width == 1 else f"{low} to {low + width - 1}"
