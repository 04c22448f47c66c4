"""A repository as components that use one another, read through the tools of a task.

Owns the walk over the folders, the cut of Python files at their top-level definitions (by `ast`), and who
uses whom. A file of another language, and one that does not parse, is one component and uses nothing
that is known here. Knows no planner and no model. Nothing is read but by tools, so every read is a step
and stays where they stay; every character of a file that was read is in exactly one component.
"""

import ast
import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field

from agentflow import BranchFailure, flow, parallel, tools_in_reach
from agentflow.errors import InputError, ToolError
from agentflow_planners.shared.values import Frozen

MAX_FOLDERS = 2_000
MAX_NESTING = 20
SKIPPED = frozenset({"__pycache__", "node_modules", "venv", "build", "dist"})

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Component(Frozen):
    """A top-level definition, what else a Python file holds, or a whole file of another language.

    `id` is `path::name`, or the path. `uses` are ids of other components, as far as imports tell.
    """

    id: str
    path: str
    about: str
    text: str
    uses: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """What changes with the text."""
        return hashlib.sha256(self.text.encode("utf-8", "replace")).hexdigest()[:32]


class Repository(Frozen):
    """Components in the order of their paths and lines, and files that could not be read, with why."""

    components: tuple[Component, ...]
    unread: dict[str, str] = Field(default_factory=dict)


class Reading(Frozen):
    """What is read and how: the tools' names, the endings of files, and how many there may be."""

    folder: str = "."
    listing: str = "list_folder"
    reading: str = "read_text"
    suffixes: tuple[str, ...] = (".py",)
    files: int = 2_000


@flow
async def read_repository(how: Reading) -> Repository:
    """Read all files below a folder whose names end as wanted; hidden folders are left out.

    Raises:
        InputError: There is no such file, or there are too many.
        ToolError: The folder itself cannot be listed.
    """
    tools = tools_in_reach()
    paths, unread = await _walked(how, tools[how.listing])
    if not 0 < len(paths) <= how.files:
        problem = f"{how.folder!r} has {len(paths) or 'no'} files {' '.join(how.suffixes)}"
        raise InputError(
            step="repository", problem=f"{problem}; between 1 and {how.files} are read"
        )
    texts = await parallel((tools[how.reading](path) for path in paths), collect=True)
    read: dict[str, str] = {}
    for path, text in zip(paths, texts, strict=True):
        if not isinstance(text, BranchFailure):
            read[path] = str(text)
        elif isinstance(text.error, ToolError):
            unread[path] = str(text.error)
        else:
            raise text.error
    return Repository(components=tuple(components_of(read)), unread=unread)


async def _walked(how: Reading, listing: Any) -> tuple[list[str], dict[str, str]]:
    """Return the paths of files, and the folders that cannot be listed; a name with `/` in it is none."""
    root = PurePosixPath(how.folder)
    waiting, paths, unread = [root], list[str](), dict[str, str]()
    for _folder in range(MAX_FOLDERS):
        if not waiting:
            break
        folder = waiting.pop(0)
        try:
            names = await listing(str(folder))
        except ToolError as error:
            if folder == root:
                raise
            unread[str(folder)] = str(error)
            continue
        plain = [name for name in sorted(names) if _is_wanted(name.removesuffix("/"))]
        paths += [str(folder / name) for name in plain if name.endswith(how.suffixes)]
        if len(folder.parts) < MAX_NESTING:  # a link may lead up
            waiting += [folder / name.removesuffix("/") for name in plain if name.endswith("/")]
    unread |= {str(folder): f"more than {MAX_FOLDERS} folders" for folder in waiting}
    return paths, unread


def _is_wanted(name: str) -> bool:
    return bool(name) and not name.startswith(".") and "/" not in name and name not in SKIPPED


def components_of(texts: dict[str, str]) -> list[Component]:
    """Return the components of files by path, in the order of the paths, and who uses whom."""
    trees = {path: tree for path in texts if (tree := _tree(path, texts[path])) is not None}
    found = {path: list(_cut(path, texts[path], trees.get(path))) for path in sorted(texts)}
    ids = {component.id for components in found.values() for component in components}
    modules = _modules(trees)
    return [
        component.model_copy(update={"uses": uses})
        for path, components in found.items()
        for component, uses in _used(path, components, trees.get(path), modules, ids)
    ]


def _tree(path: str, text: str) -> ast.Module | None:
    if not path.endswith(".py"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape in somebody's code is not our news
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _cut(path: str, text: str, tree: ast.Module | None) -> Iterator[Component]:
    """Yield a file's components: each definition with its decorators, then the rest of the lines."""
    if tree is None:
        kind = "Python that does not parse" if path.endswith(".py") else "a whole file"
        yield Component(id=path, path=path, about=kind, text=text)
        return
    # As Python counts lines, which is not as `splitlines` does.
    lines = [f"{line}\n" for line in re.sub("\r\n?", "\n", text).removesuffix("\n").split("\n")]
    parts: dict[str, list[int]] = {}
    about: dict[str, str] = {}
    taken: set[int] = set()
    for node in tree.body:
        if isinstance(node, _Definition):
            first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            own = [at for at in range(first, (node.end_lineno or first) + 1) if at not in taken]
            parts[node.name] = parts.get(node.name, []) + own
            about[node.name] = _about(node)
            taken.update(own)
    rest = [at for at in range(1, len(lines) + 1) if at not in taken]
    head = "".join(lines[at - 1] for at in rest)
    doc = (ast.get_docstring(tree) or "").partition("\n")[0]
    if head.strip() or not parts:
        yield Component(id=path, path=path, about=f"module: {doc}", text=head)
    for name, own in parts.items():
        body = "".join(lines[at - 1] for at in own)
        yield Component(id=f"{path}::{name}", path=path, about=about[name], text=body)


def _about(node: _Definition) -> str:
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    return f"{kind}: {(ast.get_docstring(node) or '').partition(chr(10))[0]}"


def _modules(paths: Iterable[str]) -> dict[str, str]:
    """Return the files by the dotted names that mean one of them: from the root, or any folder below."""
    tails: dict[str, list[str]] = {}
    whole: dict[str, str] = {}
    for path in sorted(paths):
        parts = PurePosixPath(path).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        whole[".".join(parts)] = path
        for start in range(len(parts)):
            tails.setdefault(".".join(parts[start:]), []).append(path)
    return {dotted: found[0] for dotted, found in tails.items() if len(found) == 1} | whole


def _used(
    path: str,
    components: list[Component],
    tree: ast.Module | None,
    modules: dict[str, str],
    ids: set[str],
) -> Iterator[tuple[Component, tuple[str, ...]]]:
    """Yield each component of a file with the ids of those it uses."""
    if tree is None:
        yield from ((component, ()) for component in components)
        return
    known = {name: f"{path}::{name}" for name in _defined(tree) if f"{path}::{name}" in ids}
    known |= dict(_imported(path, tree, modules, ids))
    nodes: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        own = f"{path}::{node.name}" if isinstance(node, _Definition) else path
        nodes.setdefault(own, []).append(node)
    for component in components:
        names = {
            name.id
            for node in nodes.get(component.id, [])
            for name in ast.walk(node)
            if isinstance(name, ast.Name)
        }
        uses = {known[name] for name in names if name in known} - {component.id}
        yield component, tuple(sorted(uses))


def _defined(tree: ast.Module) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, _Definition)]


def _imported(
    path: str, tree: ast.Module, modules: dict[str, str], ids: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield names that a file imports, each with the component it means."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            pairs = [(alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names]  # fmt: skip
            yield from ((name, found) for name, dotted in pairs if (found := _first(modules.get(dotted), ids)))  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            base = _base(path, node)
            for alias in node.names:
                found = _meant(base, alias.name, modules, ids)
                if found:
                    yield alias.asname or alias.name, found


def _base(path: str, node: ast.ImportFrom) -> str:
    above = PurePosixPath(path).parts[: -node.level] if node.level else ()
    return ".".join([*above, *([node.module] if node.module else [])])


def _meant(base: str, name: str, modules: dict[str, str], ids: set[str]) -> str | None:
    """Return the component that `from base import name` means: a definition, else a module."""
    file = modules.get(base)
    if file and f"{file}::{name}" in ids:
        return f"{file}::{name}"
    return _first(modules.get(f"{base}.{name}"), ids) or _first(file, ids)


def _first(file: str | None, ids: set[str]) -> str | None:
    """Return the component of a file that stands for it: what is no definition."""
    return file if file is not None and file in ids else None
