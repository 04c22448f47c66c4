"""Pictures that need no script: axes, marks, lines and words in SVG.

Owns the elements that plots are made of. Knows no evaluation. Colours are classes (`c0` to `c7`) that the
page's style defines for light and dark; nothing here is a style of its own, so the page's policy can forbid
those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentflow_evals.reports.labels import Box
from agentflow_evals.reports.markup import Child, Markup, tag
from agentflow_evals.reports.scales import Linear, Log

COLOURS = 8
CORNERS: tuple[tuple[tuple[float, float], ...], ...] = (
    (),  # a circle
    ((-5, -5), (5, -5), (5, 5), (-5, 5)),
    ((0, -7), (7, 0), (0, 7), (-7, 0)),
    ((0, -6.5), (6.5, 5), (-6.5, 5)),
    ((0, 6.5), (6.5, -5), (-6.5, -5)),
)
SHAPES = len(CORNERS)
DASHES = ("", "6 3", "2 3", "9 3 2 3")
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A scale, what it measures and how its numbers are written."""

    scale: Linear | Log
    title: str
    write: Write


def picture(
    name: str, width: float, height: float, title: str, description: str, *children: Child
) -> Markup:
    """Return a drawing that a screen reader reads as its title and description."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *children,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def axes(across: Axis, up: Axis) -> Markup:
    """Return grid lines, numbers and titles of both axes."""
    x, y = across.scale, up.scale
    parts: list[Child] = []
    for value in y.ticks():
        parts += [
            line(x.start, y(value), x.end, y(value), "grid"),
            words(x.start - 7, y(value) + 4, up.write(value), "tick end"),
        ]
    for value in x.ticks():
        parts += [
            line(x(value), y.start, x(value), y.end, "grid"),
            words(x(value), y.start + 17, across.write(value), "tick middle"),
        ]
    parts += [
        words((x.start + x.end) / 2, y.start + 36, across.title, "axis middle"),
        words(x.start, y.end - 9, up.title, "axis"),
    ]
    return tag("g", *parts)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def words(x: float, y: float, text: str, class_: str = "", full: str = "") -> Markup:
    """Return text on its base line; `full` is shown where `text` was cut."""
    title = tag("title", full) if full and full != text else None
    return tag("text", text, title, x=x, y=y, class_=class_ or None)


def mark(x: float, y: float, colour: int, shape: int) -> Markup:
    """Return a circle, square, diamond or triangle (up, down) around a point."""
    class_ = f"mark c{colour % COLOURS}"
    corners = CORNERS[shape % SHAPES]
    if not corners:
        return tag("circle", cx=x, cy=y, r=5.5, class_=class_)
    points = " ".join(f"{x + dx:.2f},{y + dy:.2f}" for dx, dy in corners)
    return tag("polygon", points=points, class_=class_)


def whisker(x: float, top: float, bottom: float, colour: int) -> Markup:
    """Return an upright interval with its two ends."""
    class_ = f"whisker c{colour % COLOURS}"
    path = f"M{x:.2f} {top:.2f}V{bottom:.2f}M{x - 4:.2f} {top:.2f}h8M{x - 4:.2f} {bottom:.2f}h8"
    return tag("path", d=path, class_=class_)


def steps(points: Sequence[tuple[float, float]], end: float, colour: int, title: str) -> Markup:
    """Return a line that keeps its height until the next point, on to `end`."""
    (x, y), *rest = points
    path = f"M{x:.2f} {y:.2f}" + "".join(f"H{x:.2f}V{y:.2f}" for x, y in rest) + f"H{end:.2f}"
    dash = DASHES[colour // COLOURS % len(DASHES)] or None
    shape = tag("path", tag("title", title), d=path, stroke_dasharray=dash)
    return tag("g", shape, class_=f"curve c{colour % COLOURS}")


def leader(x: float, y: float, box: Box) -> Markup | None:
    """Return a thin line from a mark to its label, unless that is right beside it."""
    near_x = min(max(x, box.left), box.right)
    near_y = min(max(y, box.top + 3), box.bottom - 3)
    far = abs(near_x - x) + abs(near_y - y) > 16
    return line(x, y, near_x, near_y, "leader") if far else None
