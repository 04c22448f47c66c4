"""Find the Python in what a model wrote.

Owns the reading of fences and the saving of what is whole in text that is not. What is given back
parses; when nothing does, the first error is raised.
"""

import re
import token
from collections.abc import Iterator, Sequence

from agentflow.errors import ProgramError
from agentflow_planners.functions.text.layout import (
    INDENT,
    MAX_CHARS,
    dedented,
    read_tree,
    tokens,
    unreadable,
)

_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = frozenset({"", "py", "python", "python3", "python2"})
_EMPTY_BLOCK = re.compile(r"expected an indented block after function definition on line (\d+)")
_STARTS = re.compile(r"@|(?:async\s+def|def|class|import|from)\s|[A-Za-z_]\w*\s*(?::[^=]*)?=[^=]")

MAX_REPAIRS = 20
MAX_TRIED_CHARS = 2 * MAX_CHARS
MAX_PIECES = 8


def programs_in(text: str) -> list[str]:
    """Return the pieces of a reply that are Python, in order.

    Raises:
        ProgramError: There is none.
    """
    inside, outside, is_open = _split(text)
    begun = readable(outside[0])
    whole = [begun] if begun is not None and _defines(begun) else []
    whole += [part for part in map(readable, inside) if part is not None]
    if is_open and inside and readable(inside[-1]) is None:
        whole += saved(inside[-1])
    if not any(_defines(part) for part in whole):
        whole += [part for block in (*inside, *outside) for part in saved(block) if _defines(part)]
    if whole:
        return whole
    read_tree(dedented(next(iter([*inside, *outside]), "")))
    raise unreadable("the reply holds no code")


def readable(text: str) -> str | None:
    """Return the text if it parses, functions without a body given `...` for one; else None."""
    text = dedented(text)
    for _ in range(MAX_REPAIRS):
        try:
            read_tree(text)
        except ProgramError as error:
            empty = _EMPTY_BLOCK.match(error.message)
            if empty is None:
                return None
            text = _with_body(text, int(empty.group(1)))
        else:
            return text if text.strip() else None
    return None


def saved(text: str) -> list[str]:
    """Return the statements that are whole in text of which parts are no Python."""
    pieces = list(_pieces(dedented(text).split("\n")))
    found: list[str] = []
    index, tried = 0, 0
    while index < len(pieces):
        width = 0
        if _STARTS.match(pieces[index]):
            for size in range(1, min(MAX_PIECES, len(pieces) - index) + 1):
                part = "\n".join(pieces[index : index + size])
                tried += len(part)
                if tried > MAX_TRIED_CHARS:
                    return found
                if _parses(part):
                    width = size
                    break
        found += ["\n".join(pieces[index : index + width])] if width else []
        index += width or 1
    return found


def _split(text: str) -> tuple[list[str], list[str], bool]:
    """Return what is in fences of Python, what is not, and whether the last fence is open.

    Where a fence of no language follows code, the reply began inside a fence.
    """
    marks = list(_FENCE.finditer(text))
    cuts = [0, *(place for mark in marks for place in mark.span()), len(text)]
    parts = [text[start:end].strip("\n") for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
    inside: list[str] = []
    outside: list[str] = [parts[0]]
    is_open = False
    for mark, part in zip(marks, parts[1:], strict=True):
        language = mark.group(1).lower()
        is_open = bool(language) or not is_open
        wanted = inside if is_open and language in _PYTHON else outside
        wanted.append(part)
    return inside, outside, is_open


def _with_body(text: str, header: int) -> str:
    """Return text in which the function that begins at a line has `...` for a body."""
    lines = text.split("\n")
    begun = tokens("\n".join(lines[header - 1 :]))
    place = next((header - 1 + item.end[0] for item in begun if item.type == token.NEWLINE), header)
    first = lines[header - 1]
    space = first[: len(first) - len(first.lstrip())]
    while place < len(lines) and re.match(rf"{space}\s+#", lines[place]):
        place += 1  # comments say what is to be written
    return "\n".join([*lines[:place], f"{space}{INDENT}...", *lines[place:]])


def _pieces(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines in groups that begin at the margin."""
    piece: list[str] = []
    for line in lines:
        if piece and line[:1].strip() and line[0] not in ")]}":
            yield "\n".join(piece)
            piece = []
        piece.append(line)
    if piece:
        yield "\n".join(piece)


def _parses(text: str) -> bool:
    try:
        return bool(read_tree(text).body)
    except ProgramError:
        return False


def _defines(text: str) -> bool:
    return re.search(r"^(?:async\s+def|def|class)\s", text, re.MULTILINE) is not None
