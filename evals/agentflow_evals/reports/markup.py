"""HTML and SVG elements as values that are escaped by default.

Owns the one way in which text gets into a page. Knows no page. Only a `Markup` is taken as it is, and only
`tag` and `join` make one: whatever else is given becomes text, also in attributes.
"""

import html
import re
from collections.abc import Iterable

VOID = frozenset({"br", "meta", "wbr"})
BREAKS = re.compile(r"(?<=[_:{,/.@])")
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
REPLACEMENT = "\ufffd"


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
Attribute = str | int | float | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return one element.

    A name of an attribute loses its last underscore, others become hyphens (`class_`, `aria_label`); None
    leaves the attribute out, a float is rounded to hundredths (of a pixel).
    """
    head = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in VOID:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join(children)}</{name}>")


def join(children: Child) -> Markup:
    """Return children one after another, each escaped unless it is markup; None is nothing."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str | int):
        return Markup(html.escape(printable(str(children))))
    return Markup("".join(map(join, children)))


def printable(text: str) -> str:
    """Return text that any file and browser takes and that cannot turn around what follows it."""
    return UNPRINTABLE.sub(REPLACEMENT, text)


def cut(text: str, size: int) -> str:
    """Return text in one line of at most `size` characters, with an ellipsis where it was cut."""
    line = " ".join(text[: 4 * size].split())
    whole = len(line) <= size and len(text) <= 4 * size
    return line if whole else f"{line[: size - 1]}…"


def breakable(text: str, size: int) -> Markup:
    """Return a name of at most `size` characters that may be broken where its parts end."""
    parts = BREAKS.split(cut(text, size))
    return join([parts[0], *([tag("wbr"), part] for part in parts[1:])])


def _attribute(key: str, value: str | int | float) -> str:
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    name = key.removesuffix("_").replace("_", "-")
    return f' {name}="{html.escape(printable(str(value)))}"'
