"""Read a hostile YAML file as plain data that remembers its lines.

Owns the part of YAML that a task file may use: mappings with text keys, lists, text, numbers, true,
false and null. Knows nothing of tasks. Anchors, aliases, tags, merge keys, duplicate keys and
anything too large or too deep are refused, and a word is text unless JSON would call it otherwise:
`no`, `012`, `1:30` and dates stay as written. Every refusal is a `TaskFileError` of one line.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from agentflow.errors import TaskFileError

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
TASK_START = "`agentflow: 1` and `goal: ...`"
SHOWN_CHARACTERS = 60

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WRITE_OUT = "write the value out"
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_OUTER_EVENTS = (
    yaml.StreamStartEvent,
    yaml.StreamEndEvent,
    yaml.DocumentStartEvent,
    yaml.DocumentEndEvent,
)


@dataclass(frozen=True, slots=True)
class Node:
    """One value and the line it starts on; a value in a mapping has the line of its key."""

    line: int
    value: "bool | int | float | str | dict[str, Node] | list[Node] | None"

    def plain(self) -> Any:
        """Return the value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def find(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Return the line of the deepest part of `path` that is there, and how many parts that is."""
        node = self
        for found, part in enumerate(path):
            below = node._child(part)
            if below is None:
                return node.line, found
            node = below
        return node.line, len(path)

    def _child(self, part: str | int) -> "Node | None":
        if isinstance(self.value, dict) and isinstance(part, str):
            return self.value.get(part)
        if isinstance(self.value, list) and isinstance(part, int) and part < len(self.value):
            return self.value[part]
        return None


def read_yaml(path: Path, start: str = TASK_START) -> Node:
    """Return the one document in the file; `start` is what an empty one is to begin with.

    Raises:
        TaskFileError: The file cannot be read, or is not the YAML that is allowed here.
    """
    return _Reading(str(path), _text(path)).document(start)


def shown(text: str) -> str:
    """Return text from a file as it may stand in a message: one line, no control characters, short."""
    safe = repr(text)[1:-1]
    return safe if len(safe) <= SHOWN_CHARACTERS else safe[: SHOWN_CHARACTERS - 3] + "..."


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes.

    Raises:
        ValueError: It is not there, not a regular file, too large or unreadable; the message says which.
    """
    try:
        if path.is_dir():
            raise ValueError("this is a directory, not a file")
        if not path.exists():
            raise ValueError("there is no such file")
        if not path.is_file():
            raise ValueError("this is not a regular file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or type(error).__name__}") from error
    if len(content) > limit:
        raise ValueError(f"larger than {limit // 1_000_000} MB")
    return content


def _text(path: Path) -> str:
    try:
        content = read_bytes(path, MAX_BYTES)
    except ValueError as error:
        raise TaskFileError(path=str(path), line=None, problem=str(error)) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = "not UTF-8 text; save the file as UTF-8"
        raise TaskFileError(path=str(path), line=line, problem=problem) from error
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        problem = f"unprintable character U+{ord(bad[0]):04X}; remove it"
        raise TaskFileError(path=str(path), line=line, problem=problem)
    return text


class _Reading:
    """One pass over the parser's events; nesting is bounded before anything recurses."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._lines = path, text.split("\n")
        self._loader = _Loader(text)

    def document(self, start: str) -> Node:
        try:
            found = self._documents()
        except yaml.YAMLError as error:
            self._syntax(error)
        finally:
            self._loader.dispose()
        if found is None:
            self._fail(1, f"the file is empty; start it with {start}")
        return found

    def _documents(self) -> Node | None:
        found: Node | None = None
        events = self._events()
        for event in events:
            if found is not None:
                self._fail(_line(event), "a second document starts here; keep one task a file")
            found = self._node(event, events, 1)
        return found

    def _events(self) -> Iterator[Any]:
        while self._loader.check_event():
            event = self._loader.get_event()
            if not isinstance(event, _OUTER_EVENTS):
                yield event

    def _node(self, event: Any, events: Iterator[Any], depth: int, line: int | None = None) -> Node:
        self._refuse_sharing(event)
        line = line or _line(event)
        if isinstance(event, yaml.ScalarEvent):
            return Node(line, self._scalar(event))
        if depth > MAX_DEPTH:
            self._fail(line, f"nested more than {MAX_DEPTH} deep; write it flatter")
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(line, self._list(events, depth))
        assert isinstance(event, yaml.MappingStartEvent), event
        return Node(line, self._mapping(events, depth))

    def _list(self, events: Iterator[Any], depth: int) -> list[Node]:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, depth + 1))
        return items

    def _mapping(self, events: Iterator[Any], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event)
            if key in found:
                first = found[key].line
                self._fail(
                    _line(event), f"duplicate key `{shown(key)}`, first on line {first}; keep one"
                )
            found[key] = self._node(next(events), events, depth + 1, _line(event))
        return found

    def _key(self, event: Any) -> str:
        self._refuse_sharing(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._fail(_line(event), "a key must be text, found a list or mapping; write one word")
        if event.implicit[0] and event.value == "<<":
            self._fail(_line(event), "merge keys (`<<`) are not read; write the values out")
        key = self._scalar(event)
        if not isinstance(key, str):
            written = shown(event.value)
            self._fail(_line(event), f'a key must be text; write it in quotes: "{written}"')
        return key

    def _scalar(self, event: Any) -> bool | int | float | str | None:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return self._integer(text, _line(event))
        if _NUMBER.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                self._fail(_line(event), f"the number {shown(text)} is too large; put it in quotes")
            return number
        return text

    def _integer(self, text: str, line: int) -> int:
        try:
            return int(text)
        except ValueError:  # Python refuses thousands of digits
            self._fail(line, f"the number {shown(text)} is too long; put it in quotes")

    def _refuse_sharing(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._fail(
                _line(event), f"aliases (`*{_name(event.anchor)}`) are not read; {_WRITE_OUT}"
            )
        if event.anchor is not None:
            self._fail(
                _line(event), f"anchors (`&{_name(event.anchor)}`) are not read; {_WRITE_OUT}"
            )
        if event.tag is not None:
            self._fail(_line(event), f"tags (`{_name(event.tag)}`) are not read; {_WRITE_OUT}")

    def _syntax(self, error: yaml.YAMLError) -> NoReturn:
        mark = getattr(error, "problem_mark", None)
        problem = shown(str(getattr(error, "problem", None) or "cannot be parsed"))
        line = None if mark is None else mark.line + 1
        if mark is not None and self._is_tab(mark, problem):
            self._fail(line, "a tab is used for indentation; write spaces")
        self._fail(line, f"not valid YAML: {problem}; check indentation, colons and quotes", error)

    def _is_tab(self, mark: Any, problem: str) -> bool:
        if "found a tab" in problem:
            return True
        written = self._lines[mark.line] if mark.line < len(self._lines) else ""
        indentation = written[: len(written) - len(written.lstrip())]
        return "cannot start any token" in problem and "\t" in indentation

    def _fail(self, line: int | None, problem: str, cause: Exception | None = None) -> NoReturn:
        raise TaskFileError(path=self._path, line=line, problem=problem) from cause


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _name(written: object) -> str:
    return shown(str(written))
