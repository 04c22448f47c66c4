"""Lines of Python text: reading them safely, and moving them right or left without changing them.

Owns the bounds of what is read at all, and the shifting of blocks. Knows nothing of functions.
The inside of a string that spans lines is never shifted, so no value changes; columns of the syntax
tree count bytes, columns here count characters.
"""

import ast
import hashlib
import io
import token
import tokenize
from collections.abc import Iterator, Sequence

from agentflow import parse_program
from agentflow.errors import ProgramError
from agentflow.sandbox.names import too_deep

INDENT = "    "
MAX_CHARS = 200_000
# Deeper trees are no hand's work, and every reader of a tree that recurses breaks on them.
MAX_DEPTH = 200

_OPENING = {getattr(token, name, -1) for name in ("FSTRING_START", "TSTRING_START")}
_CLOSING = {getattr(token, name, -1) for name in ("FSTRING_END", "TSTRING_END")}


def normal(text: str) -> str:
    """Return the text with the line ends that the syntax tree counts by.

    Raises:
        ProgramError: It is longer than `MAX_CHARS`.
    """
    if len(text) > MAX_CHARS:
        raise unreadable(f"the code has {len(text)} characters; at most {MAX_CHARS} are read")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_tree(text: str) -> ast.Module:
    """Return the syntax tree of a text of bounded length and depth.

    Raises:
        ProgramError: It does not parse, is too long, or nests deeper than `MAX_DEPTH`.
    """
    tree = parse_program(normal(text))
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise too_deep()


def unreadable(message: str, line: int | None = None) -> ProgramError:
    """Return the error for text that is not taken for Python."""
    report = f"SyntaxError: {message}"
    return ProgramError(
        phase="parse", name="SyntaxError", message=message, line=line, report=report
    )


def shape(tree: ast.AST) -> str:
    """Return a digest that two trees have in common if they differ in nothing but places.

    It does not recurse, and fields that only newer versions of Python have do not change it.
    """
    digest = hashlib.sha256()
    waiting: list[object] = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.AST):
            digest.update(f"({type(item).__name__}".encode())
            for field in item._fields:
                value = getattr(item, field, None)
                if value is not None and value != []:
                    waiting += [value, f"{field}="]
        elif isinstance(item, list):
            digest.update(f"[{len(item)}".encode())
            waiting += reversed(item)
        else:
            # The decimal digits of an integer may be too many to be written.
            digest.update((hex(item) if type(item) is int else repr(item)).encode())
    return digest.hexdigest()


def column(line: str, bytes_before: int) -> int:
    """Return the place in a line, in characters, that the syntax tree gives in bytes."""
    if line.isascii():
        return bytes_before
    return len(line.encode()[:bytes_before].decode(errors="ignore"))


def segment(lines: Sequence[str], node: ast.stmt | ast.expr) -> str:
    """Return the text of a node, to the letter."""
    last = node.end_lineno or node.lineno
    taken = list(lines[node.lineno - 1 : last])
    taken[-1] = taken[-1][: column(taken[-1], node.end_col_offset or 0)]
    taken[0] = taken[0][column(lines[node.lineno - 1], node.col_offset) :]
    return "\n".join(taken)


def string_lines(text: str) -> frozenset[int]:
    """Return the lines, from 1, that begin inside a string."""
    if not any(mark in text for mark in ('"""', "'''", "\\\n")):
        return frozenset()
    inside: set[int] = set()
    opened: list[int] = []
    for item in tokens(text):
        if item.type == token.STRING:
            inside.update(range(item.start[0] + 1, item.end[0] + 1))
        elif item.type in _OPENING:
            opened.append(item.start[0])
        elif item.type in _CLOSING and opened:
            inside.update(range(opened.pop() + 1, item.end[0] + 1))
    return frozenset(inside)


def tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens of a text up to the first that cannot be read."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError):
        return


def indented(text: str, prefix: str = INDENT) -> str:
    """Return a block moved right."""
    kept = string_lines(text)
    return "\n".join(
        prefix + line if line.strip() and number not in kept else line
        for number, line in enumerate(text.split("\n"), 1)
    )


def dedented(text: str) -> str:
    """Return a block moved left by the space that its first line of code begins with."""
    lines = text.split("\n")
    first = next((line for line in lines if line.strip() and line.lstrip()[0] != "#"), "")
    prefix = first[: len(first) - len(first.lstrip())]
    return shifted(lines, prefix, string_lines(text))


def shifted(lines: Sequence[str], prefix: str, kept: frozenset[int]) -> str:
    """Return lines without `prefix`, or without what they have of it; those in `kept` as they are."""
    return "\n".join(
        line if number in kept else _without(line, prefix) for number, line in enumerate(lines, 1)
    )


def _without(line: str, prefix: str) -> str:
    if line.startswith(prefix):
        return line[len(prefix) :]
    space = len(line) - len(line.lstrip(" \t"))
    return line[min(space, len(prefix)) :]
