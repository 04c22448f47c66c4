"""Read and write a flow file: a planner by name, its options, and how they were found.

Owns the format, version 1, YAML that a person can read and keep under version control. Knows no planner.
A flow file is data from anywhere: nothing in it runs by being read, and code among the options runs only
where the planner that takes it runs code, in the sandbox. What is written reads back as what it was.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from agentflow.errors import TaskFileError
from agentflow.taskproblems import Place, found_words, key_at
from agentflow.tasksecrets import secrets_in
from agentflow.wholefile import whole_file
from agentflow.yamltree import MAX_DEPTH, Node, read_yaml, shown

VERSION = 1
ENDINGS = (".yaml", ".yml")
MARK = "agentflow_flow"
KEYS = (MARK, "planner", "options", "found")
HEAD = "# A planner and its options. In a task file: `planner: THIS_FILE`, or give --planner THIS_FILE.\n"


@dataclass(frozen=True, kw_only=True)
class FlowFile:
    """A planner by name, its options, and as plain data where they come from."""

    planner: str
    options: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)


def is_flow_file(name: str) -> bool:
    """Return whether a planner's name means a flow file: it ends in .yaml or .yml."""
    return name.endswith(ENDINGS)


def load_flow_file(path: Path) -> FlowFile:
    """Read and check a flow file.

    Raises:
        TaskFileError: Anything is wrong with it; the message is one line and has the line's number.
    """
    tree = read_yaml(path, start=f"`{MARK}: {VERSION}` and `planner: NAME`")
    return _Loading(path, tree).flow_file()


def write_flow_file(path: Path, flow: FlowFile, *, replace: bool = False) -> None:
    """Write a flow file, whole or not at all; the same flow gives the same bytes.

    Args:
        path: Where; its name should end in .yaml.
        flow: What to write: text, numbers, true, false, null, lists and mappings with text keys.
        replace: Write over a file that is there.

    Raises:
        TaskFileError: There is a file, it cannot be written, or `flow` holds what a flow file cannot.
    """
    if path.exists() and not replace:
        problem = "there is such a file already; choose another name, or say --force to replace it"
        raise TaskFileError(path=str(path), line=None, problem=problem)
    data = {MARK: VERSION, "planner": flow.planner}
    data |= {name: value for name in KEYS[2:] if (value := getattr(flow, name))}
    content = _content(path, data)
    with whole_file(path, lambda problem: _refusal(path, problem)) as file:
        file.write(content)
        file.flush()
        _check_reads_back(path, Path(file.name), data)


class _Loading:
    """One flow file on its way from a tree to a `FlowFile`."""

    def __init__(self, path: Path, tree: Node) -> None:
        self._path, self._tree, self._data = path, tree, tree.plain()

    def flow_file(self) -> FlowFile:
        self._check_root()
        for path in secrets_in(self._data):
            self._fail(*path, problem=f"{key_at(path)} looks like a secret; take it out")
        planner = self._data.get("planner")
        if not isinstance(planner, str) or not planner.strip():
            found = found_words(planner)
            self._fail("planner", problem=f"`planner` must be a planner's name, found {found}")
        if is_flow_file(planner):
            problem = f"`planner` must be installed, not another flow file: '{shown(planner)}'"
            self._fail("planner", problem=problem)
        return FlowFile(
            planner=planner, options=self._mapping("options"), found=self._mapping("found")
        )

    def _check_root(self) -> None:
        if not isinstance(self._data, dict):
            found = found_words(self._data)
            self._fail(problem=f"a flow file is a mapping, found {found}; see `{MARK}: {VERSION}`")
        if "agentflow" in self._data and MARK not in self._data:
            self._fail("agentflow", problem="this is a task file; name a planner or a flow file")
        version = self._data.get(MARK)
        if type(version) is not int or version != VERSION:
            found = found_words(version)
            self._fail(MARK, problem=f"write `{MARK}: {VERSION}`, found {found}")
        for key in self._data:
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, n=1)
                advice = f"did you mean `{near[0]}`?" if near else f"write one of {', '.join(KEYS)}"
                self._fail(key, problem=f"unknown key {key_at((key,))}; {advice}")

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self._data.get(key, {})
        if not isinstance(value, dict):
            self._fail(key, problem=f"`{key}` must be a mapping, found {found_words(value)}")
        return value

    def _fail(self, *path: str | int, problem: str) -> NoReturn:
        raise TaskFileError(path=str(self._path), line=self._tree.find(path)[0], problem=problem)


class _Writer(yaml.SafeDumper):
    """YAML as `yamltree` reads it: many words are text there and not here, so text is marked as text."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def write_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if _is_block(text) else None if _is_plain_word(text) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _Writer.write_text)


def _is_block(text: str) -> bool:
    """Return whether text has lines, and no other character that YAML would take for the end of one."""
    return "\n" in text and all(char in "\n\t" or char.isprintable() for char in text)


def _is_plain_word(text: str) -> bool:
    """Return whether text needs no quotes for a person, and none of the two readers takes it otherwise."""
    return text.replace("_", "a").isidentifier() and text.lower() not in ("null", "true", "false")


def _content(path: Path, data: dict[str, Any]) -> bytes:
    problem = _unwritable(data, ())
    if problem:
        raise _refusal(path, problem)
    try:
        text = yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=math.inf)
        return (HEAD + str(text)).encode()
    except ValueError as error:  # half a character of two, a number of thousands of digits
        raise _refusal(path, f"a value cannot be written: {error}") from error


def _unwritable(value: Any, place: Place) -> str:
    """Return what in the data a flow file cannot hold; empty if nothing."""
    if len(place) >= MAX_DEPTH:
        return f"{key_at(place[:3])} is nested more than {MAX_DEPTH} deep"
    if isinstance(value, Mapping):
        if any(not isinstance(key, str) for key in value):
            return f"{key_at(place)} has keys that are not text"
        below = list(value.items())
    elif isinstance(value, list | tuple):
        below = list(enumerate(value))
    elif value is None or type(value) in (bool, int, str) or _is_finite(value):
        return ""
    else:
        return f"{key_at(place)} is a {type(value).__name__}, which a flow file cannot hold"
    return next(filter(None, (_unwritable(inner, (*place, part)) for part, inner in below)), "")


def _is_finite(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _check_reads_back(path: Path, part: Path, data: dict[str, Any]) -> None:
    try:
        found = read_yaml(part).plain()
    except TaskFileError as error:
        raise _refusal(path, f"what is to be written is no flow file: {error.problem}") from error
    if found != _as_lists(data):
        raise _refusal(path, "what is to be written would not read back the same")


def _as_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_lists(inner) for key, inner in value.items()}
    return [_as_lists(inner) for inner in value] if isinstance(value, list | tuple) else value


def _refusal(path: Path, problem: str) -> TaskFileError:
    return TaskFileError(path=str(path), line=None, problem=problem)
