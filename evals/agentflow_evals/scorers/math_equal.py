r"""Whether two final answers in LaTeX or plain text mean the same.

Owns the normal form of what is only writing (spaces, braces, \left, \dfrac, degrees, dollars, percent, units)
and the parts of an answer: tuples and intervals in order, sets and lists in any order, unions, matrices,
equations, plus-minus. Two parts are the same if their normal forms are, or their values (`math_value.py`).
"""

import re

from agentflow_evals.scorers.math_value import same_value

MOST_CHARACTERS = 2_000  # what is longer is compared as text only
MOST_PARTS = 64
_SPACES = re.compile(r"\\[,;:! ]|\\q?quad|~|\s+")
_GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
_WORDS = re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf|textit|operatorname|rm)\s*" + _GROUP)
_DROPPED = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|limits)(?![a-zA-Z])|\\[$%]|[$%°]|\^\{?\\circ\}?|\\degree"
)
_SPELLINGS = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:le|leqslant)(?![a-zA-Z])"), r"\\leq"),
    (re.compile(r"\\(?:ge|geqslant)(?![a-zA-Z])"), r"\\geq"),
    (re.compile(r"\\(?:cdot|times)(?![a-zA-Z])|[\u00d7\u00b7]"), "*"),
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile("π"), r"\\pi "),
    (re.compile("∞"), r"\\infty "),
    (re.compile("\u222a"), r"\\cup "),
    (re.compile("±"), r"\\pm "),
    (re.compile(r"√\(([^()]*)\)|√(\d+|\w)"), r"\\sqrt{\1\2}"),
    (re.compile(r"\bsqrt\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*(\d)\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"\\sqrt\s*(\d|[a-zA-Z])"), r"\\sqrt{\1}"),
    (re.compile(r"(?<=\d)\{,\}(?=\d{3})"), ","),
    (re.compile(r"\bor\b|\band\b"), ","),
    (re.compile(r"\\in(?![a-zA-Z])"), "="),
    (re.compile(r"_\{(\w+)\}"), r"_\1"),
)
_WORD = re.compile(r"[A-Za-z]{3,}")
_UNITS = "cm|mm|km|kg|mg|ml|ft|in|lb|lbs|oz|hr|hrs|sec|min|mph|kph|sq|rad|am|pm|[a-zA-Z]{4,}"
_UNIT = re.compile(rf"(?<=[\d)}}])(?:{_UNITS})(?:\^\{{?\d\}}?)?\.?$")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_MATRIX = re.compile(r"\\begin\{[bpvBV]?matrix\}(.*?)\\end\{[bpvBV]?matrix\}", re.DOTALL)
_ROW = "\x01"  # the end of a row, which is no backslash before a space
_OPENING, _CLOSING = "([{", ")]}"


def same_answer(given: str, wanted: str) -> bool:
    """Return whether two answers mean the same; equal texts always do."""
    if given.strip() == wanted.strip():
        return True
    if len(given) > MOST_CHARACTERS or len(wanted) > MOST_CHARACTERS:
        return False
    one, other = normal(given), normal(wanted)
    if not one or not other:
        return one == other
    if _WORD.fullmatch(one) or _WORD.fullmatch(other):  # and no product of variables
        return one.casefold() == other.casefold()
    ones, others = _readings(one), _readings(other)
    return any(_same(left, right, 0) for left in ones for right in others)


def normal(text: str) -> str:
    """Return an answer without what is only writing."""
    text = text.strip().rstrip(".").strip().replace("\\\\", _ROW)
    for _ in range(3):  # words inside words
        text = _WORDS.sub(r"\1", text)
    text = _DROPPED.sub("", text)
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    # A command keeps its end: \pi r is not \pir.
    text = re.sub(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])", "\\1\0", text)
    text = _SPACES.sub("", text).replace("\0", " ")
    return _without_outer_braces(text)


def _readings(text: str) -> list[str]:
    """Return a normal form with and without its unit, and the right side of `x = 5`."""
    found = [text]
    left, equals, right = text.partition("=")
    if equals and re.fullmatch(r"[a-zA-Z](?:\([a-zA-Z]\))?", left):
        found.append(right)
    stripped = [_UNIT.sub("", one) for one in found]
    return [one for one in dict.fromkeys([*found, *stripped]) if one]


def _same(one: str, other: str, depth: int) -> bool:
    one, other = _without_outer_braces(one), _without_outer_braces(other)
    if one == other or one.casefold() == other.casefold():
        return True
    if depth > 6:
        return False
    for split in (_rows, _union, _parts, _sides):
        ones, others = split(one), split(other)
        if ones is not None and others is not None and ones[0] == others[0]:
            in_order = ones[0] in _ORDERED
            return _same_parts(ones[1], others[1], depth + 1, in_order=in_order)
        if ones is not None or others is not None:
            return False
    if re.fullmatch(r"\(?[A-Za-z]\)?", one) and re.fullmatch(r"\(?[A-Za-z]\)?", other):
        return one.strip("()") == other.strip("()")
    return same_value(_number(one), _number(other))


_ORDERED = ("matrix", "()", "[]", "(]", "[)", "equation", "row")


def _same_parts(ones: list[str], others: list[str], depth: int, *, in_order: bool) -> bool:
    if len(ones) != len(others) or len(ones) > MOST_PARTS:
        return False
    if in_order:
        return all(_same(*pair, depth) for pair in zip(ones, others, strict=True))
    left = list(others)
    for one in ones:
        found = next((index for index, other in enumerate(left) if _same(one, other, depth)), None)
        if found is None:
            return False
        del left[found]
    return True


def _number(text: str) -> str:
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def _rows(text: str) -> tuple[str, list[str]] | None:
    """Return the cells of a matrix, row by row."""
    found = _MATRIX.fullmatch(text)
    if found is None:
        return None
    rows = [row.split("&") for row in found[1].strip(_ROW).split(_ROW)]
    return "matrix", [str(len(rows)), *(cell for row in rows for cell in row)]


def _union(text: str) -> tuple[str, list[str]] | None:
    parts = re.split(r"\\cup\s?", text)
    return ("union", parts) if len(parts) > 1 else None


def _parts(text: str) -> tuple[str, list[str]] | None:
    """Return the kind and the items of a tuple, an interval, a set or a bare list."""
    if not text or _THOUSANDS.fullmatch(text):
        return None
    brackets, inside = "", text
    if text.startswith("\\{") and text.endswith("\\}"):
        return "list", split_at_top(text[2:-2], ",")
    if text[0] in "([" and text[-1] in ")]" and _closes_at_end(text):
        brackets, inside = text[0] + text[-1], text[1:-1]
    items = split_at_top(inside, ",")
    if not brackets:
        items = [sign for item in items for sign in _both_signs(item)]
    if len(items) == 1:
        return None
    return (brackets or "list"), items


def _sides(text: str) -> tuple[str, list[str]] | None:
    sides = text.split("=")
    return ("equation", sides) if len(sides) == 2 and all(sides) else None


def _both_signs(item: str) -> list[str]:
    """Return an item; with a plus-minus the two that it means."""
    parts = re.split(r"\\pm\s?", item)
    if len(parts) != 2:
        return [item]
    return ["+".join(parts) if parts[0] else parts[1], "-".join(parts)]


def split_at_top(text: str, mark: str) -> list[str]:
    """Return the parts of a text between marks that are in no bracket."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == mark and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _closes_at_end(text: str) -> bool:
    """Return whether the first bracket is closed by the last letter."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if depth == 0:
            return index == len(text) - 1
    return False


def _without_outer_braces(text: str) -> str:
    while len(text) > 1 and text[0] == "{" and text[-1] == "}" and _closes_at_end(text):
        text = text[1:-1]
    return text
