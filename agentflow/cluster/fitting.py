"""What a node must have in common with the process that gives it work: what is begun here may go on there.

Owns the comparison. Knows neither the cluster nor the work.
"""

import hashlib
import importlib.resources
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources.abc import Traversable

OURS = ("agentflow",)


@cache
def fitting(packages: tuple[str, ...] = OURS) -> dict[str, str]:
    """Return what has to be the same everywhere: the Python, the sandbox's interpreter, these packages' sources.

    Raises:
        ModuleNotFoundError: A package is not installed here.
    """
    found = {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "pydantic-monty": version("pydantic-monty"),
    }
    for package in packages:
        digest = hashlib.blake2b(digest_size=8)
        for name, file in _sources(importlib.resources.files(package), ""):
            digest.update(name.encode() + b"\0" + file.read_bytes())
        found[package] = digest.hexdigest()
    return found


def misfit(expected: Mapping[str, str], packages: tuple[str, ...] = OURS) -> str:
    """Return in words where this process differs from what is expected; empty if it does not."""
    try:
        here = fitting(packages)
    except ModuleNotFoundError as error:
        return f"no package {error.name}"
    return ", ".join(
        f"{name} {here.get(name)} where the run has {wanted}"
        for name, wanted in expected.items()
        if here.get(name) != wanted
    )


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    """Yield the Python files below a folder by their paths, in order."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{path}/{item.name}"
        if item.is_dir():
            yield from _sources(item, name)
        elif name.endswith(".py"):
            yield name, item
