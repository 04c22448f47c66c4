"""Files that a model writes: by path, in memory, as plain data, and checked without touching a disk.

Owns which paths and sizes there may be, what acting on a file is told, and the evaluation: every `.py`
file has to parse, and tests of the functions of one file run confined, in another process than the files.
Knows no planner and no prompt. A path never leads outside, and no file is a folder too.
"""

import ast
import json
import re

from agentflow import Examination, examine, parse_program
from agentflow.errors import ExpansionError, ProgramError

Files = dict[str, str]

MAX_FILES = 100
MAX_FILE_CHARS = 40_000
MAX_PATH_CHARS = 120
REFUSED = "Refused: "

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]*")
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef)

# The files as modules: they import one another, and what the tests call comes from the entry.
_LOADER = """\
import importlib.abc, importlib.util, sys
_FILES = {files}
class _Store(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for file in (base + ".py", base + "/__init__.py"):
            if file in _FILES:
                is_package = file.endswith("/__init__.py")
                return importlib.util.spec_from_loader(name, self, origin=file, is_package=is_package)
        return None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        file = module.__spec__.origin
        exec(compile(_FILES[file], file, "exec"), module.__dict__)
sys.meta_path.insert(0, _Store())
_entry = importlib.import_module({entry})
globals().update({{name: getattr(_entry, name) for name in {names}}})
"""


class FileStore:
    """Files by path; what an act on them comes to is told in words, never raised."""

    def __init__(self, files: Files) -> None:
        """Begin with files.

        Raises:
            ExpansionError: A path leads outside, a file is too large or a folder too, or there are too many.
        """
        self.files: Files = {}
        for path, text in files.items():
            told = self.write(path, text)
            if told.startswith(REFUSED):
                raise ExpansionError(step="file_store", problem=told.removeprefix(REFUSED))

    def write(self, path: str, text: str) -> str:
        """Put the whole content of a file."""
        refusal = _path_refusal(path) or _refusal(self.files, path, text)
        if refusal:
            return f"{REFUSED}{refusal}"
        self.files = dict(sorted({**self.files, path: text}.items()))
        return (
            f"Written: {path}. If the instruction is carried out with this, the next act is `done`."
        )

    def read(self, path: str) -> str:
        """Return the content of a file."""
        return self._missing(path) or self.files[path] or "(the file is empty)"

    def delete(self, path: str) -> str:
        """Remove a file."""
        told = self._missing(path)
        self.files = {name: text for name, text in self.files.items() if name != path}
        return told or f"Deleted: {path}"

    def listed(self) -> str:
        """Return the names and sizes of the files."""
        return ", ".join(f"{path} ({len(text)} characters)" for path, text in self.files.items())

    async def wrong(self, entry: str = "", tests: str = "") -> str:
        """Return what is wrong with the Python: files that do not parse, then tests that fail.

        Args:
            entry: The file whose functions the tests call.
            tests: Python that asserts; none: files are only parsed.

        Raises:
            SandboxUnavailableError: Tests cannot be confined here.
        """
        trees: dict[str, ast.Module] = {}
        for path, text in self.files.items():
            if path.endswith(".py"):
                try:
                    trees[path] = parse_program(text)
                except ProgramError as error:
                    return f"{path} does not parse: {error.report}"
        if not tests:
            return ""
        if entry not in trees:
            return f"The tests need a file {entry}, and there is none."
        names = [each.name for each in trees[entry].body if isinstance(each, _DEFINED)]
        source = loader_of(self.files, entry, names)
        verdict = await examine(
            Examination(source=source, tests=tests, names={name: name for name in names})
        )
        if verdict.passed:
            return ""
        return f"The tests fail: {verdict.failure.report if verdict.failure else 'no reason given'}"

    def _missing(self, path: str) -> str:
        if refusal := _path_refusal(path):
            return f"{REFUSED}{refusal}"
        there = ", ".join(self.files) or "none"
        return "" if path in self.files else f"There is no file {path}; there are: {there}"


def checked_path(path: str) -> str:
    """Return a path that stays in the store, as written.

    Raises:
        ExpansionError: It is absolute, leads up, or has anything in it but plain names.
    """
    parts = path.split("/")
    if len(path) > MAX_PATH_CHARS or not all(_PART.fullmatch(part) for part in parts):
        shown = json.dumps(path[:MAX_PATH_CHARS])
        problem = f"{shown} is no relative path of plain names, such as main.py or parts/one.py"
        raise ExpansionError(step="file_store", problem=problem)
    return path


def _path_refusal(path: str) -> str:
    """Return why a path cannot be taken; nothing if it can."""
    try:
        checked_path(path)
    except ExpansionError as error:
        return error.problem
    return ""


def _refusal(files: Files, path: str, text: str) -> str:
    """Return why a file cannot be written; nothing if it can."""
    if len(text) > MAX_FILE_CHARS:
        return f"a file has at most {MAX_FILE_CHARS} characters; split it"
    if path not in files and len(files) >= MAX_FILES:
        return f"there are {MAX_FILES} files already; delete one"
    clash = [each for each in files if each.startswith(f"{path}/") or path.startswith(f"{each}/")]
    return f"{clash[0]} is there, so {path} cannot be" if clash else ""


def loader_of(files: Files, entry: str, names: list[str]) -> str:
    """Return one module that loads the Python files as modules and has the entry's functions."""
    module = entry.removesuffix(".py").replace("/", ".")
    code = {path: text for path, text in files.items() if path.endswith(".py")}
    return _LOADER.format(files=repr(code), entry=repr(module), names=repr(names))
