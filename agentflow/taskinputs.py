"""Read the files that a task's inputs name: text, JSON and CSV.

Owns what a file becomes as plain data. Knows nothing of YAML or of the engine. Every problem is a
`ValueError` whose message is one line: the caller knows the task file's line.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from agentflow.data import NotPlainError, encode
from agentflow.yamltree import read_bytes, shown

MAX_BYTES = 10_000_000

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,999})")  # 007 is a name, not a number
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,999})(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def is_reference(value: object) -> bool:
    """Whether an input's value names a file: a mapping with one key, `file`, `json` or `csv`."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _READERS


def read_input(reference: dict[str, Any], folder: Path) -> Any:
    """Return what the named file holds; a relative path starts at `folder`.

    Raises:
        ValueError: The file is missing, unreadable, larger than `MAX_BYTES` or malformed.
    """
    ((kind, name),) = reference.items()
    if not isinstance(name, str) or not name:
        raise ValueError(f"`{kind}` must be the path of a file; write `{{{kind}: PATH}}`")
    try:
        return _READERS[kind](_text(folder / name))
    except ValueError as error:
        raise ValueError(f"{kind} {shown(name)}: {error}") from error


def _text(path: Path) -> str:
    content = read_bytes(path, MAX_BYTES)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: not UTF-8 text; save the file as UTF-8") from error


def _json(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        encode(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: not valid JSON: {error.msg}") from error
    except (RecursionError, NotPlainError) as error:
        raise ValueError("nested too deeply") from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; write null or a number")


def _csv(text: str) -> list[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(header)
        rows = [_row(cells, len(header), reader.line_num) for cells in reader if cells]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: not valid CSV: {error}") from error
    columns = [_column([row[index] for row in rows]) for index in range(len(header))]
    return [dict(zip(header, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _check_header(header: list[str]) -> None:
    if not header:
        raise ValueError("line 1: no header; write the names of the columns")
    if "" in header:
        raise ValueError(f"line 1: column {header.index('') + 1} has no name; write one")
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise ValueError(f"line 1: two columns are named `{shown(name)}`; rename one")
        seen.add(name)


def _row(cells: list[str], width: int, line: int) -> list[str]:
    if len(cells) != width:
        raise ValueError(f"line {line}: {len(cells)} cells, but the header names {width} columns")
    return cells


def _column(cells: list[str]) -> list[Any]:
    filled = [cell for cell in cells if cell]
    if not filled:
        return cells
    if all(_INTEGER.fullmatch(cell) for cell in filled):
        return [int(cell) if cell else None for cell in cells]
    if all(_NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in filled):
        return [float(cell) if cell else None for cell in cells]
    return cells


_READERS: dict[str, Callable[[str], Any]] = {"file": str, "json": _json, "csv": _csv}
